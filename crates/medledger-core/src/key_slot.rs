//! Key slots: a secret key of a collection or a group, or a reader's access key, wrapped for somebody.
//!
//! A [slot](crate::slot) opens one report. A key slot gives a key that opens slots: whoever shares a
//! collection wraps one secret, whatever the number of reports, and whoever joins a group is given one.
//! The context is the `info` of the key derivation, as for slots, and names the key that is wrapped too.
//!
//! | role | what is wrapped | for |
//! |---|---|---|
//! | 1 | secret key of a collection | the reader or group of a grant on it |
//! | 2 | secret key of the epoch before, of a collection or a group | who has the key of this epoch |
//! | 3 | secret key of a group | a member of it |
//! | 4 | access key of a reader | the patient, to wrap anew what the reader has |

use crate::access_key::AccessKey;
use crate::cbor;
use crate::ids::{ChainId, GrantId, GroupId, MemberId};
use crate::kdf;
use crate::keys::{self, HpkePublicKey, HpkeSecretKey};
use crate::registry::{domain, limit};
use crate::slot::{SlotError, SlotSuite};
use aes_kw::{KwAes128, aes::cipher::KeyInit};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a secret key.
const SECRET_BYTES: usize = 32;
/// Bytes that AES Key Wrap adds.
const WRAP_BYTES: usize = 8;

/// What a key slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum KeySlotRole {
    /// A collection's key, for the reader or group of a grant on it.
    Collection = 1,
    /// The key of the epoch before, for whoever has that of this one.
    Before = 2,
    /// A group's key, for a member.
    Member = 3,
    /// A reader's access key, for the patient who gave it.
    AccessKey = 4,
}

impl KeySlotRole {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Collection, Self::Before, Self::Member, Self::AccessKey];

    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    /// The collection of a patient at a hospital.
    Collection {
        /// The patient.
        patient: MemberId,
        /// The hospital.
        hospital: MemberId,
    },
    /// A group.
    Group(GroupId),
}

/// What a key slot is about. As for a slot, suite and reader's key come from the key in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlotContext {
    /// The chain.
    pub chain: ChainId,
    /// Whose key it is.
    pub owner: KeyOwner,
    /// The epoch at which it was wrapped.
    pub epoch: u32,
    /// What for.
    pub role: KeySlotRole,
    /// The grant, where there is one.
    pub grant: Option<GrantId>,
    /// The reader or, by its id, the group; none for whoever has the key of the epoch.
    pub reader: Option<MemberId>,
    /// Public half of the key that is wrapped; none for an access key.
    pub wrapped: Option<HpkePublicKey>,
}

impl KeySlotContext {
    /// The bytes of the context: the domain string, then a DAG-CBOR list of suite, chain, patient or group,
    /// hospital or null, epoch, role, grant or null, reader or null, public half of the wrapped key or null,
    /// the reader's key or null.
    #[must_use]
    pub fn to_bytes(&self, suite: SlotSuite, reader_key: Option<&HpkePublicKey>) -> Vec<u8> {
        let (subject, hospital) = match &self.owner {
            KeyOwner::Collection { patient, hospital } => (*patient, Some(hospital)),
            KeyOwner::Group(group) => (MemberId::from_bytes(*group.as_bytes()), None),
        };
        let list = cbor::encode(&(
            suite.code(),
            self.chain,
            subject,
            hospital,
            self.epoch,
            self.role.code(),
            self.grant,
            self.reader,
            &self.wrapped,
            reader_key,
        ));
        [domain::KEY_SLOT, &list].concat()
    }
}

/// A wrapped secret, ready to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySlot {
    suite: SlotSuite,
    wrapped: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Stored(u16, #[serde(with = "serde_bytes")] Vec<u8>);

impl KeySlot {
    /// Wraps a secret key for the holder of the secret half of `to`.
    ///
    /// # Panics
    /// When `context` does not name this key: a bug of the caller.
    #[must_use]
    pub fn wrap(
        secret: &HpkeSecretKey,
        to: &HpkePublicKey,
        context: &KeySlotContext,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        assert_eq!(context.wrapped, Some(secret.public_key()), "the context names the wrapped key");
        Self::seal(&*secret.expose(), to, context, rng)
    }

    /// Wraps a secret key for whoever types an access key. Use the access key in this context once.
    ///
    /// # Panics
    /// When `context` does not name this key: a bug of the caller.
    #[must_use]
    pub fn wrap_with_access_key(
        secret: &HpkeSecretKey,
        key: &AccessKey,
        context: &KeySlotContext,
    ) -> Self {
        assert_eq!(context.wrapped, Some(secret.public_key()), "the context names the wrapped key");
        let suite = SlotSuite::AccessKey;
        let mut wrapped = vec![0; SECRET_BYTES + WRAP_BYTES];
        KwAes128::new((&*kek(key, context)).into())
            .wrap_key(&*secret.expose(), &mut wrapped)
            .expect("the lengths fit");
        Self { suite, wrapped }
    }

    /// Wraps a reader's access key for the patient who gave it.
    #[must_use]
    pub fn wrap_access_key(
        key: &AccessKey,
        to: &HpkePublicKey,
        context: &KeySlotContext,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        Self::seal(key.expose(), to, context, rng)
    }

    fn seal(
        secret: &[u8],
        to: &HpkePublicKey,
        context: &KeySlotContext,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let suite = SlotSuite::of(to);
        let info = context.to_bytes(suite, Some(to));
        let wrapped = keys::seal(to, &info, b"", secret, rng).expect("the key can be used");
        Self { suite, wrapped }
    }

    /// Opens a wrapped secret key with another.
    ///
    /// # Errors
    /// [`SlotError::OtherSuite`] and [`SlotError::WrongKeyOrMoved`], as for a slot.
    pub fn unwrap(
        &self,
        with: &HpkeSecretKey,
        context: &KeySlotContext,
    ) -> Result<HpkeSecretKey, SlotError> {
        named(&self.open(with, context)?, context)
    }

    /// Opens a wrapped secret key with an access key.
    ///
    /// # Errors
    /// As [`unwrap`](Self::unwrap).
    pub fn unwrap_with_access_key(
        &self,
        key: &AccessKey,
        context: &KeySlotContext,
    ) -> Result<HpkeSecretKey, SlotError> {
        self.expect(SlotSuite::AccessKey)?;
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        if self.wrapped.len() != SECRET_BYTES + WRAP_BYTES {
            return Err(SlotError::WrongKeyOrMoved);
        }
        KwAes128::new((&*kek(key, context)).into())
            .unwrap_key(&self.wrapped, &mut *secret)
            .map_err(|_| SlotError::WrongKeyOrMoved)?;
        named(&*secret, context)
    }

    /// Opens a wrapped access key.
    ///
    /// # Errors
    /// As [`unwrap`](Self::unwrap).
    pub fn unwrap_access_key(
        &self,
        with: &HpkeSecretKey,
        context: &KeySlotContext,
    ) -> Result<AccessKey, SlotError> {
        let key = self.open(with, context)?;
        Ok(AccessKey::from_bytes(key[..].try_into().map_err(|_| SlotError::WrongKeyOrMoved)?))
    }

    fn open(
        &self,
        with: &HpkeSecretKey,
        context: &KeySlotContext,
    ) -> Result<Zeroizing<Vec<u8>>, SlotError> {
        let public = with.public_key();
        self.expect(SlotSuite::of(&public))?;
        let info = context.to_bytes(self.suite, Some(&public));
        keys::open(with, &info, b"", &self.wrapped).map_err(|_| SlotError::WrongKeyOrMoved)
    }

    fn expect(&self, wanted: SlotSuite) -> Result<(), SlotError> {
        let found = self.suite;
        if found == wanted { Ok(()) } else { Err(SlotError::OtherSuite { wanted, found }) }
    }

    /// The suite.
    #[must_use]
    pub const fn suite(&self) -> SlotSuite {
        self.suite
    }

    /// The key slot as it is stored: a DAG-CBOR list of suite and wrapped secret.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::encode(&Stored(self.suite.code(), self.wrapped.clone()))
    }

    /// Reads a stored key slot.
    ///
    /// # Errors
    /// Bytes that are no key slot, and a suite that is unknown.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SlotError> {
        let Stored(code, wrapped) = cbor::decode(bytes, limit::SLOT_BYTES)?;
        Ok(Self { suite: SlotSuite::from_code(code)?, wrapped })
    }
}

impl fmt::Debug for KeySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySlot(suite {}, {} bytes)", self.suite.code(), self.wrapped.len())
    }
}

/// The secret key with these bytes, if it is the one the context names.
fn named(secret: &[u8], context: &KeySlotContext) -> Result<HpkeSecretKey, SlotError> {
    let bytes = Zeroizing::new(secret.try_into().map_err(|_| SlotError::WrongKeyOrMoved)?);
    // The bytes do not tell their algorithm; the public half does.
    let public = context.wrapped.as_ref().ok_or(SlotError::WrongKeyOrMoved)?;
    let key = HpkeSecretKey::from_bytes(public.algorithm(), &bytes);
    if key.public_key() == *public { Ok(key) } else { Err(SlotError::WrongKeyOrMoved) }
}

fn kek(key: &AccessKey, context: &KeySlotContext) -> Zeroizing<[u8; 16]> {
    kdf::derive(key.expose(), &[&context.to_bytes(SlotSuite::AccessKey, None)])
}

#[cfg(test)]
mod tests;
