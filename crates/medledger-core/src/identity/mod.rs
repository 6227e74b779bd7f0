//! Who a member is: the secret keys, their public half, and the id that stays for life.

mod consent;
mod former;
mod locked;
mod public;

pub use consent::{ConsentError, KeyConsent};
pub use former::FormerKeysError;
pub use locked::{
    LOCKED_VERSION, LockError, LockParams, LockedInfo, ParamsError, UnlockError, lock, peek, unlock,
};
pub use public::{PublicIdentity, PublicIdentityError};

use crate::cbor;
use crate::ids::{ChainId, GroupId, MemberId};
use crate::kdf;
use crate::keys::{HpkeAlgorithm, HpkePublicKey, HpkeSecretKey, Signature, SigningKey};
use crate::registry::domain;
use rand_core::CryptoRng;
use std::fmt;

/// A member's secret: an Ed25519 key to sign with, an X-Wing or X25519 key to open slots with, and the former keys of the
/// latter kind, until every slot was wrapped again ([`former_hpke_keys`](Self::former_hpke_keys)).
///
/// ```
/// use medledger_core::{identity::Identity, rand_core::UnwrapErr, registry::domain};
/// let doctor = Identity::generate(&mut UnwrapErr(getrandom::SysRng));
/// assert_eq!(doctor.id(), doctor.public().member_id());
/// let signature = doctor.sign(domain::RECORD_SIGNATURE, b"record");
/// assert!(doctor.public().verify(domain::RECORD_SIGNATURE, b"record", &signature).is_ok());
/// ```
#[derive(PartialEq, Eq)]
pub struct Identity {
    id: MemberId,
    public: PublicIdentity,
    signing: SigningKey,
    hpke: HpkeSecretKey,
    // The newest first.
    former: Vec<HpkeSecretKey>,
}

impl Identity {
    /// A new member with fresh keys, X-Wing for HPKE.
    #[must_use]
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        Self::generate_with(HpkeAlgorithm::default(), rng)
    }

    /// A new member with fresh keys, of this algorithm for HPKE.
    #[must_use]
    pub fn generate_with(algorithm: HpkeAlgorithm, rng: &mut dyn CryptoRng) -> Self {
        Self::from_keys(SigningKey::generate(rng), HpkeSecretKey::generate_with(algorithm, rng))
    }

    /// The new member who has these keys.
    #[must_use]
    pub fn from_keys(signing: SigningKey, hpke: HpkeSecretKey) -> Self {
        let public = PublicIdentity::new(signing.verifying_key(), hpke.public_key());
        Self { id: public.member_id(), public, signing, hpke, former: Vec::new() }
    }

    /// A member whose present keys are not the first: the id is the one the first keys gave.
    #[must_use]
    pub fn with_id(id: MemberId, signing: SigningKey, hpke: HpkeSecretKey) -> Self {
        Self { id, ..Self::from_keys(signing, hpke) }
    }

    /// The member's id, the same through every change of keys.
    #[must_use]
    pub const fn id(&self) -> MemberId {
        self.id
    }

    /// The public half of the present keys.
    #[must_use]
    pub const fn public(&self) -> &PublicIdentity {
        &self.public
    }

    /// Signs `domain | message`; the domain is one of [`registry::domain`](crate::registry::domain).
    #[must_use]
    pub fn sign(&self, domain: &'static [u8], message: &[u8]) -> Signature {
        self.signing.sign(domain, message)
    }

    /// The secret key that opens this member's slots.
    #[must_use]
    pub const fn hpke_secret_key(&self) -> &HpkeSecretKey {
        &self.hpke
    }

    /// Proves to `registrar`, on this chain only, that the keys of [`public`](Self::public) are at
    /// hand. [`PublicIdentity::check_possession`] checks it.
    #[must_use]
    pub fn prove_possession(&self, chain: &ChainId, registrar: &MemberId) -> Signature {
        self.sign(domain::POSSESSION, &self.public.possession_message(chain, registrar))
    }

    /// Proves on this chain that these keys, the next ones of [`id`](Self::id), are at hand.
    /// [`PublicIdentity::check_succession`] checks it.
    #[must_use]
    pub fn prove_succession(&self, chain: &ChainId) -> Signature {
        self.sign(domain::SUCCESSION, &succession_message(chain, &self.id, &self.public))
    }

    /// Consents, with keys that may be suspended, to the keys that succeed them. [`PublicIdentity::check_consent`] checks
    /// it.
    #[must_use]
    pub fn consent_to(&self, chain: &ChainId, next: &PublicIdentity) -> Signature {
        self.sign(domain::SUCCESSION_CONSENT, &succession_message(chain, &self.id, next))
    }

    /// The member's collection key at one hospital for one epoch: always the same for the same
    /// identity, and telling nothing of the others or of the identity.
    ///
    /// HKDF-SHA256 of the HPKE secret key, `info` = domain | hospital | epoch (four bytes,
    /// big-endian), gives the 32 bytes from which RFC 9180 section 7.1.3 derives the key pair, of the algorithm of the
    /// HPKE secret key.
    #[must_use]
    pub fn collection_key(&self, hospital: &MemberId, epoch: u32) -> CollectionKey {
        collection_key(&self.hpke, hospital, epoch)
    }
}

fn collection_key(secret: &HpkeSecretKey, hospital: &MemberId, epoch: u32) -> CollectionKey {
    let info = [domain::COLLECTION, hospital.as_bytes(), &epoch.to_be_bytes()];
    let ikm = kdf::derive::<32>(&*secret.expose(), &info);
    CollectionKey(HpkeSecretKey::derive(secret.algorithm(), &ikm))
}

impl Identity {
    /// The secret key of a group that this hospital keeps, at one epoch; the same each time.
    ///
    /// HKDF-SHA256 of this identity's HPKE secret, with a domain, the group and the epoch (big-endian), gives the
    /// 32 bytes from which RFC 9180 section 7.1.3 derives the key pair.
    #[must_use]
    pub fn group_key(&self, group: &GroupId, epoch: u32) -> HpkeSecretKey {
        let info = [domain::GROUP, group.as_bytes(), &epoch.to_be_bytes()];
        HpkeSecretKey::derive(
            self.hpke.algorithm(),
            &kdf::derive::<32>(&*self.hpke.expose(), &info),
        )
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, ..)", self.id)
    }
}

/// A patient's key pair at one hospital for one epoch: it opens every report wrapped to it.
#[derive(PartialEq, Eq)]
pub struct CollectionKey(HpkeSecretKey);

impl CollectionKey {
    /// The collection key that is this secret key, as a reader who was given it has it.
    #[must_use]
    pub const fn from_secret_key(key: HpkeSecretKey) -> Self {
        Self(key)
    }

    /// The half to which report keys are wrapped.
    #[must_use]
    pub fn public_key(&self) -> HpkePublicKey {
        self.0.public_key()
    }

    /// The secret half, to open slots with.
    #[must_use]
    pub const fn secret_key(&self) -> &HpkeSecretKey {
        &self.0
    }

    /// The secret half by itself.
    #[must_use]
    pub fn into_secret_key(self) -> HpkeSecretKey {
        self.0
    }
}

impl fmt::Debug for CollectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CollectionKey(..)")
    }
}

fn succession_message(chain: &ChainId, member: &MemberId, next: &PublicIdentity) -> Vec<u8> {
    cbor::encode(&(chain, member, next))
}

impl PublicIdentity {
    fn possession_message(&self, chain: &ChainId, registrar: &MemberId) -> Vec<u8> {
        cbor::encode(&(chain, registrar, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SignatureError;
    use rand_core::UnwrapErr;

    fn rng() -> impl CryptoRng {
        UnwrapErr(getrandom::SysRng)
    }

    fn known() -> Identity {
        let hpke = HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[2; 32]);
        Identity::from_keys(SigningKey::from_seed(&[1; 32]), hpke)
    }

    #[test]
    fn the_id_is_that_of_the_first_keys_and_stays() {
        let first = known();
        let list = [
            &[0x82, 0x82, 0x01, 0x58, 0x20][..],
            first.public().signing_key().as_bytes(),
            &[0x82, 0x02, 0x58, 0x20],
            first.public().hpke_key().as_bytes(),
        ]
        .concat();
        assert_eq!(first.public().to_bytes(), list);
        let digest = crate::ids::sha256(&[b"medledger/v1/member-id\0", &list]);
        assert_eq!(first.id().as_bytes()[..], digest[..16]);
        let later = Identity::with_id(
            first.id(),
            SigningKey::generate(&mut rng()),
            HpkeSecretKey::generate_with(HpkeAlgorithm::X25519, &mut rng()),
        );
        assert_eq!(later.id(), first.id());
        assert_ne!(later.public().member_id(), first.id());
    }

    #[test]
    fn pitfall_51_possession_is_proved_for_one_chain_one_registrar_and_one_identity() {
        let (new, other) = (Identity::generate(&mut rng()), Identity::generate(&mut rng()));
        let (chain, hospital) = (ChainId::from_bytes([1; 32]), MemberId::from_bytes([2; 16]));
        let proof = new.prove_possession(&chain, &hospital);
        assert_eq!(new.public().check_possession(&chain, &hospital, &proof), Ok(()));
        let elsewhere = ChainId::from_bytes([9; 32]);
        let refused = Err(SignatureError);
        assert_eq!(new.public().check_possession(&elsewhere, &hospital, &proof), refused);
        assert_eq!(new.public().check_possession(&chain, &other.id(), &proof), refused);
        assert_eq!(other.public().check_possession(&chain, &hospital, &proof), refused);
        // One's own signing key beside somebody else's HPKE key is another identity.
        let mixed = PublicIdentity::new(new.public().signing_key(), other.public().hpke_key());
        assert_eq!(mixed.check_possession(&chain, &hospital, &proof), refused);
    }

    #[test]
    fn collection_keys_are_the_same_each_time_and_differ_by_hospital_and_epoch() {
        let patient = known();
        let hospital = MemberId::from_bytes([3; 16]);
        let key = patient.collection_key(&hospital, 0);
        assert_eq!(key, known().collection_key(&hospital, 0));
        assert_ne!(key, patient.collection_key(&hospital, 1));
        assert_ne!(key, patient.collection_key(&MemberId::from_bytes([4; 16]), 0));
        assert_ne!(&key.0, patient.hpke_secret_key());
        assert_ne!(key, Identity::generate(&mut rng()).collection_key(&hospital, 0));
        assert_eq!(key.public_key(), key.secret_key().public_key());
        // From a separate program.
        assert_eq!(
            patient.collection_key(&hospital, 7).public_key().to_string(),
            "72d575fa99ce7e22de68824f1ed3052a4ae19f028d34eb82bcb76267630ea049"
        );
    }

    #[test]
    fn group_keys_are_the_same_each_time_and_differ_by_group_and_epoch() {
        let hospital = known();
        let group = GroupId::from_bytes([3; 16]);
        let key = hospital.group_key(&group, 1);
        assert_eq!(key, known().group_key(&group, 1));
        assert_ne!(key, hospital.group_key(&group, 2));
        assert_ne!(key, hospital.group_key(&GroupId::from_bytes([4; 16]), 1));
        let collection = hospital.collection_key(&MemberId::from_bytes([3; 16]), 1);
        assert_ne!(key.public_key(), collection.public_key(), "another domain");
        // From a separate program.
        assert_eq!(
            key.public_key().to_string(),
            "20bdadd8b3a0819cb2b71f7d64b53d5404c18afb2a1333ab946ad1b9fc678b55"
        );
    }

    #[test]
    fn pitfall_41_debug_of_secrets_is_redacted() {
        let patient = known();
        assert_eq!(format!("{patient:?}"), format!("Identity({}, ..)", patient.id()));
        let collection = patient.collection_key(&patient.id(), 0);
        assert_eq!(format!("{collection:?}"), "CollectionKey(..)");
    }
}
