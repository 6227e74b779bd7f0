//! An identity at rest, locked with a password.
//!
//! The file is a DAG-CBOR list of header and ciphertext. The header, `{v, id, kdf: {m, t, p, salt},
//! public}`, is in clear, so that a folder can be listed without passwords; it is the associated
//! data (behind the domain string), so nothing of it can be changed. The key is Argon2id (RFC 9106,
//! version 0x13) of the password in Unicode NFC; the ciphertext is AES-256-GCM of the Ed25519 seed, the HPKE secret key (32
//! bytes each) and the former HPKE secret keys, the newest first (an algorithm byte and 32 bytes each). Version 1, which is
//! still read, has no former keys and an X25519 key only.
//!
//! Each lock draws a fresh salt, so a key encrypts one file once, and the nonce is zero.

use super::{Identity, PublicIdentity};
use crate::cbor::{self, DecodeError};
use crate::ids::MemberId;
use crate::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use crate::registry::{domain, limit};
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

/// Version of the locked identity files this crate writes; it reads those before it too.
pub const LOCKED_VERSION: u16 = 2;

const SECRET_BYTES: usize = 64;
const FORMER_BYTES: usize = 33;
const TAG_BYTES: usize = 16;
/// Used once with each key: see the module's text.
const NONCE: [u8; 12] = [0; 12];

/// How much work one guess at a password costs. Bounded on reading, so that a hostile file cannot
/// eat the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl LockParams {
    /// Memory allowed, in KiB: 8 MiB to 1 GiB.
    pub const MEMORY_KIB: RangeInclusive<u32> = 8 * 1024..=1024 * 1024;
    /// Passes over the memory allowed.
    pub const PASSES: RangeInclusive<u32> = 1..=16;
    /// Lanes allowed.
    pub const LANES: RangeInclusive<u32> = 1..=16;

    /// Other parameters than the default ones.
    ///
    /// # Errors
    /// A parameter out of bounds.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, ParamsError> {
        let check = |name, range: RangeInclusive<u32>, found| {
            let (min, max) = (*range.start(), *range.end());
            let within = range.contains(&found);
            if within { Ok(found) } else { Err(ParamsError { name, min, max, found }) }
        };
        Ok(Self {
            memory_kib: check("memory in KiB", Self::MEMORY_KIB, memory_kib)?,
            passes: check("passes", Self::PASSES, passes)?,
            lanes: check("lanes", Self::LANES, lanes)?,
        })
    }

    /// The least that is accepted: 8 MiB, one pass. For tests that lock many identities, and for
    /// nothing else: a guess costs a few milliseconds.
    #[must_use]
    pub const fn weak_for_tests() -> Self {
        Self { memory_kib: *Self::MEMORY_KIB.start(), passes: 1, lanes: 1 }
    }

    /// Whether a guess costs less than with `other`: less memory, or less work over all of it.
    #[must_use]
    pub fn is_weaker_than(&self, other: &Self) -> bool {
        let work = |params: &Self| u64::from(params.memory_kib) * u64::from(params.passes);
        self.memory_kib < other.memory_kib || work(self) < work(other)
    }

    /// Memory in KiB, passes over it, and lanes.
    #[must_use]
    pub const fn parts(&self) -> (u32, u32, u32) {
        (self.memory_kib, self.passes, self.lanes)
    }
}

impl Default for LockParams {
    /// 48 MiB, two passes, one lane: about 100 ms, and 2.5 times OWASP's least (19 MiB, two passes).
    fn default() -> Self {
        Self { memory_kib: 48 * 1024, passes: 2, lanes: 1 }
    }
}

/// A parameter of the password hash out of bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be from {min} to {max}, found {found}")]
pub struct ParamsError {
    /// Which parameter.
    pub name: &'static str,
    /// The least allowed.
    pub min: u32,
    /// The most allowed.
    pub max: u32,
    /// The value found.
    pub found: u32,
}

/// An identity that could not be locked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// With an empty password the file would look locked and not be.
    #[error("the password is empty")]
    EmptyPassword,
    /// The memory the parameters ask for is not to be had.
    #[error("no {mib} MiB of memory for the password hash")]
    OutOfMemory {
        /// How much was asked for, in MiB.
        mib: u32,
    },
}

/// A locked identity that could not be read or unlocked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnlockError {
    /// The password does not fit, or the file was changed or damaged in a way that cannot be told
    /// from that.
    #[error("wrong password, or the locked identity is damaged")]
    WrongPasswordOrDamaged,
    /// The file is of a version this program does not know.
    #[error(
        "the locked identity has version {found}; this program reads version {LOCKED_VERSION} and those before"
    )]
    Version {
        /// The version found.
        found: u64,
    },
    /// The bytes are no locked identity.
    #[error("not a locked identity: {0}")]
    Encoding(#[from] DecodeError),
    /// The password hash would cost less or more than is accepted.
    #[error("the locked identity asks for a password hash out of bounds: {0}")]
    Params(#[from] ParamsError),
    /// The ciphertext does not have its length.
    #[error(
        "the ciphertext of a locked identity has {expected} bytes and 33 for each former key, found {found}"
    )]
    Length {
        /// The right length without former keys, in bytes.
        expected: usize,
        /// The length found, in bytes.
        found: usize,
    },
    /// The memory the file asks for is within bounds, but not to be had.
    #[error("no {mib} MiB of memory for the password hash")]
    OutOfMemory {
        /// How much was asked for, in MiB.
        mib: u32,
    },
}

/// What a locked identity tells without its password. It is authenticated only by unlocking it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockedInfo {
    /// Whose it is.
    pub id: MemberId,
    /// Their public keys at the time of locking.
    pub public: PublicIdentity,
    /// What a guess at the password costs.
    pub params: LockParams,
    /// Version of the file.
    pub version: u16,
    /// How many former HPKE keys it holds.
    pub former: usize,
}

impl LockedInfo {
    /// Whether locking it anew with `params` would make a guess dearer, or the file newer.
    #[must_use]
    pub fn is_outdated(&self, params: &LockParams) -> bool {
        self.version < LOCKED_VERSION || self.params.is_weaker_than(params)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    v: u16,
    id: MemberId,
    kdf: Kdf,
    public: PublicIdentity,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    m: u32,
    t: u32,
    p: u32,
    #[serde(with = "serde_bytes")]
    salt: [u8; 16],
}

#[derive(Serialize, Deserialize)]
struct File(Header, #[serde(with = "serde_bytes")] Vec<u8>);

/// Locks `identity` with `password`: the bytes of a file.
///
/// ```
/// use medledger_core::{identity::*, rand_core::UnwrapErr};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let patient = Identity::generate(&mut rng);
/// let file = lock(&patient, "correct horse", &LockParams::weak_for_tests(), &mut rng)?;
/// assert_eq!(peek(&file)?.id, patient.id());
/// assert_eq!(unlock(&file, "correct horse")?, patient);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`LockError`].
///
/// # Panics
/// Never: AES-GCM and Argon2 fail only on lengths, which are fixed here.
pub fn lock(
    identity: &Identity,
    password: &str,
    params: &LockParams,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, LockError> {
    if password.is_empty() {
        return Err(LockError::EmptyPassword);
    }
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let LockParams { memory_kib, passes, lanes } = *params;
    let header = Header {
        v: LOCKED_VERSION,
        id: identity.id(),
        kdf: Kdf { m: memory_kib, t: passes, p: lanes, salt },
        public: identity.public().clone(),
    };
    let key = password_key(password, params, &salt)
        .ok_or(LockError::OutOfMemory { mib: memory_kib / 1024 })?;
    let room = SECRET_BYTES + identity.former.len() * FORMER_BYTES;
    let mut secret = Zeroizing::new(Vec::with_capacity(room));
    secret.extend_from_slice(identity.signing.expose_seed());
    secret.extend_from_slice(&*identity.hpke.expose());
    for key in &identity.former {
        secret.push(key.algorithm().key_algorithm().code());
        secret.extend_from_slice(&*key.expose());
    }
    let tag = Aes256Gcm::new((&*key).into())
        .encrypt_inout_detached(&NONCE.into(), &associated(&header), secret.as_mut_slice().into())
        .expect("a few hundred bytes are within what AES-GCM takes");
    let ciphertext = [&secret[..], &tag].concat();
    Ok(cbor::encode(&File(header, ciphertext)))
}

/// Opens what [`lock`] wrote.
///
/// # Errors
/// See [`UnlockError`]. Everything that costs nothing to check is checked before the password.
pub fn unlock(bytes: &[u8], password: &str) -> Result<Identity, UnlockError> {
    let (File(header, ciphertext), params) = read(bytes)?;
    let key = password_key(password, &params, &header.kdf.salt)
        .ok_or(UnlockError::OutOfMemory { mib: params.memory_kib / 1024 })?;
    let (sealed, tag) =
        ciphertext.split_last_chunk::<TAG_BYTES>().ok_or(UnlockError::WrongPasswordOrDamaged)?;
    let mut secret = Zeroizing::new(sealed.to_vec());
    let tag = Tag::try_from(&tag[..]).map_err(|_| UnlockError::WrongPasswordOrDamaged)?;
    let nonce: Nonce<_> = NONCE.into();
    Aes256Gcm::new((&*key).into())
        .decrypt_inout_detached(&nonce, &associated(&header), secret.as_mut_slice().into(), &tag)
        .map_err(|_| UnlockError::WrongPasswordOrDamaged)?;
    let (present, former) = secret.split_at(SECRET_BYTES);
    let ([seed, hpke], []) = present.as_chunks() else {
        return Err(UnlockError::WrongPasswordOrDamaged);
    };
    let hpke = HpkeSecretKey::from_bytes(header.public.hpke_key().algorithm(), hpke);
    let former: Option<Vec<_>> =
        former.as_chunks::<FORMER_BYTES>().0.iter().map(former_key).collect();
    let identity = Identity::with_id(header.id, SigningKey::from_seed(seed), hpke)
        .with_former(former.ok_or(UnlockError::WrongPasswordOrDamaged)?);
    // AES-GCM alone would let a forger make one file that opens under two passwords he knows; the
    // keys inside must be those named outside, which leaves him one.
    if identity.public != header.public {
        return Err(UnlockError::WrongPasswordOrDamaged);
    }
    Ok(identity)
}

fn former_key([code, bytes @ ..]: &[u8; FORMER_BYTES]) -> Option<HpkeSecretKey> {
    let algorithm = HpkeAlgorithm::ALL.into_iter().find(|a| a.key_algorithm().code() == *code)?;
    Some(HpkeSecretKey::from_bytes(algorithm, bytes))
}

/// Reads what stands in clear.
///
/// # Errors
/// As [`unlock`], but for the password.
pub fn peek(bytes: &[u8]) -> Result<LockedInfo, UnlockError> {
    let (File(Header { v, id, public, .. }, ciphertext), params) = read(bytes)?;
    let former = (ciphertext.len() - SECRET_BYTES - TAG_BYTES) / FORMER_BYTES;
    Ok(LockedInfo { id, public, params, version: v, former })
}

fn read(bytes: &[u8]) -> Result<(File, LockParams), UnlockError> {
    cbor::check_shape(bytes, limit::LOCKED_IDENTITY_BYTES)?;
    // The version first: what follows may look different in another.
    if let Some(found) = version(bytes)
        && !(1..=u64::from(LOCKED_VERSION)).contains(&found)
    {
        return Err(UnlockError::Version { found });
    }
    let file: File = cbor::decode(bytes, limit::LOCKED_IDENTITY_BYTES)?;
    let Kdf { m, t, p, .. } = file.0.kdf;
    let params = LockParams::new(m, t, p)?;
    let most = if file.0.v == 1 { 0 } else { limit::FORMER_KEYS };
    let (expected, found) = (SECRET_BYTES + TAG_BYTES, file.1.len());
    let fits = |former: usize| former.is_multiple_of(FORMER_BYTES) && former / FORMER_BYTES <= most;
    if !found.checked_sub(expected).is_some_and(fits) {
        return Err(UnlockError::Length { expected, found });
    }
    Ok((file, params))
}

fn version(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct AnyHeader {
        v: u64,
    }
    #[derive(Deserialize)]
    struct AnyFile(AnyHeader, #[allow(dead_code)] serde::de::IgnoredAny);
    serde_ipld_dagcbor::from_slice::<AnyFile>(bytes).ok().map(|AnyFile(header, _)| header.v)
}

fn associated(header: &Header) -> Vec<u8> {
    [domain::LOCKED_IDENTITY, &cbor::encode(header)].concat()
}

/// Argon2id; `None` when there is not enough memory.
fn password_key(
    password: &str,
    params: &LockParams,
    salt: &[u8; 16],
) -> Option<Zeroizing<[u8; 32]>> {
    // One character may be typed as one code point or as several, depending on the keyboard.
    let mut normal = Zeroizing::new(String::with_capacity(4 * password.len()));
    normal.extend(password.nfc());
    let LockParams { memory_kib, passes, lanes } = *params;
    let params = Params::new(memory_kib, passes, lanes, None).expect("bounds were checked");
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).ok()?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 32]);
    let result = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(normal.as_bytes(), salt, &mut *key, &mut memory);
    memory.zeroize();
    result.expect("lengths of password, salt and key are within what Argon2 takes");
    Some(key)
}

#[cfg(test)]
mod tests;
