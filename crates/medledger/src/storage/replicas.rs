//! Replicas with others: whom a ledger asks to keep its reports, and whether they still do.

use super::StorageSettings;
use serde::{Deserialize, Serialize};

/// The folder of records in a ledger's folder.
#[cfg(feature = "kubo")]
const RECORDS: &str = "replicas";

/// How a keeper of replicas is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeeperKind {
    /// A peer of an IPFS Cluster, by its REST interface.
    Cluster,
    /// A service that speaks the Pinning Service API.
    Service,
}

/// Somebody who is asked to keep reports. Credentials come from the environment: see
/// [`auth_variable`](super::auth_variable).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaKeeper {
    /// How it is called here.
    pub name: String,
    /// How it is spoken to.
    pub kind: KeeperKind,
    /// Its address.
    pub address: String,
    /// Whether anybody may learn what it keeps: so it is with every provider not known to announce nothing.
    #[serde(default)]
    pub public: bool,
    /// The fewest peers of a cluster with which a pin counts, and the most that keep it; all of them without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<(u16, u16)>,
    /// Addresses at which a service finds the blocks, `/ip4/ADDRESS/tcp/PORT/p2p/ID`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// A trustless gateway of this keeper alone: checks then read some blocks and hash them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

/// How much replication a ledger wants, and from whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSettings {
    /// Replicas of each report.
    #[serde(default = "one")]
    pub replicas: u32,
    /// Keepers on which they are, at least.
    #[serde(default = "one")]
    pub backends: u32,
    /// Who is asked, in order.
    #[serde(default)]
    pub keepers: Vec<ReplicaKeeper>,
}

const fn one() -> u32 {
    1
}

impl Default for ReplicaSettings {
    fn default() -> Self {
        Self { replicas: one(), backends: one(), keepers: Vec::new() }
    }
}

impl ReplicaSettings {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl StorageSettings {
    /// Names that have credentials.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let sources = self.sources.iter().map(|source| source.name.as_str());
        sources.chain(self.replicas.keepers.iter().map(|keeper| keeper.name.as_str()))
    }
}

/// How the replicas of a ledger's reports stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaReport {
    /// Reports' roots that were looked at.
    pub roots: u64,
    /// Those with fewer replicas than wanted, and what is known of each.
    pub short: Vec<String>,
    /// What keepers say, or do, that is not as it should be: one line each.
    pub findings: Vec<String>,
    /// Keepers that had confirmed a root and have it no more, by name, each once.
    pub forgot: Vec<String>,
    /// Requests that were made, and agreed to.
    pub asked: u64,
}

#[cfg(feature = "kubo")]
mod asking {
    use super::super::sources::new_name;
    use super::super::{StorageError, kubo};
    use super::{KeeperKind, RECORDS, ReplicaKeeper, ReplicaReport, ReplicaSettings};
    use crate::files::{read_bounded, write_private};
    use crate::ledger::Ledger;
    use crate::settings::Settings;
    use medledger_core::Cid;
    use medledger_ipfs::Gateway;
    use medledger_ipfs::replication::{
        Audience, Audit, Cluster, ClusterOptions, Goal, MAX_RECORD_BYTES, PinBackend,
        PinningService, PublicPins, Record, Replication, ReplicationError, ServiceOptions, Spread,
        Verdict,
    };
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    /// Walks from a root to a leaf that a check reads where it can.
    const SAMPLES: u32 = 4;

    impl Ledger {
        /// How much replication is wanted, and who is asked.
        ///
        /// # Errors
        /// When the settings cannot be read.
        pub fn replicas(&self) -> Result<ReplicaSettings, StorageError> {
            Ok(Settings::load(self.folder())?.storage.replicas)
        }

        /// Adds a keeper, to be asked after those that are there; nothing is sent yet.
        ///
        /// # Errors
        /// When the name is taken, or the address, numbers or credentials cannot be used.
        pub fn add_replica_keeper(&self, keeper: ReplicaKeeper) -> Result<(), StorageError> {
            backend(&keeper)?;
            self.change_storage(|storage| {
                new_name(&keeper.name, storage.names())?;
                storage.replicas.keepers.push(keeper);
                Ok(())
            })
        }

        /// Takes a keeper out. It is not told, and may keep what it has.
        ///
        /// # Errors
        /// When there is none of that name.
        pub fn remove_replica_keeper(&self, name: &str) -> Result<(), StorageError> {
            self.change_storage(|storage| {
                let keepers = &mut storage.replicas.keepers;
                let before = keepers.len();
                keepers.retain(|keeper| keeper.name != name);
                match keepers.len() < before {
                    true => Ok(()),
                    false => Err(StorageError::NoSuchName(name.to_owned())),
                }
            })
        }

        /// Says how many replicas there are to be, on how many keepers.
        ///
        /// # Errors
        /// When the settings cannot be written.
        pub fn set_replica_goal(&self, replicas: u32, backends: u32) -> Result<(), StorageError> {
            self.change_storage(|storage| {
                (storage.replicas.replicas, storage.replicas.backends) = (replicas, backends);
                Ok(())
            })
        }

        /// Asks everybody who was asked to keep a report whether they still do, and writes down what they confirm.
        ///
        /// # Errors
        /// When nobody is set up, or the ledger fails. What keepers answer is in the result.
        pub fn check_replicas(&self) -> Result<ReplicaReport, StorageError> {
            let replication = self.replication()?;
            let mut records = self.replica_records()?;
            let audit = replication.check(&mut records, self.now(), &mut self.rng());
            self.save_records(&records)?;
            Ok(told(&audit))
        }

        /// Checks, and then asks again, and asks others, for what is short: reports that nobody was asked to keep yet
        /// among them.
        ///
        /// # Errors
        /// As [`check_replicas`](Self::check_replicas).
        pub fn repair_replicas(&self) -> Result<ReplicaReport, StorageError> {
            let replication = self.replication()?;
            let mut records = self.replica_records()?;
            let audit = replication.check(&mut records, self.now(), &mut self.rng());
            let mut report = told(&audit);
            report.short.clear();
            for record in records.iter_mut().filter(|record| record.asked().is_empty()) {
                match replication.add(record, self.now()) {
                    Ok(()) => {}
                    Err(error @ ReplicationError::Short { .. }) => {
                        report.short.push(error.to_string());
                    }
                    Err(error) => return Err(error.into()),
                }
                report.asked += record.asked().len() as u64;
                // Should this end half way, who was asked so far is known.
                self.save_record(record)?;
            }
            let repair = replication.repair(&mut records, &audit_of_asked(audit), self.now());
            self.save_records(&records)?;
            report.asked += repair.roots.iter().map(|root| root.asked.len() as u64).sum::<u64>();
            report.short.extend(repair.short().map(ToString::to_string));
            Ok(report)
        }

        fn replication(&self) -> Result<Replication, StorageError> {
            let ReplicaSettings { replicas, backends, keepers } = self.replicas()?;
            if keepers.is_empty() {
                return Err(StorageError::NoKeepers);
            }
            // Each keeper was said to be public, or not, when it was added.
            let mut all = Replication::new(Goal { replicas, backends }, PublicPins::Allowed);
            for keeper in &keepers {
                let (backend, auth) = (backend(keeper)?, &keeper.name);
                all = match &keeper.gateway {
                    None => all.with(backend)?,
                    Some(gateway) => {
                        let gateway = Gateway::new(kubo::endpoint(auth, gateway)?);
                        all.with_proof(backend, Box::new(gateway), SAMPLES)?
                    }
                };
            }
            Ok(all)
        }

        fn record_path(&self, root: &Cid) -> PathBuf {
            self.folder().join(RECORDS).join(root.to_string())
        }

        /// The record of each report's root; empty where nobody was asked.
        fn replica_records(&self) -> Result<Vec<Record>, StorageError> {
            if !self.can_write() {
                return Err(StorageError::ReadOnly);
            }
            let roots: BTreeSet<Cid> =
                self.envelopes()?.into_iter().map(|(_, root)| root).collect();
            let record = |root: Cid| {
                let path = self.record_path(&root);
                let text = match read_bounded(&path, MAX_RECORD_BYTES) {
                    Ok(text) => text,
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                        return Ok(Record::new(root));
                    }
                    Err(source) => return Err(StorageError::Io { path, source }),
                };
                match Record::decode(&text) {
                    Ok(record) if *record.root() == root => Ok(record),
                    Ok(_) => Err(StorageError::Record { path, reason: "of another root".into() }),
                    Err(error) => Err(StorageError::Record { path, reason: error.to_string() }),
                }
            };
            roots.into_iter().map(record).collect()
        }

        fn save_records(&self, records: &[Record]) -> Result<(), StorageError> {
            records.iter().try_for_each(|record| self.save_record(record))
        }

        fn save_record(&self, record: &Record) -> Result<(), StorageError> {
            let path = self.record_path(record.root());
            let text = record.encode();
            let same =
                read_bounded(&path, MAX_RECORD_BYTES).is_ok_and(|old| *old == text.as_bytes());
            if same || record.asked().is_empty() {
                return Ok(());
            }
            write_private(&path, text.as_bytes())
                .map_err(|source| StorageError::Io { path, source })
        }
    }

    /// What a repair is about: roots that somebody was asked to keep before.
    fn audit_of_asked(mut audit: Audit) -> Audit {
        audit.roots.retain(|root| !root.findings.is_empty());
        audit
    }

    fn told(audit: &Audit) -> ReplicaReport {
        let mut report = ReplicaReport { roots: audit.roots.len() as u64, ..Default::default() };
        let mut forgot = BTreeSet::new();
        for root in &audit.roots {
            if !root.is_met() {
                let (replicas, keepers) = (root.replicas(), root.backends());
                report.short.push(format!(
                    "{}: {replicas} replicas on {keepers} back ends, wanted {}",
                    root.root, root.goal
                ));
            }
            for finding in &root.findings {
                if finding.verdict.is_forgotten() {
                    forgot.insert(finding.backend.to_string());
                }
                if !matches!(finding.verdict, Verdict::Held) {
                    let (name, verdict) = (&finding.backend, &finding.verdict);
                    report.findings.push(format!("{}: {name}: {verdict}", root.root));
                }
            }
        }
        report.forgot = forgot.into_iter().collect();
        report
    }

    fn backend(keeper: &ReplicaKeeper) -> Result<Box<dyn PinBackend>, StorageError> {
        let name = keeper.name.parse()?;
        let endpoint = kubo::endpoint(&keeper.name, &keeper.address)?;
        let audience = if keeper.public { Audience::Public } else { Audience::Closed };
        Ok(match keeper.kind {
            KeeperKind::Cluster => {
                let spread = match keeper.peers {
                    Some((min, max)) => Spread::between(min, max)?,
                    None => Spread::EVERYWHERE,
                };
                Box::new(Cluster::new(name, endpoint, ClusterOptions::new(audience, spread)))
            }
            KeeperKind::Service => {
                let mut options = ServiceOptions::new(audience);
                options.origins.clone_from(&keeper.origins);
                Box::new(PinningService::new(name, endpoint, options))
            }
        })
    }
}
