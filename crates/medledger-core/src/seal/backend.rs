//! The seam to AES-128-GCM: one 16 KiB chunk in, the same chunk and its tag out.

use super::{CHUNK_LEN, TAG_LEN};
use aes_gcm::aead::{AeadInOut, KeyInit, inout::InOutBuf};
use zeroize::Zeroize;

/// Which implementation of AES-128-GCM does the work. The bytes are the same with every one.
///
/// ```
/// use medledger_core::seal::Backend;
/// assert!(Backend::all().contains(&Backend::best()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// `aes-gcm` of RustCrypto: always there, Rust only.
    RustCrypto,
    /// `aws-lc-rs`: assembly, several times as fast; needs the feature `aws-lc`.
    #[cfg(feature = "aws-lc")]
    AwsLc,
}

impl Backend {
    /// The fastest one compiled in.
    #[must_use]
    pub const fn best() -> Self {
        #[cfg(feature = "aws-lc")]
        {
            Self::AwsLc
        }
        #[cfg(not(feature = "aws-lc"))]
        {
            Self::RustCrypto
        }
    }

    /// All that are compiled in.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &[
            Self::RustCrypto,
            #[cfg(feature = "aws-lc")]
            Self::AwsLc,
        ]
    }

    /// A short name for tables and benches.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RustCrypto => "rustcrypto",
            #[cfg(feature = "aws-lc")]
            Self::AwsLc => "aws-lc",
        }
    }
}

pub(super) type Nonce = [u8; 12];
pub(super) type Tag = [u8; TAG_LEN];

/// The tag is not the tag of these bytes.
#[derive(Debug)]
pub(super) struct BadTag;

/// An expanded AES-128-GCM key. Associated data is always empty, as Cobblestone demands.
///
/// No call handles more than [`CHUNK_LEN`] bytes, so the length limits of GCM are never met.
pub(super) enum Cipher {
    RustCrypto(Box<aes_gcm::Aes128Gcm>),
    #[cfg(feature = "aws-lc")]
    AwsLc(aws_lc_rs::aead::LessSafeKey),
}

const WITHIN_LIMITS: &str = "AES-GCM takes any chunk of 16 KiB or less";

impl Cipher {
    pub(super) fn new(backend: Backend, key: &[u8; 16]) -> Self {
        match backend {
            Backend::RustCrypto => Self::RustCrypto(Box::new(aes_gcm::Aes128Gcm::new(key.into()))),
            #[cfg(feature = "aws-lc")]
            Backend::AwsLc => {
                use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
                let key = UnboundKey::new(&AES_128_GCM, key).expect("the key has 16 bytes");
                Self::AwsLc(LessSafeKey::new(key))
            }
        }
    }

    pub(super) const fn backend(&self) -> Backend {
        match self {
            Self::RustCrypto(_) => Backend::RustCrypto,
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(_) => Backend::AwsLc,
        }
    }

    /// Encrypts where the bytes are.
    pub(super) fn seal_in_place(&self, nonce: Nonce, bytes: &mut [u8]) -> Tag {
        debug_assert!(bytes.len() <= CHUNK_LEN);
        match self {
            Self::RustCrypto(key) => key
                .encrypt_inout_detached(&nonce.into(), &[], InOutBuf::from(bytes))
                .expect(WITHIN_LIMITS)
                .into(),
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::empty(), bytes)
                    .expect(WITHIN_LIMITS);
                tag.as_ref().try_into().expect("a tag of AES-GCM has 16 bytes")
            }
        }
    }

    /// Encrypts `plain` into `out`, which must be as long.
    pub(super) fn seal(&self, nonce: Nonce, plain: &[u8], out: &mut [u8]) -> Tag {
        debug_assert!(plain.len() <= CHUNK_LEN && plain.len() == out.len());
        match self {
            Self::RustCrypto(key) => {
                let both = InOutBuf::new(plain, out).expect("both slices have one length");
                key.encrypt_inout_detached(&nonce.into(), &[], both).expect(WITHIN_LIMITS).into()
            }
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                let mut tag = [0; TAG_LEN];
                key.seal_out_of_place_scatter(nonce, Aad::empty(), plain, out, &[], &mut tag)
                    .expect(WITHIN_LIMITS);
                tag
            }
        }
    }

    /// Decrypts where the bytes are; on a wrong tag the bytes are overwritten with zeros.
    pub(super) fn open_in_place(
        &self,
        nonce: Nonce,
        bytes: &mut [u8],
        tag: &Tag,
    ) -> Result<(), BadTag> {
        let ok = match self {
            Self::RustCrypto(key) => key
                .decrypt_inout_detached(
                    &nonce.into(),
                    &[],
                    InOutBuf::from(&mut *bytes),
                    &(*tag).into(),
                )
                .is_ok(),
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_in_place_separate_tag(nonce, Aad::empty(), tag, bytes).is_ok()
            }
        };
        wipe_unless(ok, bytes)
    }

    /// Decrypts `sealed` into `out`, which must be as long; on a wrong tag `out` is zeros.
    pub(super) fn open(
        &self,
        nonce: Nonce,
        sealed: &[u8],
        tag: &Tag,
        out: &mut [u8],
    ) -> Result<(), BadTag> {
        debug_assert_eq!(sealed.len(), out.len());
        let ok = match self {
            Self::RustCrypto(key) => {
                let both = InOutBuf::new(sealed, &mut *out).expect("both slices have one length");
                key.decrypt_inout_detached(&nonce.into(), &[], both, &(*tag).into()).is_ok()
            }
            #[cfg(feature = "aws-lc")]
            Self::AwsLc(key) => {
                use aws_lc_rs::aead::{Aad, Nonce};
                let nonce = Nonce::assume_unique_for_key(nonce);
                key.open_separate_gather(nonce, Aad::empty(), sealed, tag, out).is_ok()
            }
        };
        wipe_unless(ok, out)
    }
}

/// Backends may decrypt before they know the tag is wrong; such bytes must not be seen.
fn wipe_unless(ok: bool, bytes: &mut [u8]) -> Result<(), BadTag> {
    if ok {
        return Ok(());
    }
    bytes.zeroize();
    Err(BadTag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_gives_the_same_bytes_in_place_and_out_of_place() {
        let (key, nonce) = ([3; 16], [9; 12]);
        for len in [0, 1, 15, 16, 17, 4095, CHUNK_LEN] {
            let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut reference = plain.clone();
            let tag = Cipher::new(Backend::RustCrypto, &key).seal_in_place(nonce, &mut reference);
            for backend in Backend::all() {
                let cipher = Cipher::new(*backend, &key);
                let (mut here, mut there) = (plain.clone(), vec![1; len]);
                assert_eq!(cipher.seal_in_place(nonce, &mut here), tag);
                assert_eq!(cipher.seal(nonce, &plain, &mut there), tag);
                assert_eq!((&here, &there), (&reference, &reference));
                cipher.open(nonce, &here, &tag, &mut there).unwrap();
                cipher.open_in_place(nonce, &mut here, &tag).unwrap();
                assert_eq!((&here, &there), (&plain, &plain));
            }
        }
    }

    #[test]
    fn pitfall_08_nothing_decrypted_is_left_after_a_wrong_tag() {
        for backend in Backend::all() {
            let cipher = Cipher::new(*backend, &[3; 16]);
            let mut bytes = vec![0x77; 5000];
            let mut tag = cipher.seal_in_place([9; 12], &mut bytes);
            tag[15] ^= 1;
            let mut out = vec![0x55; 5000];
            cipher.open([9; 12], &bytes, &tag, &mut out).unwrap_err();
            cipher.open_in_place([9; 12], &mut bytes, &tag).unwrap_err();
            assert_eq!((bytes, out), (vec![0; 5000], vec![0; 5000]));
        }
    }
}
