//! A patient's consent to new keys, on its way from the patient's machine to the hospital.
//!
//! Keys that were suspended are succeeded by hospital and patient together (DESIGN 5.3). The patient makes the next keys
//! where nobody else is, and this is all that leaves that machine: public keys and two signatures.

use super::{FormerKeysError, Identity, PublicIdentity};
use crate::cbor::{self, DecodeError};
use crate::ids::{ChainId, KeyFingerprint, MemberId};
use crate::keys::{HpkeAlgorithm, Signature};
use crate::record::Succeed;
use crate::registry::{FORMAT_VERSION, limit};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// Consent of a patient's suspended keys to the keys that are to succeed them: a file that the patient gives to the
/// hospital that registered them.
///
/// It is good for one chain, one member, one pair of new keys, and for as long as the keys that consent are the
/// member's: any succession ends it.
///
/// ```
/// use medledger_core::{identity::*, ids::ChainId, rand_core::UnwrapErr};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let (chain, present) = (ChainId::from_bytes([1; 32]), Identity::generate(&mut rng));
/// let (next, consent) = present.consent_to_next(&chain, &mut rng)?;
/// let received = KeyConsent::decode(&consent.encode())?;
/// assert_eq!(received.next().fingerprint(), next.public().fingerprint());
/// received.check(&chain, &present.id(), present.public(), true)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyConsent {
    v: u16,
    keys: KeyFingerprint,
    next: PublicIdentity,
    chain: ChainId,
    proof: Signature,
    member: MemberId,
    consent: Signature,
}

/// Why a consent is none, or none that counts here and now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// Not the canonical DAG-CBOR of a consent.
    #[error("not a consent to new keys: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error(
        "the consent has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// It was given for another chain.
    #[error("the consent is for chain {found}, not for {expected}")]
    OtherChain {
        /// The chain here.
        expected: ChainId,
        /// The chain of the consent.
        found: ChainId,
    },
    /// It is about somebody else's keys.
    #[error("the consent is about member {found}, not about {expected}")]
    OtherMember {
        /// Whose keys were to be replaced.
        expected: MemberId,
        /// Whom the consent is about.
        found: MemberId,
    },
    /// The new keys are the member's already: it was used before.
    #[error("the new keys are the member's already: this consent was used")]
    Used,
    /// The keys that consent are not, or no longer, the member's.
    #[error(
        "the keys that consent, {found}, are not the member's present ones, {expected}: they were succeeded since, or \
         were never the member's"
    )]
    OtherKeys {
        /// The member's present keys.
        expected: KeyFingerprint,
        /// The keys that are said to consent.
        found: KeyFingerprint,
    },
    /// The present keys sign for themselves.
    #[error("the member's keys are not suspended: the member gives themselves new ones")]
    NotSuspended,
    /// The new HPKE key is of a weaker algorithm than the present one.
    #[error("the new keys are of a weaker algorithm: {found}, after {before}")]
    Weaker {
        /// The present algorithm.
        before: HpkeAlgorithm,
        /// That of the new key.
        found: HpkeAlgorithm,
    },
    /// One of the new keys is a present one.
    #[error("one of the new keys is one that was suspended")]
    SameKeys,
    /// The signature is not by the member's present keys over this consent.
    #[error("the consent is not signed by the member's present keys")]
    NotSigned,
    /// Whoever made it does not hold the new keys.
    #[error("the consent does not prove that the new keys are at hand")]
    NotPossessed,
}

impl Identity {
    /// Fresh keys for the same member, X-Wing for HPKE, with the former HPKE keys kept, and the consent of the present
    /// keys to them. The new keys are to be durable before the consent leaves the machine.
    ///
    /// # Errors
    /// When the identity holds all the former keys it can.
    pub fn consent_to_next(
        &self,
        chain: &ChainId,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Self, KeyConsent), FormerKeysError> {
        let next = self.next(HpkeAlgorithm::XWing, rng)?;
        let consent = KeyConsent {
            v: FORMAT_VERSION,
            keys: self.public().fingerprint(),
            next: next.public().clone(),
            chain: *chain,
            proof: next.prove_succession(chain),
            member: self.id(),
            consent: self.consent_to(chain, next.public()),
        };
        Ok((next, consent))
    }
}

impl KeyConsent {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the canonical bytes; checks no signature.
    ///
    /// # Errors
    /// [`ConsentError::Malformed`], also for keys that cannot be used, and [`ConsentError::UnknownVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ConsentError> {
        if let Some(found) = cbor::check_version(bytes, limit::KEY_CONSENT_BYTES)? {
            return Err(ConsentError::UnknownVersion { found });
        }
        Ok(cbor::decode(bytes, limit::KEY_CONSENT_BYTES)?)
    }

    /// Whose keys it is about; nobody vouches for it until it is [checked](Self::check).
    #[must_use]
    pub const fn member(&self) -> MemberId {
        self.member
    }

    /// The chain it was given for.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The keys that are to succeed. Their fingerprint is what the patient reads out, and the hospital compares.
    #[must_use]
    pub const fn next(&self) -> &PublicIdentity {
        &self.next
    }

    /// Whether it counts for `member` on `chain`, whose present keys are these, suspended or not: each rule that the
    /// succession will be judged by, and the first that does not hold by name.
    ///
    /// # Errors
    /// See [`ConsentError`].
    pub fn check(
        &self,
        chain: &ChainId,
        member: &MemberId,
        present: &PublicIdentity,
        suspended: bool,
    ) -> Result<(), ConsentError> {
        if self.chain != *chain {
            return Err(ConsentError::OtherChain { expected: *chain, found: self.chain });
        }
        if self.member != *member {
            return Err(ConsentError::OtherMember { expected: *member, found: self.member });
        }
        if self.next == *present {
            return Err(ConsentError::Used);
        }
        let (expected, found) = (present.fingerprint(), self.keys);
        if found != expected {
            return Err(ConsentError::OtherKeys { expected, found });
        }
        if !suspended {
            return Err(ConsentError::NotSuspended);
        }
        let (before, next) = (present.hpke_key(), self.next.hpke_key());
        if next.algorithm() < before.algorithm() {
            let (before, found) = (before.algorithm(), next.algorithm());
            return Err(ConsentError::Weaker { before, found });
        }
        if next == before || self.next.signing_key() == present.signing_key() {
            return Err(ConsentError::SameKeys);
        }
        present
            .check_consent(chain, member, &self.next, &self.consent)
            .map_err(|_| ConsentError::NotSigned)?;
        self.next
            .check_succession(chain, member, &self.proof)
            .map_err(|_| ConsentError::NotPossessed)
    }

    /// What the hospital states with it.
    #[must_use]
    pub fn into_record(self) -> Succeed {
        let Self { next, proof, member, consent, .. } = self;
        Succeed { member, next, proof, consent: Some(consent) }
    }
}

#[cfg(test)]
mod tests;
