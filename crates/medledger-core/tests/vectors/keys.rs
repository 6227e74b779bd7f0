//! Access keys, tokens and slots.

use super::case::{Case, File};
use super::{file, kind};
use medledger_core::Cid;
use medledger_core::access_key::AccessKey;
use medledger_core::cid::Codec;
use medledger_core::dek::Dek;
use medledger_core::ids::{ChainId, GrantId, MemberId, ReportId, TokenHash};
use medledger_core::keys::{HpkeAlgorithm, HpkePublicKey, HpkeSecretKey};
use medledger_core::slot::{Slot, SlotContext, SlotRole, SlotSuite};
use medledger_core::token::Token;

pub(crate) fn access_keys() -> File {
    let mut file = file(
        "The text form of access keys: 28 symbols of Crockford's base 32, the last two a Reed-Solomon \
         check over GF(32); or 32 hexadecimal digits.",
        |case| match AccessKey::from_text(case.text("text")) {
            Ok(key) => {
                assert_eq!(key.expose(), &case.array("key"));
                assert_eq!(key.to_text().as_str(), case.text("written"));
                "ok".into()
            }
            Err(error) => kind(&error),
        },
    );
    let key = std::array::from_fn(|i| i as u8 * 17);
    let written = AccessKey::from_bytes(key).to_text().to_string();
    let plain: String = written.replace('-', "");
    let hex = super::hex(key);
    for (name, reason, text) in [
        ("as_written", "in groups of four", written.clone()),
        ("lower_case", "case does not matter", written.to_lowercase()),
        ("no_dashes", "dashes do not matter", plain.clone()),
        ("spaces", "white space does not matter", format!(" {} \n", written.replace('-', "  "))),
        (
            "look_alikes",
            "O is read as 0, I and L as 1",
            written.replace('0', "o").replace('1', "l"),
        ),
        ("hexadecimal", "32 hexadecimal digits", hex.clone()),
        ("hexadecimal_upper", "case does not matter", hex.to_uppercase()),
    ] {
        let case = Case::new(name, "ok", reason).with("text", text).hex("key", key);
        file.push(case.with("written", written.as_str()));
    }
    for byte in [0u8, 0xff] {
        let text = AccessKey::from_bytes([byte; 16]).to_text().to_string();
        let name = if byte == 0 { "all_zeros" } else { "all_ones" };
        let case = Case::new(name, "ok", "an extreme").with("text", text.as_str());
        file.push(case.hex("key", [byte; 16]).with("written", text));
    }
    let mut add = |name: &str, expect: &str, reason: &str, text: String| {
        file.push(Case::new(name, expect, reason).with("text", text));
    };
    let symbol = |at: usize, to: &str| {
        let mut text = plain.clone();
        text.replace_range(at..=at, to);
        assert_ne!(text, plain);
        text
    };
    add("first_symbol_wrong", "check", "one wrong symbol", symbol(0, "Z"));
    add("last_symbol_wrong", "check", "a wrong check symbol", symbol(27, "7"));
    let swapped: String = {
        let mut chars: Vec<char> = plain.chars().collect();
        chars.swap(4, 20);
        assert_ne!(chars[4], chars[20]);
        chars.into_iter().collect()
    };
    add("two_swapped", "check", "two symbols changed places", swapped);
    add("not_a_symbol", "character", "U is no symbol", symbol(5, "U"));
    add("not_ascii", "character", "an accented letter", symbol(5, "\u{c9}"));
    add("too_short", "length", "a symbol is missing", plain[1..].to_owned());
    add("too_long", "length", "a symbol too many", format!("{plain}0"));
    add("empty", "length", "nothing", String::new());
    add("hex_letter_wrong", "character", "G is no hexadecimal digit", format!("g{}", &hex[1..]));
    file.push(
        Case::new("sixteen_digits", "sixteen_digits", "53 bits can all be tried")
            .pitfall(1)
            .with("text", "1234 5678 9012 3456"),
    );
    file
}

pub(crate) fn tokens() -> File {
    let mut file = file(
        "Tokens: HKDF-SHA256(access key, domain | grant), and on the ledger SHA-256(domain | chain | \
         grant | token). Ids of chains are written with their bytes reversed, as Bitcoin does.",
        |case| {
            let chain: ChainId = case.text("chain").parse().unwrap();
            let grant: GrantId = case.text("grant").parse().unwrap();
            let token = Token::derive(&AccessKey::from_bytes(case.array("access_key")), &grant);
            let on_ledger = TokenHash::from_bytes(case.array("hash"));
            if token.matches(&chain, &grant, &on_ledger) {
                assert_eq!(token.expose(), &case.array("token"));
                "ok".into()
            } else {
                "mismatch".into()
            }
        },
    );
    let (chain, grant) = (ChainId::from_bytes([1; 32]), GrantId::from_bytes([2; 16]));
    let key = [3; 16];
    let token = Token::derive(&AccessKey::from_bytes(key), &grant);
    let hash = *token.hash(&chain, &grant).as_bytes();
    let case = |name: &str, expect: &str, reason: &str| Case::new(name, expect, reason).pitfall(43);
    let with = |case: Case, chain: ChainId, grant: GrantId, key: [u8; 16], hash: [u8; 32]| {
        case.with("chain", chain.to_string())
            .with("grant", grant.to_string())
            .hex("access_key", key)
            .hex("token", token.expose())
            .hex("hash", hash)
    };
    file.push(with(case("token", "ok", "key and grant fit"), chain, grant, key, hash));
    let mut mismatch = |name: &str, reason: &str, chain, grant, key, hash| {
        file.push(with(case(name, "mismatch", reason), chain, grant, key, hash));
    };
    mismatch(
        "other_chain",
        "a token is for one chain",
        ChainId::from_bytes([9; 32]),
        grant,
        key,
        hash,
    );
    let mut asymmetric = [1; 32];
    asymmetric[0] = 9;
    mismatch(
        "other_chain_by_one_byte",
        "every byte counts",
        ChainId::from_bytes(asymmetric),
        grant,
        key,
        hash,
    );
    mismatch(
        "other_grant",
        "a token is for one grant",
        chain,
        GrantId::from_bytes([9; 16]),
        key,
        hash,
    );
    mismatch("other_key", "another reader's key", chain, grant, [9; 16], hash);
    mismatch(
        "token_for_hash",
        "the ledger holds the hash, not the token",
        chain,
        grant,
        key,
        *token.expose(),
    );
    let mut flipped = hash;
    flipped[31] ^= 1;
    mismatch("flipped_bit", "the last bit differs", chain, grant, key, flipped);
    file
}

fn context() -> SlotContext {
    SlotContext {
        chain: ChainId::from_bytes([1; 32]),
        report: ReportId::from_bytes([2; 16]),
        version: 1,
        epoch: 1,
        role: SlotRole::Grant,
        grant: Some(GrantId::from_bytes([3; 16])),
        reader: MemberId::from_bytes([4; 16]),
        envelope: Cid::of(Codec::DagCbor, b"envelope"),
    }
}

fn read_context(case: &Case) -> SlotContext {
    let number = |field: &str| case.get(field).unwrap().as_u64().unwrap() as u32;
    SlotContext {
        chain: case.text("chain").parse().unwrap(),
        report: case.text("report").parse().unwrap(),
        version: number("version"),
        epoch: number("epoch"),
        role: SlotRole::from_code(number("role") as u8).unwrap(),
        grant: case.get("grant").unwrap().as_str().map(|grant| grant.parse().unwrap()),
        reader: case.text("reader").parse().unwrap(),
        envelope: case.text("envelope").parse().unwrap(),
    }
}

fn judge_slot(case: &Case) -> String {
    let slot = match Slot::from_bytes(&case.bytes("slot")) {
        Ok(slot) => slot,
        Err(error) => return kind(&error),
    };
    let context = read_context(case);
    let opened = if case.get("access_key").is_some() {
        let key = AccessKey::from_bytes(case.array("access_key"));
        slot.unwrap_with_access_key(&key, &context)
    } else {
        slot.unwrap_with(&secret_key(case).unwrap(), &context)
    };
    match opened {
        Ok(dek) => {
            assert_eq!(dek.expose(), &case.array("dek"), "{}", case.name());
            let key: Option<HpkePublicKey> = secret_key(case).map(|key| key.public_key());
            let bytes = context.to_bytes(slot.suite(), key.as_ref());
            assert_eq!(bytes, case.bytes("context"), "{}", case.name());
            "ok".into()
        }
        Err(error) => kind(&error),
    }
}

fn secret_key(case: &Case) -> Option<HpkeSecretKey> {
    case.get("hpke_secret_key")?;
    let algorithm: HpkeAlgorithm = case.text("hpke_algorithm").parse().unwrap();
    Some(HpkeSecretKey::from_bytes(algorithm, &case.array("hpke_secret_key")))
}

/// A counter in place of randomness, so that the file is the same each time.
struct Counter(u8);

impl medledger_core::rand_core::TryRng for Counter {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.0 += 1;
        Ok(u32::from(self.0))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(u64::from(self.0))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

impl medledger_core::rand_core::TryCryptoRng for Counter {}

pub(crate) fn slots() -> File {
    let mut file = file(
        "Slots: a report's key (`dek`) wrapped for one reader. `context` is what HKDF (suite 1) and \
         HPKE (suites 2 and 3) take as info, `slot` the stored bytes. A reader's secret key is an X25519 key or the \
         seed of an X-Wing key, as `hpke_algorithm` says.",
        judge_slot,
    );
    let (dek, key, secret) = ([5; 16], [6; 16], [7; 32]);
    let for_key = |context: &SlotContext| {
        let slot =
            Slot::wrap_with_access_key(&Dek::from_bytes(dek), &AccessKey::from_bytes(key), context);
        (slot.to_bytes(), context.to_bytes(SlotSuite::AccessKey, None))
    };
    let for_identity = |algorithm: HpkeAlgorithm, context: &SlotContext| {
        let public = HpkeSecretKey::from_bytes(algorithm, &secret).public_key();
        let slot = Slot::wrap_to(&Dek::from_bytes(dek), &public, context, &mut Counter(0));
        (slot.to_bytes(), context.to_bytes(SlotSuite::of(&public), Some(&public)))
    };
    let wrapped = |hpke: Option<HpkeAlgorithm>, context: &SlotContext| match hpke {
        Some(algorithm) => for_identity(algorithm, context),
        None => for_key(context),
    };
    let mut add = |name: &str,
                   expect: &str,
                   reason: &str,
                   hpke: Option<HpkeAlgorithm>,
                   place: &SlotContext,
                   slot: &[u8]| {
        let case = Case::new(name, expect, reason);
        let case = match expect {
            "wrong_key_or_moved" => case.pitfall(7),
            "other_suite" => case.pitfall(50),
            _ => case,
        };
        let case = case
            .with("chain", place.chain.to_string())
            .with("report", place.report.to_string())
            .with("version", place.version)
            .with("epoch", place.epoch)
            .with("role", place.role.code())
            .with("grant", place.grant.map(|grant| grant.to_string()))
            .with("reader", place.reader.to_string())
            .with("envelope", place.envelope.to_string());
        let (_, context) = wrapped(hpke, place);
        let other = name.contains("other_key");
        let case = match hpke {
            Some(algorithm) => case
                .hex("hpke_secret_key", if other { [8; 32] } else { secret })
                .with("hpke_algorithm", algorithm.name()),
            None => case.hex("access_key", if other { [8; 16] } else { key }),
        };
        file.push(case.hex("context", context).hex("dek", dek).hex("slot", slot));
    };
    let right = context();
    let moved = [
        ("chain", SlotContext { chain: ChainId::from_bytes([9; 32]), ..right }),
        ("report", SlotContext { report: ReportId::from_bytes([9; 16]), ..right }),
        ("version", SlotContext { version: 2, ..right }),
        ("epoch", SlotContext { epoch: 2, ..right }),
        ("role", SlotContext { role: SlotRole::Patient, ..right }),
        ("grant", SlotContext { grant: Some(GrantId::from_bytes([9; 16])), ..right }),
        ("no_grant", SlotContext { grant: None, ..right }),
        ("reader", SlotContext { reader: MemberId::from_bytes([9; 16]), ..right }),
        ("envelope", SlotContext { envelope: Cid::of(Codec::DagCbor, b"other"), ..right }),
    ];
    let (x25519, x_wing) = (Some(HpkeAlgorithm::X25519), Some(HpkeAlgorithm::XWing));
    for (hpke, suite, number) in
        [(None, "access_key", 1u16), (x25519, "hpke", 2), (x_wing, "x_wing", 3)]
    {
        let (slot, _) = wrapped(hpke, &right);
        // The fields of the context are the same in each suite; with long keys a few say it.
        let moved = if hpke == x_wing { &moved[..3] } else { &moved[..] };
        add(suite, "ok", "key and context fit", hpke, &right, &slot);
        for (what, place) in moved {
            let name = format!("{suite}_other_{what}");
            add(
                &name,
                "wrong_key_or_moved",
                "the slot was made for another context",
                hpke,
                place,
                &slot,
            );
        }
        let name = format!("{suite}_with_other_key");
        add(&name, "wrong_key_or_moved", "another reader's key", hpke, &right, &slot);
        let mut flipped = slot.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let name = format!("{suite}_flipped_bit");
        add(&name, "wrong_key_or_moved", "the last bit differs", hpke, &right, &flipped);
        let cut = medledger_core::cbor::encode(&(
            number,
            serde_bytes::Bytes::new(&slot[head(number)..slot.len() - 1]),
        ));
        let name = format!("{suite}_short");
        add(&name, "length", "the wrapped key has not the length of its suite", hpke, &right, &cut);
        let name = format!("{suite}_cut");
        add(&name, "encoding", "the last byte is missing", hpke, &right, &slot[..slot.len() - 1]);
    }
    let (slot, _) = for_key(&right);
    add(
        "other_suite",
        "other_suite",
        "a slot for an access key, opened with an identity",
        x25519,
        &right,
        &slot,
    );
    let (weak, _) = wrapped(x25519, &right);
    add(
        "downgraded_suite",
        "other_suite",
        "a slot for an X25519 key, shown to a reader whose key is X-Wing",
        x_wing,
        &right,
        &weak,
    );
    let relabelled =
        medledger_core::cbor::encode(&(3u16, serde_bytes::Bytes::new(&weak[head(2)..])));
    add(
        "relabelled_suite",
        "length",
        "a slot of suite 2 called one of suite 3",
        x_wing,
        &right,
        &relabelled,
    );
    let with_suite =
        |suite: u16| medledger_core::cbor::encode(&(suite, serde_bytes::Bytes::new(&slot[4..])));
    add("unknown_suite", "unknown_suite", "no suite has number 4", None, &right, &with_suite(4));
    file
}

/// Bytes before the wrapped key: list, suite, and the length in one, two or three bytes.
const fn head(suite: u16) -> usize {
    match suite {
        3 => 5,
        _ => 4,
    }
}
