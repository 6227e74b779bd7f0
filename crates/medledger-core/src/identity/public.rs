//! The public half of an identity, as registration records carry it.

use crate::cbor::{self, DecodeError};
use crate::ids::{ChainId, KeyFingerprint, MemberId, sha256};
use crate::keys::{
    HpkePublicKey, KeyEntry, KeyError, PublicKey, Signature, SignatureError, VerifyingKey,
};
use crate::registry::{domain, limit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Key entries that make no public identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicIdentityError {
    /// A key cannot be used.
    #[error("key {index} of the identity: {error}")]
    Key {
        /// Which entry, counted from 0.
        index: usize,
        /// What is wrong with it.
        error: KeyError,
    },
    /// In this version an identity is exactly one Ed25519 key, then one X25519 or X-Wing key.
    #[error(
        "an identity is one Ed25519 key, then one X25519 or X-Wing key; found algorithms {found:?}"
    )]
    Composition {
        /// The algorithm bytes found, eight of them at most.
        found: Vec<u8>,
    },
    /// The bytes are no list of key entries.
    #[error("not a public identity: {0}")]
    Encoding(#[from] DecodeError),
}

/// A member's public keys: one for signatures, one for HPKE.
///
/// In DAG-CBOR a list of two [`KeyEntry`]s. Both keys are usable: reading refuses small orders,
/// other spellings, and algorithms that are not in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<KeyEntry>", into = "Vec<KeyEntry>")]
pub struct PublicIdentity {
    // Shared: with its point it is six times as long, and records that hold none have room for it, too.
    signing: Arc<VerifyingKey>,
    hpke: HpkePublicKey,
}

impl PublicIdentity {
    // Only for keys that are known to be usable: those derived from secret ones.
    pub(super) fn new(signing: VerifyingKey, hpke: HpkePublicKey) -> Self {
        Self { signing: Arc::new(signing), hpke }
    }

    /// The identity with these keys.
    ///
    /// # Errors
    /// [`PublicIdentityError::Key`] and [`PublicIdentityError::Composition`].
    pub fn from_entries(entries: &[KeyEntry]) -> Result<Self, PublicIdentityError> {
        let mut keys = Vec::with_capacity(2);
        // More than a few entries are wrong whatever they hold.
        for (index, entry) in entries.iter().enumerate().take(8) {
            let key = entry.public_key();
            keys.push(key.map_err(|error| PublicIdentityError::Key { index, error })?);
        }
        match &keys[..] {
            [PublicKey::Ed25519(signing), PublicKey::Hpke(hpke)] => {
                Ok(Self::new(*signing, hpke.clone()))
            }
            _ => Err(PublicIdentityError::Composition {
                found: entries.iter().take(8).map(KeyEntry::code).collect(),
            }),
        }
    }

    /// The key entries, in the order in which they stand in records.
    #[must_use]
    pub fn entries(&self) -> [KeyEntry; 2] {
        [KeyEntry::from(&*self.signing), KeyEntry::from(&self.hpke)]
    }

    /// The DAG-CBOR list.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the DAG-CBOR list.
    ///
    /// # Errors
    /// Any [`PublicIdentityError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicIdentityError> {
        let entries: Vec<KeyEntry> = cbor::decode(bytes, limit::PUBLIC_IDENTITY_BYTES)?;
        Self::from_entries(&entries)
    }

    /// The id of the member whose *first* identity this is.
    #[must_use]
    pub fn member_id(&self) -> MemberId {
        let digest = sha256(&[domain::MEMBER_ID, &self.to_bytes()]);
        let mut id = [0; MemberId::LEN];
        id.copy_from_slice(&digest[..MemberId::LEN]);
        MemberId::from_bytes(id)
    }

    /// What people compare of these keys.
    #[must_use]
    pub fn fingerprint(&self) -> KeyFingerprint {
        let digest = sha256(&[domain::KEY_FINGERPRINT, &self.to_bytes()]);
        let mut fingerprint = [0; KeyFingerprint::LEN];
        fingerprint.copy_from_slice(&digest[..KeyFingerprint::LEN]);
        KeyFingerprint::from_bytes(fingerprint)
    }

    /// The key for signatures.
    #[must_use]
    pub fn signing_key(&self) -> VerifyingKey {
        *self.signing
    }

    pub(crate) fn signing(&self) -> &VerifyingKey {
        &self.signing
    }

    /// The key for HPKE.
    #[must_use]
    pub fn hpke_key(&self) -> HpkePublicKey {
        self.hpke.clone()
    }

    /// Checks a signature over `domain | message`.
    ///
    /// # Errors
    /// When it is not by this identity over exactly these.
    pub fn verify(
        &self,
        domain: &'static [u8],
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.signing.verify(domain, message, signature)
    }

    /// Checks that whoever asked `registrar` to register this identity on `chain` holds its signing
    /// key.
    ///
    /// # Errors
    /// When the proof was made for anything else.
    pub fn check_possession(
        &self,
        chain: &ChainId,
        registrar: &MemberId,
        proof: &Signature,
    ) -> Result<(), SignatureError> {
        self.verify(domain::POSSESSION, &self.possession_message(chain, registrar), proof)
    }
}

impl PublicIdentity {
    /// Checks that whoever wants these keys to be the next ones of `member` on `chain` holds them.
    ///
    /// # Errors
    /// When the proof was made for anything else.
    pub fn check_succession(
        &self,
        chain: &ChainId,
        member: &MemberId,
        proof: &Signature,
    ) -> Result<(), SignatureError> {
        self.verify(domain::SUCCESSION, &super::succession_message(chain, member, self), proof)
    }

    /// Checks that these keys of `member` consented to `next`.
    ///
    /// # Errors
    /// When the consent is another's, or for anything else.
    pub fn check_consent(
        &self,
        chain: &ChainId,
        member: &MemberId,
        next: &Self,
        consent: &Signature,
    ) -> Result<(), SignatureError> {
        let message = super::succession_message(chain, member, next);
        self.verify(domain::SUCCESSION_CONSENT, &message, consent)
    }
}

impl TryFrom<Vec<KeyEntry>> for PublicIdentity {
    type Error = PublicIdentityError;

    fn try_from(entries: Vec<KeyEntry>) -> Result<Self, PublicIdentityError> {
        Self::from_entries(&entries)
    }
}

impl From<PublicIdentity> for Vec<KeyEntry> {
    fn from(identity: PublicIdentity) -> Self {
        identity.entries().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::keys::{HpkeAlgorithm, KeyAlgorithm};

    fn identity() -> PublicIdentity {
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        Identity::generate_with(HpkeAlgorithm::X25519, &mut rng).public().clone()
    }

    #[test]
    fn bytes_and_json_round_trip() {
        let identity = identity();
        assert_eq!(PublicIdentity::from_bytes(&identity.to_bytes()).as_ref(), Ok(&identity));
        let json = serde_json::to_string(&identity).unwrap();
        assert_eq!(serde_json::from_str::<PublicIdentity>(&json).unwrap(), identity);
    }

    #[test]
    fn other_compositions_are_refused() {
        let [signing, hpke] = identity().entries();
        let found = |entries: &[KeyEntry]| match PublicIdentity::from_entries(entries) {
            Err(PublicIdentityError::Composition { found }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&[]), Vec::<u8>::new());
        assert_eq!(found(std::slice::from_ref(&signing)), [1]);
        assert_eq!(found(&[hpke.clone(), signing.clone()]), [2, 1]);
        assert_eq!(found(&[signing.clone(), hpke.clone(), hpke]), [1, 2, 2]);
        assert_eq!(found(&vec![signing; 50]), [1; 8]);
    }

    #[test]
    fn pitfall_51_weak_and_pitfall_50_reserved_keys_are_refused_by_name() {
        let [signing, hpke] = identity().entries();
        let error =
            |entries: &[KeyEntry]| PublicIdentity::from_bytes(&cbor::encode(entries)).unwrap_err();
        assert_eq!(
            error(&[signing.clone(), KeyEntry::new(2, &[0; 32])]),
            PublicIdentityError::Key {
                index: 1,
                error: KeyError::SmallOrder(KeyAlgorithm::X25519)
            }
        );
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        assert_eq!(
            error(&[KeyEntry::new(1, &identity_point), hpke]),
            PublicIdentityError::Key {
                index: 0,
                error: KeyError::SmallOrder(KeyAlgorithm::Ed25519)
            }
        );
        assert_eq!(
            error(&[signing.clone(), KeyEntry::new(3, &[0; 1216])]),
            PublicIdentityError::Key { index: 1, error: KeyError::SmallOrder(KeyAlgorithm::XWing) }
        );
        assert_eq!(
            error(&[signing, KeyEntry::new(4, &[0; 33])]).to_string(),
            "key 1 of the identity: secp256k1 keys are not yet in force"
        );
    }
}
