//! Succession: new keys for the same member, and what the former ones still open.

use super::{CollectionKey, Identity, collection_key};
use crate::ids::MemberId;
use crate::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use crate::registry::limit;
use rand_core::CryptoRng;

/// An identity that cannot take on new keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormerKeysError {
    /// Each former key may be the only one that opens some slot, so none is dropped silently.
    #[error(
        "the identity holds {found} former keys, {limit} at most: wrap the slots again and forget the former keys first"
    )]
    TooMany {
        /// Former keys held.
        found: usize,
        /// The most an identity holds.
        limit: usize,
    },
}

impl Identity {
    /// The same member with fresh keys, of this algorithm for HPKE; the present HPKE key becomes a former one. They are
    /// the member's only once a Succeed record says so.
    ///
    /// # Errors
    /// When there are [`limit::FORMER_KEYS`] former keys already.
    pub fn next(
        &self,
        algorithm: HpkeAlgorithm,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, FormerKeysError> {
        let (found, limit) = (self.former.len(), limit::FORMER_KEYS);
        if found >= limit {
            return Err(FormerKeysError::TooMany { found, limit });
        }
        let (signing, hpke) =
            (SigningKey::generate(rng), HpkeSecretKey::generate_with(algorithm, rng));
        let former = std::iter::once(&self.hpke).chain(&self.former).map(copy).collect();
        Ok(Self { former, ..Self::with_id(self.id, signing, hpke) })
    }

    /// The same member without the former keys: for when no slot needs them any more.
    #[must_use]
    pub fn without_former_keys(&self) -> Self {
        let signing = SigningKey::from_seed(self.signing.expose_seed());
        Self::with_id(self.id, signing, copy(&self.hpke))
    }

    /// HPKE keys this member had before, the newest first. They open what was wrapped before the keys changed.
    #[must_use]
    pub fn former_hpke_keys(&self) -> &[HpkeSecretKey] {
        &self.former
    }

    /// Every HPKE key that may open a slot of this member: the present one, then the former ones.
    pub fn hpke_keys(&self) -> impl Iterator<Item = &HpkeSecretKey> {
        std::iter::once(&self.hpke).chain(&self.former)
    }

    /// The collection keys of one epoch that this patient may have had at `hospital`: that of the present HPKE key first,
    /// then those of the former ones.
    pub fn collection_keys(
        &self,
        hospital: MemberId,
        epoch: u32,
    ) -> impl Iterator<Item = CollectionKey> {
        self.hpke_keys().map(move |secret| collection_key(secret, &hospital, epoch))
    }

    pub(super) fn with_former(self, former: Vec<HpkeSecretKey>) -> Self {
        Self { former, ..self }
    }
}

fn copy(key: &HpkeSecretKey) -> HpkeSecretKey {
    HpkeSecretKey::from_bytes(key.algorithm(), &key.expose())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::UnwrapErr;

    fn rng() -> impl CryptoRng {
        UnwrapErr(getrandom::SysRng)
    }

    #[test]
    fn the_next_keys_are_new_and_the_former_ones_are_kept_in_order() {
        let first = Identity::generate_with(HpkeAlgorithm::X25519, &mut rng());
        let second = first.next(HpkeAlgorithm::XWing, &mut rng()).unwrap();
        let third = second.next(HpkeAlgorithm::XWing, &mut rng()).unwrap();
        assert_eq!((second.id(), third.id()), (first.id(), first.id()));
        assert_ne!(second.public().signing_key(), first.public().signing_key());
        assert_eq!(second.public().hpke_key().algorithm(), HpkeAlgorithm::XWing);
        let found: Vec<_> = third.hpke_keys().collect();
        let wanted = [&third, &second, &first].map(Identity::hpke_secret_key);
        assert_eq!(found, wanted);
        let forgotten = third.without_former_keys();
        assert_eq!(forgotten.public(), third.public());
        assert!(forgotten.former_hpke_keys().is_empty());
        assert_ne!(forgotten, third);
    }

    #[test]
    fn no_former_key_is_dropped_silently() {
        let mut identity = Identity::generate_with(HpkeAlgorithm::X25519, &mut rng());
        for _ in 0..limit::FORMER_KEYS {
            identity = identity.next(HpkeAlgorithm::X25519, &mut rng()).unwrap();
        }
        let error = identity.next(HpkeAlgorithm::X25519, &mut rng()).unwrap_err();
        assert_eq!(error, FormerKeysError::TooMany { found: 8, limit: 8 });
    }

    #[test]
    fn former_collection_keys_are_tried_after_the_present_ones() {
        let first = Identity::generate_with(HpkeAlgorithm::X25519, &mut rng());
        let second = first.next(HpkeAlgorithm::XWing, &mut rng()).unwrap();
        let hospital = MemberId::from_bytes([3; 16]);
        let found: Vec<_> = second.collection_keys(hospital, 2).collect();
        let wanted = [second.collection_key(&hospital, 2), first.collection_key(&hospital, 2)];
        assert_eq!(found, wanted);
    }
}
