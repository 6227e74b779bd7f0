//! Making a ledger: the hospital's identity, the genesis block, the folder.

use crate::ledger::{BLOCKS, Ledger, OpenError, OpenOptions, node_key_path};
use crate::node_key::{NodeKey, NodeKeyError};
use crate::people::{self, Contact, IDENTITIES, RegisterError, check_contact};
use crate::settings::{Settings, SettingsError};
use crate::system::{SystemClock, Threads, os_rng};
use medledger_core::chain::Rules;
use medledger_core::clock::Clock;
use medledger_core::engine::{Engine, LogEngine, MiningKey, PowEngine};
use medledger_core::genesis::{Consensus, Founder, Genesis, GenesisError};
use medledger_core::hospital::{ApplicationError, HospitalCard};
use medledger_core::identity::{Identity, LockParams};
use medledger_core::ids::MemberId;
use medledger_core::keys::SigningKey;
use medledger_core::pow::{self, Bits, Outcome, Schedule, ScheduleError, Target, Workers};
use medledger_core::rand_core::Rng;
use medledger_core::store::{Drawer, Store, StoreError, Unit, View};
use medledger_core::{finality, follow};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

/// How hard blocks are to mine.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Difficulty {
    /// So hard that this machine, with all cores, needs about this long for a block.
    AboutSeconds(f64),
    /// Exactly this target, in compact form.
    Bits(Bits),
}

/// What puts records in order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EngineChoice {
    /// Proof of work of a fixed difficulty.
    Work(Difficulty),
    /// Proof of work whose difficulty follows the rate of blocks.
    Paced {
        /// Difficulty of the first block.
        start: Difficulty,
        /// How it goes on.
        pace: Pace,
        /// The easiest that blocks may get; by default 64 times easier than the first.
        floor: Option<Bits>,
    },
    /// A single-writer log: no work, only the hospital's signature.
    Log,
}

/// Options for making a ledger.
#[derive(Debug)]
#[non_exhaustive]
pub struct CreateOptions {
    /// What people call the hospital, and its mail address.
    pub hospital: Contact,
    /// What puts records in order; proof of work of about a second a block by default.
    pub engine: EngineChoice,
    /// Settings of the folder.
    pub settings: Settings,
    /// How identity files are locked.
    pub lock_params: LockParams,
    /// Cards of the other hospitals that found the chain; each then [joins](Ledger::join) it.
    pub founders: Vec<HospitalCard>,
    /// How many blocks must lie between two of the same hospital; 0 with fewer than four of them.
    pub diversity: u32,
}

impl CreateOptions {
    /// The defaults, for a hospital of this name.
    #[must_use]
    pub fn new(hospital: impl Into<String>) -> Self {
        Self {
            hospital: Contact::named(hospital),
            engine: EngineChoice::Work(Difficulty::AboutSeconds(1.0)),
            settings: Settings::default(),
            lock_params: LockParams::default(),
            founders: Vec::new(),
            diversity: 0,
        }
    }
}

/// Why a ledger was not made. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The folder has something in it.
    #[error("{0} is not empty: a ledger is made in a folder of its own")]
    NotEmpty(PathBuf),
    /// The difficulty is out of range.
    #[error("a block must take from 0.001 to 86400 seconds, found {0}")]
    Seconds(f64),
    /// The configuration is not valid.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The card of a founder does not count.
    #[error("founder {index} beside this hospital: {error}")]
    Card {
        /// Which card, from 0.
        index: usize,
        /// What is wrong with it.
        error: ApplicationError,
    },
    /// The settings could not be written.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The node key could not be written.
    #[error(transparent)]
    NodeKey(#[from] NodeKeyError),
    /// The hospital's name, address or identity file.
    #[error(transparent)]
    Hospital(#[from] RegisterError),
    /// The finished ledger could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder cannot be used.
    #[error("{path}: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl Ledger {
    /// Makes a ledger in `folder`, which must not exist or be empty, and opens it. Its hospital is alone
    /// unless there are other founders in the options.
    ///
    /// Returns it with the hospital's identity, which is also saved in the folder, locked with
    /// `password`.
    ///
    /// # Errors
    /// See [`CreateError`]; then `folder` is as it was.
    #[cfg(feature = "sqlite")]
    pub fn create(
        folder: impl AsRef<Path>,
        options: CreateOptions,
        password: &str,
    ) -> Result<(Self, Identity), CreateError> {
        let folder = folder.as_ref();
        let make = |building: &Path| {
            let store = crate::sqlite::SqliteStore::create(&building.join(DATABASE))?;
            found(building, &store, &options, password)
        };
        let open = |hospital| Ok::<_, CreateError>((Self::open(folder)?, hospital));
        let (mut ledger, hospital) = in_new_folder(folder, make, open)?;
        ledger.lock_params = options.lock_params;
        Ok((ledger, hospital))
    }

    /// As [`Ledger::create`], with records, state and slots kept by `store`, which must be empty.
    ///
    /// # Errors
    /// See [`CreateError`].
    pub fn create_in(
        folder: impl AsRef<Path>,
        store: Box<dyn Store>,
        options: CreateOptions,
        password: &str,
    ) -> Result<(Self, Identity), CreateError> {
        let folder = folder.as_ref();
        let make = |building: &Path| {
            let hospital = found(building, store.as_ref(), &options, password)?;
            Ok((store, hospital))
        };
        let (mut ledger, hospital) = in_new_folder(folder, make, |(store, hospital)| {
            let ledger = Self::open_in(folder, store, OpenOptions::default())?;
            Ok::<_, CreateError>((ledger, hospital))
        })?;
        ledger.lock_params = options.lock_params;
        Ok((ledger, hospital))
    }
}

/// Makes a ledger beside `folder`, puts it in its place and opens it; or leaves all as it was.
pub(crate) fn in_new_folder<M, O, E: From<CreateError>>(
    folder: &Path,
    make: impl FnOnce(&Path) -> Result<M, E>,
    open: impl FnOnce(M) -> Result<O, E>,
) -> Result<O, E> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| E::from(CreateError::Io { path, source })
    };
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(CreateError::NotEmpty(folder.into()).into()),
        Ok(false) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(io(folder)(source)),
    }
    // Built beside it and renamed at the end: there is a whole ledger, or none.
    let parent = crate::files::parent(folder);
    crate::files::make_folders(parent).map_err(io(parent))?;
    let mut random = [0; 8];
    os_rng().fill_bytes(&mut random);
    let name = format!(".medledger-{}", data_encoding::HEXLOWER.encode(&random));
    let building = Building(parent.join(name));
    // Blocks are ciphertext and letters are private, but who was here when is nobody's business.
    let mut private = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
    private.create(&building.0).map_err(io(&building.0))?;
    let made = make(&building.0)?;
    crate::files::sync_folder(&building.0).map_err(io(&building.0))?;
    let existed = folder.exists();
    if existed {
        std::fs::remove_dir(folder).map_err(io(folder))?;
    }
    std::fs::rename(&building.0, folder).map_err(io(folder))?;
    let synced = crate::files::sync_folder(parent).map_err(io(parent));
    synced.and_then(|()| open(made)).inspect_err(|_| {
        // Taken back, or there would be a ledger nobody was told of.
        let _ = std::fs::rename(folder, &building.0);
        if existed {
            let _ = std::fs::create_dir(folder);
        }
    })
}

/// A folder that is removed unless it was renamed.
struct Building(PathBuf);

impl Drop for Building {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Founds a chain: the hospital's identity, the genesis block, and what this node needs to go on.
fn found(
    folder: &Path,
    store: &dyn Store,
    options: &CreateOptions,
    password: &str,
) -> Result<Identity, CreateError> {
    check_contact(&options.hospital)?;
    let mut rng = os_rng();
    let hospital = Identity::generate(&mut rng);
    let key = MiningKey { hospital: hospital.id(), key: SigningKey::generate(&mut rng) };
    for sub in [BLOCKS, IDENTITIES] {
        let path = folder.join(sub);
        std::fs::create_dir(&path).map_err(|source| CreateError::Io { path, source })?;
    }
    for (index, card) in options.founders.iter().enumerate() {
        check_contact(&Contact::named(&card.name))?;
        let checked = card.application.check(None);
        checked.map_err(|error| CreateError::Card { index, error })?;
    }
    people::save_identity(folder, &hospital, password, &options.lock_params)?;
    let founder = Founder { identity: hospital.public().clone(), mining: key.key.verifying_key() };
    let (rules, header) = genesis(founder, options)?;

    let path = node_key_path(folder, &options.settings);
    let node_key = NodeKey::create(&path, &mut rng)?;
    let written = write_chain(store, &rules, &header, &node_key, &key, options)
        .and_then(|()| Ok(options.settings.save(folder)?));
    if written.is_err() {
        // It may lie outside the folder that is taken back.
        let _ = std::fs::remove_file(path);
    }
    written.map(|()| hospital)
}

/// The rules and the mined genesis header of a chain of this hospital and the other founders.
fn genesis(founder: Founder, options: &CreateOptions) -> Result<(Rules, pow::Header), CreateError> {
    let workers = Threads::default();
    let consensus = match options.engine {
        EngineChoice::Log => Consensus::Log,
        EngineChoice::Work(difficulty) => {
            Consensus::Work(Schedule::Fixed { bits: bits(difficulty, &workers)? })
        }
        EngineChoice::Paced { start, pace, floor } => {
            Consensus::Work(pace.schedule(bits(start, &workers)?, floor))
        }
    };
    let mut genesis = Genesis::single(founder, consensus);
    genesis.founders.extend(options.founders.iter().map(|card| card.application.hospital()));
    genesis.diversity = options.diversity;
    genesis.check()?;
    let mut header = Rules::genesis_header(&genesis, SystemClock.now());
    if matches!(genesis.consensus, Consensus::Work(_)) {
        let never = AtomicBool::new(false);
        // The genesis root is fixed: with the nonces exhausted, another second gives new ones.
        let mut later = |extra: u64| pow::Header {
            time: header.time.saturating_add(u32::try_from(extra).unwrap_or(u32::MAX)),
            ..header
        };
        header = match pow::mine(&header, &mut later, &workers, &never, &AtomicU64::new(0)) {
            Ok(Outcome::Found { header, .. }) => header,
            Ok(_) => unreachable!("nobody cancels"),
            Err(error) => {
                let error = ScheduleError::Bits { field: "bits", error };
                return Err(GenesisError::Schedule(error).into());
            }
        };
    }
    let rules = Rules::new(&header, genesis)
        .map_err(|error| StoreError::Damaged(format!("the genesis block just made: {error}")))?;
    Ok((rules, header))
}

/// Writes the genesis block, its state and checkpoint, and what this node keeps for itself.
fn write_chain(
    store: &dyn Store,
    rules: &Rules,
    header: &pow::Header,
    node_key: &NodeKey,
    key: &MiningKey,
    options: &CreateOptions,
) -> Result<(), CreateError> {
    let mut unit = store.unit()?;
    let stored = rules.stored_genesis(header);
    follow::found(unit.as_mut(), rules, header)?;
    if options.founders.is_empty() {
        finality::sign_checkpoint(unit.as_mut(), rules, key, &stored)?;
    }
    keep_keys(unit.as_mut(), node_key, &key.hospital, &key.key, &options.hospital)?;
    for card in &options.founders {
        let contact = Contact::named(&card.name);
        people::set_contact(unit.as_mut(), node_key, &card.application.id(), &contact)?;
    }
    Ok(unit.commit()?)
}

/// Keeps what makes this node that of its hospital.
fn keep_keys(
    unit: &mut dyn Unit,
    node_key: &NodeKey,
    hospital: &MemberId,
    mining: &SigningKey,
    contact: &Contact,
) -> Result<(), StoreError> {
    let secret = zeroize::Zeroizing::new(*mining.expose_seed());
    let sealed = node_key.seal(Drawer::Node, MINING_KEY, secret.as_slice(), &mut os_rng());
    unit.set_local(Drawer::Node, MINING_KEY, Some(&sealed))?;
    unit.set_local(Drawer::Node, HOSPITAL, Some(hospital.as_bytes()))?;
    people::set_contact(unit, node_key, hospital, contact)?;
    Ok(())
}

/// Name of the database in a ledger's folder.
#[cfg(feature = "sqlite")]
pub(crate) const DATABASE: &str = "ledger.db";

pub(crate) mod follower;
#[cfg(feature = "sqlite")]
pub(crate) mod joining;
mod pace;

pub(crate) use follower::ROW as FOLLOWER;

#[cfg(feature = "sqlite")]
pub use joining::{HospitalError, HospitalOptions};
pub use pace::Pace;

pub(crate) const MINING_KEY: &[u8] = b"mining-key";
pub(crate) const HOSPITAL: &[u8] = b"hospital";

/// What a store says of its ledger.
pub(crate) struct Opened {
    pub(crate) rules: Rules,
    /// The hospital that keeps it; in a follower's folder the first one of the chain.
    pub(crate) hospital: MemberId,
    /// Whether it only follows the chain.
    pub(crate) follower: bool,
    pub(crate) engine: Box<dyn Engine>,
}

/// The engine of the chain in a store, with this node's mining key. Reading needs none: one that is damaged is for
/// `verify` to find.
pub(crate) fn engine(
    store: &dyn Store,
    node_key: &NodeKey,
    read_only: bool,
) -> Result<Opened, StoreError> {
    let view = store.view()?;
    let damaged = |what: &str| StoreError::Damaged(what.to_owned());
    let header = view.block(0)?.ok_or_else(|| damaged("there is no genesis block"))?.signed.header;
    let genesis = medledger_core::state::State::new(view.as_ref())
        .genesis()?
        .ok_or_else(|| damaged("there is no genesis configuration"))?;
    let rules = Rules::new(&header, genesis)
        .map_err(|error| StoreError::Damaged(format!("genesis block: {error}")))?;
    let hospital = view
        .local(Drawer::Node, HOSPITAL)?
        .and_then(|bytes| MemberId::try_from(bytes.as_slice()).ok())
        .ok_or_else(|| damaged("this node's hospital is not noted"))?;
    let key = match mining_key(view.as_ref(), node_key) {
        Err(StoreError::Damaged(_)) if read_only => None,
        key => key?,
    };
    let key = key.map(|key| MiningKey { hospital, key });
    let engine: Box<dyn Engine> = match rules.genesis.consensus {
        Consensus::Log => Box::new(LogEngine::new(rules.clone(), key)),
        _ => Box::new(PowEngine::new(rules.clone(), key)),
    };
    let follower = view.local(Drawer::Node, follower::ROW)?.is_some();
    Ok(Opened { rules, hospital, follower, engine })
}

/// This node's mining key, if it has one.
pub(crate) fn mining_key(
    view: &dyn View,
    node_key: &NodeKey,
) -> Result<Option<SigningKey>, StoreError> {
    let Some(sealed) = view.local(Drawer::Node, MINING_KEY)? else { return Ok(None) };
    let bytes = node_key.unseal(Drawer::Node, MINING_KEY, &sealed)?;
    let bytes = <[u8; 32]>::try_from(bytes.as_slice())
        .map_err(|_| StoreError::Damaged("the mining key has another length".into()))?;
    Ok(Some(SigningKey::from_seed(&bytes)))
}

fn bits(difficulty: Difficulty, workers: &dyn Workers) -> Result<Bits, CreateError> {
    match difficulty {
        Difficulty::Bits(bits) => Ok(bits),
        Difficulty::AboutSeconds(seconds) if (0.001..=86_400.0).contains(&seconds) => {
            let tries = hash_rate(workers) * seconds;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
            Ok(Target::from_expected_tries((tries as u128).max(1)).to_bits())
        }
        Difficulty::AboutSeconds(seconds) => Err(CreateError::Seconds(seconds)),
    }
}

/// Hashes a second of all workers together, measured for a quarter of a second.
#[must_use]
pub fn hash_rate(workers: &dyn Workers) -> f64 {
    let header = pow::Header {
        version: pow::Header::VERSION,
        previous: medledger_core::ids::BlockId::from_bytes([0; 32]),
        root: medledger_core::ids::BlockRoot::from_bytes([0; 32]),
        time: 0,
        bits: Target::from_expected_tries(u128::MAX).to_bits(),
        nonce: 0,
    };
    let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(250));
            cancel.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let _ = pow::mine(&header, &mut |_| header, workers, &cancel, &tried);
    });
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let tried = tried.into_inner() as f64;
    tried / begin.elapsed().as_secs_f64()
}
