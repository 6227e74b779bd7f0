//! Medical reports, encrypted off the ledger and provable on it, with the patient deciding who reads.
//!
//! A report is sealed under a key of its own and stored in content-addressed blocks; a signed record
//! of it is mined into a proof-of-work chain; the patient holds the key and grants reading to others,
//! each of whom gets a key of their own. Every grant, refusal, reading and revocation is a record too.
//!
//! ```
//! use medledger::{Contact, CreateOptions, Delivery, Key, Ledger, parse_time};
//! use medledger::{Purpose, Role};
//!
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path().join("ledger");
//! # let mut options = CreateOptions::new("General Hospital");
//! # options.lock_params = medledger::core::identity::LockParams::weak_for_tests();
//! # options.engine = medledger::EngineChoice::Work(medledger::Difficulty::AboutSeconds(0.01));
//! # /*
//! let options = CreateOptions::new("General Hospital");
//! # */
//! let (ledger, hospital) = Ledger::create(&folder, options, "hospital's password")?;
//! let (doctor, _) =
//!     ledger.add_member(&hospital, Role::Doctor, &Contact::named("Dr Ada"), "doctor's password")?;
//! let (patient, _) =
//!     ledger.add_member(&hospital, Role::Patient, &Contact::named("Pat"), "patient's password")?;
//!
//! // The doctor uploads; with no mail configured the patient's key is handed over here, once.
//! let uploaded = ledger.upload(&doctor, &patient.id(), &b"all is well"[..])?;
//! let Delivery::PickUp(patient_key) = uploaded.delivery else { unreachable!() };
//! ledger.wait_mined(&uploaded.record)?;
//!
//! // Another doctor asks, the patient approves, the doctor gets a key of their own.
//! let (other, _) =
//!     ledger.add_member(&hospital, Role::Doctor, &Contact::named("Dr Bob"), "another password")?;
//! let until = parse_time("30d", ledger.now())?;
//! let request = ledger.request(&other, &uploaded.report, Purpose::Treatment, until)?;
//! let approved = ledger.approve(&patient, &request, &Key::Access(&patient_key))?;
//! let Delivery::PickUp(doctors_key) = approved.delivery else { unreachable!() };
//! ledger.wait_mined(&approved.record)?;
//!
//! let mut report = ledger.open_report(&other, &uploaded.report, &Key::Access(&doctors_key))?;
//! assert_eq!(report.to_vec()?, b"all is well");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Accepted, mined, final
//! A call that returns has its record **accepted**: durable here, never lost. It is **mined** when it
//! is in a block ([`Ledger::mine`], [`Ledger::wait_mined`]) and **final** when a checkpoint signed by
//! a quorum of hospitals covers that block; only then is there a [receipt](Ledger::receipt).
//!
//! # Non-goals
//! No server, no runtime: all calls are synchronous and work on one folder.
#![forbid(unsafe_code)]

mod accesses;
mod approve;
mod attempts;
mod audit;
#[cfg(feature = "sqlite")]
mod backup;
pub mod bench;
mod blocks;
mod checkpoints;
mod collections;
mod consent;
mod create;
mod delegate;
mod delivery;
pub mod effort;
mod export;
mod files;
mod grants;
mod groups;
mod head;
mod hospitals;
mod idempotency;
mod identity_file;
mod import;
mod labels;
mod ledger;
mod log;
pub mod mail;
mod mine;
mod news;
mod node_key;
mod open_report;
mod people;
mod progress;
mod prune;
pub mod qr;
mod refusals;
mod release;
mod renew;
mod reports;
mod request;
mod restore;
mod revoke;
mod rewrap;
mod rotate;
mod secrets;
mod settings;
mod slots;
mod spread;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod steps;
mod storage;
mod succeed;
mod suspension;
mod system;
pub mod time;
mod upload;
mod verifier;
mod verify;

pub use accesses::Access;
pub use approve::{ApproveError, Approved, Key, ReaderKey};
pub use audit::{AuditEntry, AuditError, AuditEvent, AuditFinding, AuditGlance, AuditReport};
#[cfg(feature = "sqlite")]
pub use backup::{Backup, BackupError};
pub use blocks::{BlocksCollected, BlocksError, UnkeptReport};
pub use checkpoints::CheckEvidenceError;
pub use create::{CreateError, CreateOptions, Difficulty, EngineChoice, Pace, hash_rate};
#[cfg(feature = "sqlite")]
pub use create::{HospitalError, HospitalOptions};
pub use delegate::Delegation;
pub use delivery::{DeliveryMode, PickedUp};
pub use export::{ExportError, Exported};
pub use grants::{Permission, Reader};
pub use groups::{CreatedGroup, Group, GroupError};
pub use head::Head;
pub use hospitals::{Approvals, HospitalChangeError, Hospitals};
pub use idempotency::{IdempotencyError, idempotency_key_of_part};
pub use identity_file::{Beside, IdentityFileError};
pub use import::{ImportError, ImportStep, ImportedChain, ImportedReports};
pub use ledger::{Ledger, MailReport, OpenError, OpenOptions};
pub use log::LogEntry;
pub use mine::{BlockPolicy, Due, MiningControl, MiningProgress, WaitError};
pub use news::{NewsError, NewsTaken, Voted};
pub use node_key::NodeKeyError;
pub use open_report::{OpenReportError, OpenedReport};
pub use people::{Contact, IdentityError, Member, RegisterError, Registration};
pub use progress::{Event, Progress, Stage, Watch};
pub use prune::PruneError;
pub use release::{ReleaseSlotError, SlotAsk};
pub use renew::Renewed;
pub use reports::{GrantSummary, ReportSummary};
pub use request::{RefuseError, Request, RequestError};
pub use restore::Loss;
pub use revoke::RevokeError;
pub use rewrap::StillFormer;
pub use rotate::{Confirmed, RotateError, RotateOutcomes, Rotated};
pub use settings::{MailSettings, Settings, SettingsError};
pub use steps::{Observer, Step};
pub use storage::{
    Keeper, KeeperKind, KuboSettings, OwedFault, RepairSource, ReplicaKeeper, ReplicaReport,
    ReplicaSettings, SourceSettings, StorageError, StorageMode, StorageSettings, StorageStatus,
    SwitchOptions, Switched, auth_variable,
};
pub use succeed::{Succession, SuccessionError};
pub use suspension::Suspension;
pub use system::{SystemClock, Threads, os_rng};
pub use time::{parse_time, show_time};
pub use upload::{Delivery, Upload, UploadError, UploadOptions, Uploaded};
pub use verifier::RECEIPT_VERIFIER;
pub use verify::{Finding, Unchecked, VerifyDepth, VerifyReport};

pub use medledger_core as core;
pub use medledger_core::access_key::AccessKey;
pub use medledger_core::hospital::HospitalCard;
pub use medledger_core::identity::{ConsentError, Identity, KeyConsent};
pub use medledger_core::ids::{
    ChainId, GrantId, GroupId, KeyFingerprint, MemberId, RecordId, ReportId,
};
pub use medledger_core::receipt::{Proven, Receipt};
pub use medledger_core::registry::{Purpose, Role};
pub use medledger_ipfs as ipfs;
