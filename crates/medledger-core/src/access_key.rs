//! Access keys: sixteen random bytes that a person can carry, on paper or in a mail.
//!
//! # Text form
//! 28 symbols of Crockford's base 32 (`0123456789ABCDEFGHJKMNPQRSTVWXYZ`), in seven groups of four
//! joined by dashes. The first 26 symbols are the 128 bits from the first byte's high bit on,
//! followed by two zero bits; the last two are check symbols.
//!
//! The 28 symbols c27 … c0, first to last, are the coefficients of a polynomial over GF(32) that has
//! the roots α and α²: a shortened Reed-Solomon code of length 28 and distance 3. GF(32) is
//! GF(2)\[x\] / (x⁵ + x² + 1), α = x, and a symbol's value is its bits read as powers of x, so that
//! addition is XOR and α is 2. The generator is (X + α)(X + α²) = X² + 6·X + 8. Every one or two
//! wrong symbols, and every two swapped ones wherever they stand, are noticed; of anything worse,
//! 1023 out of 1024.
//!
//! Reading takes upper and lower case, `O` for `0`, `I` and `L` for `1`, and ignores dashes and
//! white space. 32 hexadecimal characters are taken as well. 16 decimal digits are not: see
//! [`AccessKeyError::SixteenDigits`].

use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DATA_SYMBOLS: usize = 26;
const SYMBOLS: usize = DATA_SYMBOLS + 2;
const HEX_SYMBOLS: usize = 32;
/// Coefficients of the generator below its leading one.
const GENERATOR: [u8; 2] = [6, 8];

/// Text that is no access key. No variant holds any of it: it may be a key but for one symbol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessKeyError {
    /// Neither 28 base-32 symbols nor 32 hexadecimal ones.
    #[error("an access key has 28 letters and digits, or 32 hexadecimal ones; found {found}")]
    Length {
        /// How many characters there are, without dashes and white space.
        found: usize,
    },
    /// A character that no access key has.
    #[error("character {position} of the access key is none an access key can have")]
    Character {
        /// Which one, counted from 1, without dashes and white space.
        position: usize,
    },
    /// The check symbols do not fit the others.
    #[error("the access key has a mistyped character or two: its check symbols do not fit")]
    Check,
    /// The check symbols fit, but the two spare bits are not zero.
    #[error("the access key has more than 128 bits: its two spare bits are not zero")]
    SpareBits,
    /// Sixteen decimal digits, as older systems of this kind mailed.
    #[error(
        "16 decimal digits hold only 53 bits, few enough to try them all; \
         an access key has 128 bits: 28 letters and digits"
    )]
    SixteenDigits,
}

/// Sixteen secret random bytes that open one person's slots.
///
/// ```
/// use medledger_core::{access_key::AccessKey, rand_core::UnwrapErr};
/// let key = AccessKey::generate(&mut UnwrapErr(getrandom::SysRng));
/// let text = key.to_text(); // such as 3K8W-Q0RZ-…, 34 characters
/// assert_eq!(text.to_lowercase().replace('-', " ").parse::<AccessKey>(), Ok(key));
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct AccessKey([u8; 16]);

impl AccessKey {
    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut key = Self([0; 16]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// The key with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The secret bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// The text form, for the one person the key is for. There is no `Display`, so that it ends up
    /// in no message by accident.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut symbols = Zeroizing::new([0; SYMBOLS]);
        let bits = u128::from_be_bytes(self.0);
        for (i, symbol) in symbols.iter_mut().enumerate().take(DATA_SYMBOLS) {
            // The last symbol has three bits of the key and, below them, the two spare ones.
            let shifted = if i < 25 { bits >> (128 - 5 * (i + 1)) } else { bits << (5 * 26 - 128) };
            *symbol = (shifted & 31) as u8;
        }
        let check = remainder(&symbols[..DATA_SYMBOLS]);
        symbols[DATA_SYMBOLS..].copy_from_slice(&check);
        // Allocated once: a string that grew would leave copies of itself behind.
        let mut text = Zeroizing::new(String::with_capacity(SYMBOLS + 6));
        for (i, symbol) in symbols.iter().enumerate() {
            if i > 0 && i % 4 == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(*symbol)]));
        }
        text
    }

    /// Reads the text form, or 32 hexadecimal characters.
    ///
    /// # Errors
    /// See [`AccessKeyError`]; no error holds what was typed.
    pub fn from_text(text: &str) -> Result<Self, AccessKeyError> {
        let mut typed = Zeroizing::new([0u8; HEX_SYMBOLS]);
        let mut found = 0;
        let mut odd = None;
        for c in text.chars().filter(|c| !is_filler(*c)) {
            match (u8::try_from(c), typed.get_mut(found)) {
                (Ok(byte), Some(place)) => *place = byte.to_ascii_uppercase(),
                (Err(_), _) => odd = odd.or(Some(found)),
                (_, None) => {}
            }
            found += 1;
        }
        let typed = typed.get(..found).ok_or(AccessKeyError::Length { found })?;
        let position = |i: usize| AccessKeyError::Character { position: i + 1 };
        match found {
            SYMBOLS | HEX_SYMBOLS if odd.is_some() => Err(position(odd.unwrap_or_default())),
            SYMBOLS => from_symbols(typed),
            HEX_SYMBOLS => {
                let mut key = Self([0; 16]);
                for (i, c) in typed.iter().enumerate() {
                    let digit = char::from(*c).to_digit(16).ok_or(position(i))?;
                    key.0[i / 2] = key.0[i / 2] << 4 | digit as u8;
                }
                Ok(key)
            }
            16 if typed.iter().all(u8::is_ascii_digit) => Err(AccessKeyError::SixteenDigits),
            _ => Err(AccessKeyError::Length { found }),
        }
    }
}

/// White space and dashes, those too that mail programs put in their place.
fn is_filler(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200b}')
}

fn from_symbols(typed: &[u8]) -> Result<AccessKey, AccessKeyError> {
    let mut symbols = Zeroizing::new([0; SYMBOLS]);
    for (i, (symbol, c)) in symbols.iter_mut().zip(typed).enumerate() {
        let c = match c {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            c => *c,
        };
        let value = ALPHABET.iter().position(|a| *a == c);
        *symbol = value.ok_or(AccessKeyError::Character { position: i + 1 })? as u8;
    }
    let (data, check) = symbols.split_at(DATA_SYMBOLS);
    if remainder(data) != check {
        return Err(AccessKeyError::Check);
    }
    if data[DATA_SYMBOLS - 1] & 3 != 0 {
        return Err(AccessKeyError::SpareBits);
    }
    let (last, first) = data.split_last().expect("26 symbols");
    let bits = first.iter().fold(0u128, |bits, symbol| bits << 5 | u128::from(*symbol));
    Ok(AccessKey((bits << 3 | u128::from(last >> 2)).to_be_bytes()))
}

/// Remainder of data(X) · X² divided by the generator: the two check symbols.
fn remainder(data: &[u8]) -> [u8; 2] {
    data.iter().fold([0, 0], |[high, low], symbol| {
        let lead = high ^ symbol;
        [low ^ times(lead, GENERATOR[0]), times(lead, GENERATOR[1])]
    })
}

/// Product in GF(32), without branches or tables that depend on the secret.
const fn times(a: u8, b: u8) -> u8 {
    let (mut product, mut a, mut bit) = (0, a, 0);
    while bit < 5 {
        product ^= a & 0u8.wrapping_sub(b >> bit & 1);
        // x⁵ = x² + 1
        a = (a << 1 & 31) ^ (0b101 & 0u8.wrapping_sub(a >> 4 & 1));
        bit += 1;
    }
    product
}

impl std::str::FromStr for AccessKey {
    type Err = AccessKeyError;

    fn from_str(text: &str) -> Result<Self, AccessKeyError> {
        Self::from_text(text)
    }
}

impl PartialEq for AccessKey {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for AccessKey {}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples() -> Vec<AccessKey> {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let mut keys: Vec<_> = (0..2).map(|_| AccessKey::generate(&mut rng)).collect();
        keys.push(AccessKey::from_bytes([0; 16]));
        keys
    }

    /// The 28 values of a key's text, for tampering; `judge` reads them again.
    fn values(key: &AccessKey) -> [u8; SYMBOLS] {
        let text = key.to_text().replace('-', "");
        let value = |c: u8| ALPHABET.iter().position(|a| *a == c).unwrap() as u8;
        std::array::from_fn(|i| value(text.as_bytes()[i]))
    }

    fn judge(values: &[u8; SYMBOLS]) -> Result<AccessKey, AccessKeyError> {
        from_symbols(&values.map(|v| ALPHABET[usize::from(v)]))
    }

    #[test]
    fn text_of_known_keys() {
        let text = |bytes| AccessKey::from_bytes(bytes).to_text().to_string();
        assert_eq!(text([0; 16]), "0000-0000-0000-0000-0000-0000-0000");
        // Worked out by hand from the generator: the last symbol of data is 4 = 1 << 2, and
        // 4·X² leaves 4·(6·X + 8) = 24·X + 5, for 4·8 = x⁵ = x² + 1.
        let mut one = [0; 16];
        one[15] = 1;
        assert_eq!(text(one), "0000-0000-0000-0000-0000-0000-04R5");
        // From a separate program that looks for the check symbols which give the two roots.
        let counting = std::array::from_fn(|i| i as u8);
        assert_eq!(text(counting), "000G-40R4-0M30-E209-185G-R38E-1WEC");
    }

    #[test]
    fn generator_has_the_roots_alpha_and_alpha_squared() {
        let at = |x: u8| times(x, x) ^ times(GENERATOR[0], x) ^ GENERATOR[1];
        let roots: Vec<_> = (0..32).filter(|x| at(*x) == 0).collect();
        assert_eq!(roots, [2, 4]);
        // α generates all 31 nonzero elements, more than the 28 positions of a key.
        let powers: std::collections::BTreeSet<_> =
            (0..31).scan(1, |p, _| std::mem::replace(p, times(*p, 2)).into()).collect();
        assert_eq!(powers.len(), 31);
    }

    #[test]
    fn every_one_or_two_wrong_symbols_are_noticed() {
        for key in samples() {
            let good = values(&key);
            assert_eq!(judge(&good), Ok(key));
            for i in 0..SYMBOLS {
                for a in 1..32 {
                    let mut bad = good;
                    bad[i] ^= a;
                    assert_eq!(judge(&bad), Err(AccessKeyError::Check));
                    for j in i + 1..SYMBOLS {
                        for b in 1..32 {
                            bad[j] = good[j] ^ b;
                            assert!(judge(&bad) == Err(AccessKeyError::Check), "{i} {a} {j} {b}");
                        }
                        bad[j] = good[j];
                    }
                }
            }
        }
    }

    #[test]
    fn every_two_swapped_symbols_are_noticed() {
        for key in samples() {
            let good = values(&key);
            for i in 0..SYMBOLS {
                for j in i + 1..SYMBOLS {
                    let mut bad = good;
                    bad.swap(i, j);
                    let wanted =
                        if good[i] == good[j] { Ok(()) } else { Err(AccessKeyError::Check) };
                    assert_eq!(judge(&bad).map(drop), wanted);
                }
            }
        }
    }

    #[test]
    fn spare_bits_must_be_zero() {
        for spare in 1..4 {
            let mut symbols = [0; SYMBOLS];
            symbols[DATA_SYMBOLS - 1] = spare;
            let check = remainder(&symbols[..DATA_SYMBOLS]);
            symbols[DATA_SYMBOLS..].copy_from_slice(&check);
            assert_eq!(judge(&symbols), Err(AccessKeyError::SpareBits));
        }
    }

    #[test]
    fn reading_is_lenient_in_looks_only() {
        let mut one = [0; 16];
        one[15] = 1;
        let key = AccessKey::from_bytes(one);
        for text in [
            "0000-0000-0000-0000-0000-0000-04R5",
            "ooooOOOO 0000\u{a0}0000\t0000\u{2013}0000\u{2011}04r5\r\n",
            "00000000000000000000000000000001",
            "00000000-0000-0000-0000-000000000001",
        ] {
            assert_eq!(AccessKey::from_text(text), Ok(AccessKey::from_bytes(one)), "{text:?}");
        }
        let text = AccessKey::from_bytes([0x08; 16]).to_text();
        assert!(text.contains('1'));
        for alias in ["I", "l", "i", "L"] {
            assert!(text.replace('1', alias).parse::<AccessKey>().is_ok());
        }
        assert_eq!(key.expose(), &one);
    }

    #[test]
    fn pitfall_01_sixteen_decimal_digits_are_refused_with_the_reason() {
        for text in ["1234567812345678", "1234 5678-1234 5678"] {
            let error = AccessKey::from_text(text).unwrap_err();
            assert_eq!(error, AccessKeyError::SixteenDigits);
            assert!(error.to_string().contains("53 bits"));
        }
        let length = |found| Err(AccessKeyError::Length { found });
        assert_eq!(AccessKey::from_text("12345678123456"), length(14));
        assert_eq!(AccessKey::from_text("1234567812345ABC"), length(16));
        assert_eq!(AccessKey::from_text(""), length(0));
        assert_eq!(AccessKey::from_text(&"7".repeat(100_000)), length(100_000));
    }

    #[test]
    fn pitfall_41_neither_debug_nor_errors_show_the_key() {
        assert_eq!(format!("{:?}", AccessKey::from_bytes([0xab; 16])), "AccessKey(..)");
        let character = |text: &str, position| {
            let error = AccessKey::from_text(text).unwrap_err();
            assert_eq!(error, AccessKeyError::Character { position });
            error.to_string()
        };
        assert_eq!(
            character("0000-0000-0000-0000-0000-0000-04RU", 28),
            "character 28 of the access key is none an access key can have"
        );
        character("é000-0000-0000-0000-0000-0000-04R5", 1);
        character("0000000000000000000000000000000g", 32);
        character("日0000000000000000000000000000000", 1);
    }

    proptest! {
        #[test]
        fn text_and_hex_round_trip(bytes in any::<[u8; 16]>()) {
            let text = AccessKey::from_bytes(bytes).to_text();
            prop_assert_eq!(text.len(), 34);
            prop_assert_eq!(AccessKey::from_text(&text), Ok(AccessKey::from_bytes(bytes)));
            let hex = data_encoding::HEXUPPER.encode(&bytes);
            prop_assert_eq!(AccessKey::from_text(&hex), Ok(AccessKey::from_bytes(bytes)));
        }

        #[test]
        fn no_text_panics_and_what_is_read_is_written_alike(text in ".{0,40}") {
            if let Ok(key) = AccessKey::from_text(&text) {
                prop_assert_eq!(AccessKey::from_text(&key.to_text()), Ok(key));
            }
        }
    }
}
