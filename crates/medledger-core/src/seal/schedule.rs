//! From a DEK, a salt and a context to what one message needs: a cipher, its nonces and the
//! commitment (section "Key derivation" of the specification).

use super::backend::{Backend, Cipher, Nonce};
use super::{COMMITMENT_LEN, Salt};
use crate::dek::Dek;
use sha2::Sha512;
use zeroize::Zeroizing;

/// Chunks a message may have: 2^38, which is 4 PiB of plaintext less one byte.
pub(super) const MAX_CHUNKS: u64 = 1 << 38;

const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_128_GCM\0";

pub(super) struct Schedule {
    pub(super) cipher: Cipher,
    base_nonce: Nonce,
    pub(super) commitment: [u8; COMMITMENT_LEN],
}

impl Schedule {
    pub(super) fn derive(backend: Backend, dek: &Dek, salt: &Salt, context: &[u8]) -> Self {
        // HMAC pads its key with zeros to the block length, so this is HKDF-Expand under the 16
        // bytes themselves; the crate would refuse a key shorter than the hash.
        let mut prk = Zeroizing::new([0; 64]);
        prk[..Dek::LEN].copy_from_slice(dek.expose());
        let mut okm = Zeroizing::new([0; 16 + 12 + COMMITMENT_LEN]);
        hkdf::Hkdf::<Sha512>::from_prk(&*prk)
            .expect("the key is as long as the hash")
            .expand_multi_info(&[LABEL, salt.as_bytes(), context], &mut *okm)
            .expect("60 bytes are one block of SHA-512");
        let (key, rest) = okm.split_first_chunk::<16>().expect("okm has 60 bytes");
        let (base_nonce, rest) = rest.split_first_chunk::<12>().expect("44 bytes remain");
        Self {
            cipher: Cipher::new(backend, key),
            base_nonce: *base_nonce,
            commitment: rest.try_into().expect("32 bytes remain"),
        }
    }

    /// Base nonce XOR the chunk number, big-endian.
    pub(super) fn nonce(&self, chunk: u64) -> Nonce {
        debug_assert!(chunk < MAX_CHUNKS);
        let mut nonce = self.base_nonce;
        for (n, c) in nonce[4..].iter_mut().zip(chunk.to_be_bytes()) {
            *n ^= c;
        }
        nonce
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule").field("backend", &self.cipher.backend()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_04_no_two_chunks_share_a_nonce() {
        let salt = Salt::from_bytes([1; 24]);
        let schedule = Schedule::derive(Backend::best(), &Dek::from_bytes([2; 16]), &salt, b"");
        let mut seen = std::collections::HashSet::new();
        for exponent in 0..38 {
            for chunk in [1 << exponent, (1u64 << exponent) | 1, (2 << exponent) - 1] {
                seen.insert((schedule.nonce(chunk), chunk));
            }
        }
        let nonces: std::collections::HashSet<_> = seen.iter().map(|(n, _)| *n).collect();
        assert_eq!(nonces.len(), seen.len());
        // The counter stays within the last five bytes.
        assert!(nonces.iter().all(|n| n[..7] == schedule.base_nonce[..7]));
    }
}
