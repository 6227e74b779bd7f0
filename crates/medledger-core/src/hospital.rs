//! A hospital that is to be a member: its keys, with proof that it holds them.

mod proposal;
mod set;

pub use proposal::{Proposal, ProposalError};
pub use set::HospitalSet;

use crate::cbor::{self, DecodeError};
use crate::genesis::Founder;
use crate::identity::{Identity, PublicIdentity};
use crate::ids::{ChainId, MemberId};
use crate::keys::{KeyError, Signature, SigningKey, VerifyingKey};
use crate::registry::{FORMAT_VERSION, domain, limit};
use serde::{Deserialize, Serialize};

/// The keys of a hospital that is to be a member, signed by both of them: nobody can put the keys of
/// somebody else beside their own.
///
/// ```
/// use medledger_core::hospital::Application;
/// use medledger_core::identity::Identity;
/// use medledger_core::keys::SigningKey;
/// # let mut rng = medledger_core::rand_core::UnwrapErr(getrandom::SysRng);
/// let (identity, mining) = (Identity::generate(&mut rng), SigningKey::generate(&mut rng));
/// let application = Application::new(None, &identity, &mining);
/// assert_eq!(application.check(None), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    v: u16,
    /// The chain it wants to be admitted to; none for founders, whose chain is not yet there.
    chain: Option<ChainId>,
    /// Its public identity.
    identity: PublicIdentity,
    /// The key it signs blocks, votes and checkpoints with.
    mining: VerifyingKey,
    /// Signature by the identity over the four fields above.
    proof: Signature,
    /// Signature by the mining key over the same.
    mining_proof: Signature,
}

/// Why an application does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// Not the canonical DAG-CBOR of an application, or of a card.
    #[error("not the card of a hospital: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error(
        "the card has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// It was made for another chain, or for founding one.
    #[error("the card is for {}, not for {}", purpose(.found), purpose(.expected))]
    OtherChain {
        /// What it is needed for.
        expected: Option<ChainId>,
        /// What it was made for.
        found: Option<ChainId>,
    },
    /// A mining key with which anyone could sign, or that has a second spelling.
    #[error("mining key: {0}")]
    MiningKey(KeyError),
    /// Not signed by the identity and by the mining key.
    #[error("the card is not signed by both keys on it")]
    Possession,
}

fn purpose(chain: &Option<ChainId>) -> String {
    chain.map_or_else(|| "founding a chain".to_owned(), |chain| format!("chain {chain}"))
}

impl Application {
    /// The application of a hospital that holds these keys, for a chain, or for founding one.
    #[must_use]
    pub fn new(chain: Option<ChainId>, identity: &Identity, mining: &SigningKey) -> Self {
        let (public, key) = (identity.public().clone(), mining.verifying_key());
        let message = message(chain.as_ref(), &public, &key);
        Self {
            v: FORMAT_VERSION,
            chain,
            identity: public,
            mining: key,
            proof: identity.sign(domain::HOSPITAL, &message),
            mining_proof: mining.sign(domain::HOSPITAL, &message),
        }
    }

    /// Whether it is for this chain, or for founding one, and signed by both keys.
    ///
    /// # Errors
    /// See [`ApplicationError`].
    pub fn check(&self, chain: Option<&ChainId>) -> Result<(), ApplicationError> {
        if self.v != FORMAT_VERSION {
            return Err(ApplicationError::UnknownVersion { found: self.v });
        }
        if self.chain.as_ref() != chain {
            let (expected, found) = (chain.copied(), self.chain);
            return Err(ApplicationError::OtherChain { expected, found });
        }
        self.mining.check_for_member().map_err(ApplicationError::MiningKey)?;
        let message = message(chain, &self.identity, &self.mining);
        self.identity
            .verify(domain::HOSPITAL, &message, &self.proof)
            .and_then(|()| self.mining.verify(domain::HOSPITAL, &message, &self.mining_proof))
            .map_err(|_| ApplicationError::Possession)
    }

    /// The hospital's id, if this is its first identity.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.identity.member_id()
    }

    /// The chain it is for; none for founding one.
    #[must_use]
    pub const fn chain(&self) -> Option<&ChainId> {
        self.chain.as_ref()
    }

    /// Its keys.
    #[must_use]
    pub fn hospital(&self) -> Founder {
        Founder { identity: self.identity.clone(), mining: self.mining }
    }
}

fn message(chain: Option<&ChainId>, identity: &PublicIdentity, mining: &VerifyingKey) -> Vec<u8> {
    cbor::encode(&(FORMAT_VERSION, chain, identity, mining))
}

/// What a hospital gives to others so that they found a chain with it, or admit it: a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HospitalCard {
    v: u16,
    /// What it calls itself. Nobody vouches for it, and it never enters a record.
    pub name: String,
    /// Its keys.
    pub application: Application,
}

impl HospitalCard {
    /// A card.
    #[must_use]
    pub const fn new(name: String, application: Application) -> Self {
        Self { v: FORMAT_VERSION, name, application }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the canonical bytes; checks no signature.
    ///
    /// # Errors
    /// [`ApplicationError::Malformed`] and [`ApplicationError::UnknownVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ApplicationError> {
        if let Some(found) = cbor::check_version(bytes, limit::HOSPITAL_CARD_BYTES)? {
            return Err(ApplicationError::UnknownVersion { found });
        }
        Ok(cbor::decode(bytes, limit::HOSPITAL_CARD_BYTES)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::HpkeSecretKey;

    fn keys(seed: u8) -> (Identity, SigningKey) {
        let identity = Identity::from_keys(
            SigningKey::from_seed(&[seed; 32]),
            HpkeSecretKey::from_bytes(crate::keys::HpkeAlgorithm::X25519, &[seed; 32]),
        );
        (identity, SigningKey::from_seed(&[seed + 100; 32]))
    }

    #[test]
    fn pitfall_51_an_application_proves_both_keys_for_one_purpose() {
        let ((identity, mining), (other, stolen)) = (keys(1), keys(2));
        let (chain, elsewhere) = (ChainId::from_bytes([1; 32]), ChainId::from_bytes([2; 32]));
        let application = Application::new(Some(chain), &identity, &mining);
        assert_eq!(application.check(Some(&chain)), Ok(()));
        for wrong in [None, Some(&elsewhere)] {
            assert_eq!(
                application.check(wrong),
                Err(ApplicationError::OtherChain { expected: wrong.copied(), found: Some(chain) })
            );
        }
        let moved = Application { chain: Some(elsewhere), ..application.clone() };
        assert_eq!(moved.check(Some(&elsewhere)), Err(ApplicationError::Possession));
        // Somebody else's mining key beside one's own identity, and the other way round.
        let mixed = Application::new(Some(chain), &other, &stolen);
        for forged in [
            Application { mining: mixed.mining, ..application.clone() },
            Application { identity: mixed.identity, ..application.clone() },
            Application { mining_proof: application.proof, ..application.clone() },
            Application { proof: mixed.proof, ..application },
        ] {
            assert_eq!(forged.check(Some(&chain)), Err(ApplicationError::Possession));
        }
    }

    #[test]
    fn a_card_is_read_back_and_its_version_is_told() {
        let (identity, mining) = keys(3);
        let card = HospitalCard::new("B".into(), Application::new(None, &identity, &mining));
        assert_eq!(HospitalCard::decode(&card.encode()), Ok(card.clone()));
        assert_eq!(card.application.id(), identity.id());
        let later = HospitalCard { v: 9, ..card.clone() };
        assert_eq!(
            HospitalCard::decode(&later.encode()),
            Err(ApplicationError::UnknownVersion { found: 9 })
        );
        let cut = &card.encode()[..40];
        assert!(matches!(HospitalCard::decode(cut), Err(ApplicationError::Malformed(_))));
    }
}
