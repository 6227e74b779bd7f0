//! The folder of a hospital that is on no chain yet, and how it becomes one of a chain's ledgers.

use super::{CreateError, DATABASE, HOSPITAL, in_new_folder, mining_key};
use crate::import::{ChainFile, ImportError, ImportStep, ImportedChain};
use crate::ledger::{BLOCKS, Ledger, OpenError, node_key_path, take_lock};
use crate::node_key::NodeKey;
use crate::people::{self, Contact, IDENTITIES, IdentityError, check_contact};
use crate::settings::Settings;
use crate::sqlite::SqliteStore;
use crate::system::os_rng;
use medledger_core::clock::Clock;
use medledger_core::follow;
use medledger_core::hospital::{Application, HospitalCard};
use medledger_core::identity::{Identity, LockParams};
use medledger_core::ids::{ChainId, MemberId};
use medledger_core::keys::SigningKey;
use medledger_core::registry::Role;
use medledger_core::state::State;
use medledger_core::store::{Drawer, Store, StoreError, View};
use medledger_ipfs::{FileStore, car};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Options for the folder of a hospital that is to join a chain.
#[derive(Debug)]
#[non_exhaustive]
pub struct HospitalOptions {
    /// What people call the hospital, and its mail address.
    pub hospital: Contact,
    /// Settings of the folder.
    pub settings: Settings,
    /// How identity files are locked.
    pub lock_params: LockParams,
}

impl HospitalOptions {
    /// The defaults, for a hospital of this name.
    #[must_use]
    pub fn new(hospital: impl Into<String>) -> Self {
        Self {
            hospital: Contact::named(hospital),
            settings: Settings::default(),
            lock_params: LockParams::default(),
        }
    }
}

/// Why there is no card of a hospital.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HospitalError {
    /// The folder is that of no hospital, but of a follower.
    #[error("{0} is the folder of no hospital")]
    NoHospital(PathBuf),
    /// The folder cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The hospital's identity file.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// Makes the keys of a hospital in `folder`, which must not exist or be empty. It is on no chain
    /// until it [joins](Self::join) one; until then nothing but [`hospital_card`](Self::hospital_card)
    /// works in it. Returns its card for founding a chain, and its identity.
    ///
    /// # Errors
    /// See [`CreateError`]; then `folder` is as it was.
    pub fn new_hospital(
        folder: impl AsRef<Path>,
        options: &HospitalOptions,
        password: &str,
    ) -> Result<(HospitalCard, Identity), CreateError> {
        let folder = folder.as_ref();
        let make = |building: &Path| prepare(building, options, password);
        let (card, identity) = in_new_folder(folder, make, Ok::<_, CreateError>)?;
        Ok((card, identity))
    }

    /// The card of the hospital in `folder`: for founding a chain, or for being admitted to `chain`. It
    /// holds public keys only; `password` is that of the hospital's identity file, which signs it.
    ///
    /// # Errors
    /// See [`HospitalError`].
    pub fn hospital_card(
        folder: impl AsRef<Path>,
        chain: Option<ChainId>,
        password: &str,
    ) -> Result<HospitalCard, HospitalError> {
        let folder = folder.as_ref();
        let settings = Settings::load(folder).map_err(OpenError::from)?;
        let node_key = NodeKey::load(&node_key_path(folder, &settings)).map_err(OpenError::from)?;
        let store = SqliteStore::open(&folder.join(DATABASE), true)?;
        let view = store.view()?;
        let own = own_hospital(view.as_ref())?;
        let mining = mining_key(view.as_ref(), &node_key)?;
        let (Some(own), Some(mining)) = (own, mining) else {
            return Err(HospitalError::NoHospital(folder.into()));
        };
        let identity = people::unlock_in(folder, &own, password)?;
        let name = people::contact_of(view.as_ref(), &node_key, &own)?.name;
        Ok(HospitalCard::new(name, Application::new(chain, &identity, &mining)))
    }

    /// Makes the folder of a [new hospital](Self::new_hospital) a ledger of a chain: that of a CAR as
    /// [`export_chain`](Self::export_chain) writes it, verified from genesis. The hospital must be a member
    /// there, as a founder or because it was admitted.
    ///
    /// `chain` is the chain's id, from someone you trust.
    ///
    /// # Errors
    /// See [`ImportError`]; then the folder is as it was.
    pub fn join(
        folder: impl AsRef<Path>,
        chain: &ChainId,
        input: impl Read,
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<(Self, ImportedChain), ImportError> {
        let folder = folder.as_ref();
        let done = {
            let settings = Settings::load(folder).map_err(OpenError::from)?;
            let _lock = take_lock(folder)?;
            let node_key =
                NodeKey::load(&node_key_path(folder, &settings)).map_err(OpenError::from)?;
            let store = SqliteStore::open(&folder.join(DATABASE), false)?;
            let mut unit = store.unit()?;
            if unit.block(0)?.is_some() {
                return Err(ImportError::JoinedBefore(folder.into()));
            }
            let file = ChainFile::open(input, folder, progress)?;
            if file.rules.chain != *chain {
                let (found, expected) = (file.rules.chain, *chain);
                return Err(ImportError::OtherChain { found, expected });
            }
            follow::found(unit.as_mut(), &file.rules, &file.genesis)?;
            let done = file.append(unit.as_mut(), crate::SystemClock.now(), progress)?;
            let hospital = own_hospital(unit.as_ref())?;
            let key = mining_key(unit.as_ref(), &node_key)?;
            let is_member = match (hospital, &key) {
                (Some(hospital), Some(key)) => {
                    State::new(unit.as_ref()).member(&hospital)?.is_some_and(|entry| {
                        entry.role == Role::Hospital && entry.mining.contains(&key.verifying_key())
                    })
                }
                _ => false,
            };
            if !is_member {
                // A folder without a hospital has no mining key either.
                let hospital = hospital.unwrap_or(MemberId::from_bytes([0; 16]));
                return Err(ImportError::NotAHospital { hospital, chain: *chain });
            }
            let blocks = FileStore::open(folder.join(BLOCKS))?;
            for envelope in file.reports(unit.as_ref())? {
                car::copy(&file.car, &envelope, &blocks, car::Limits::FILES)?;
            }
            unit.commit()?;
            done
        };
        Ok((Self::open(folder)?, done))
    }
}

/// The keys of a hospital in a folder that is being built.
fn prepare(
    folder: &Path,
    options: &HospitalOptions,
    password: &str,
) -> Result<(HospitalCard, Identity), CreateError> {
    check_contact(&options.hospital)?;
    let mut rng = os_rng();
    let identity = Identity::generate(&mut rng);
    let mining = SigningKey::generate(&mut rng);
    for sub in [BLOCKS, IDENTITIES] {
        let path = folder.join(sub);
        std::fs::create_dir(&path).map_err(|source| CreateError::Io { path, source })?;
    }
    people::save_identity(folder, &identity, password, &options.lock_params)?;
    let store = SqliteStore::create(&folder.join(DATABASE))?;
    let path = node_key_path(folder, &options.settings);
    let node_key = NodeKey::create(&path, &mut rng)?;
    let write = || -> Result<(), CreateError> {
        let mut unit = store.unit()?;
        super::keep_keys(unit.as_mut(), &node_key, &identity.id(), &mining, &options.hospital)?;
        unit.commit()?;
        Ok(options.settings.save(folder)?)
    };
    if let Err(error) = write() {
        // It may lie outside the folder that is taken back.
        let _ = std::fs::remove_file(path);
        return Err(error);
    }
    let application = Application::new(None, &identity, &mining);
    Ok((HospitalCard::new(options.hospital.name.clone(), application), identity))
}

/// Whether a store is that of a hospital that has joined no chain yet.
pub(crate) fn waits_for_a_chain(view: &dyn View) -> Result<bool, StoreError> {
    let nothing = view.block(0)?.is_none() && State::new(view).genesis()?.is_none();
    Ok(nothing && view.local(Drawer::Node, HOSPITAL)?.is_some())
}

fn own_hospital(view: &dyn View) -> Result<Option<MemberId>, StoreError> {
    let row = view.local(Drawer::Node, HOSPITAL)?;
    Ok(row.and_then(|bytes| MemberId::try_from(bytes.as_slice()).ok()))
}
