//! Asking again, and asking others, where replicas are missing; and giving roots up.

use super::audit::Promised;
use super::error::failures_text;
use super::{
    Audit, BackendError, BackendName, Finding, Goal, Record, Replication, RootAudit, Verdict,
};
use medledger_core::{Cid, clock::Timestamp};
use std::fmt;

impl Replication {
    /// Mends what a check found: asks back ends again that forgot, failed or never heard of a root, and then
    /// others, until enough replicas are there or promised. Promises are not replicas: the next check
    /// tells.
    ///
    /// A back end that is out of reach is not asked; others take its place, and it counts again when it is
    /// back. One that forgot keeps that in the record.
    ///
    /// Roots that the audit is about but for which there is no record are left out.
    pub fn repair(&self, records: &mut [Record], audit: &Audit, now: Timestamp) -> Repair {
        let mut roots = Vec::new();
        for found in &audit.roots {
            let record = records.iter_mut().find(|record| *record.root() == found.root);
            if let Some(record) = record {
                roots.push(self.repair_one(record, found, now));
            }
        }
        Repair { roots }
    }

    fn repair_one(&self, record: &mut Record, found: &RootAudit, now: Timestamp) -> RootRepair {
        let root = found.root;
        let (mut asked, mut failures) = (Vec::new(), Vec::new());
        let mut promised = Promised::default();
        for finding in &found.findings {
            let name = &finding.backend;
            let Some(member) = self.member(name).filter(|_| may_be_mended(finding)) else {
                promised.count(finding.replicas + on_their_way(finding));
                continue;
            };
            if let Some(known) = record.of_mut(name)
                && finding.verdict.is_forgotten()
            {
                known.forgot = known.forgot.saturating_add(1);
                known.confirmed = None;
            }
            record.ask(name.clone(), now);
            match member.backend.recover(&root) {
                // It says that all is well, which is no news and was not believed.
                Ok(_) if matches!(finding.verdict, Verdict::Unproven(_)) => {}
                Ok(standing) => {
                    promised.count(standing.expected());
                    asked.push(name.clone());
                }
                Err(error) => failures.push((name.clone(), error)),
            }
        }
        for member in &self.members {
            if self.goal().is_met(promised.replicas, promised.backends) {
                break;
            }
            let name = member.backend.name();
            if record.of(name).is_some() || !record.ask(name.clone(), now) {
                continue;
            }
            match member.backend.add(&root) {
                Ok(standing) => {
                    promised.count(standing.expected());
                    asked.push(name.clone());
                }
                Err(error) => failures.push((name.clone(), error)),
            }
        }
        let Promised { replicas, backends } = promised;
        RootRepair { root, goal: self.goal(), asked, failures, replicas, backends }
    }

    /// Gives a root up with everyone who was asked to keep it. Who did so is taken out of the record; who could not
    /// stays in it, so that this can be repeated. The record is done with when it is empty.
    ///
    /// Removing a pin lets a back end delete the blocks and does not make it: what it deletes, and when, is its own
    /// affair.
    pub fn remove(&self, record: &mut Record) -> Removal {
        let mut removal = Removal::default();
        let names: Vec<_> = record.asked().iter().map(|asked| asked.backend.clone()).collect();
        for name in names {
            let Some(member) = self.member(&name) else {
                removal.not_set_up.push(name);
                continue;
            };
            match member.backend.remove(record.root()) {
                Ok(true) => removal.removed.push(name.clone()),
                Ok(false) => removal.not_there.push(name.clone()),
                Err(error) => {
                    removal.failures.push((name, error));
                    continue;
                }
            }
            record.forget(&name);
        }
        removal
    }
}

/// Whether asking the back end again may help.
const fn may_be_mended(finding: &Finding) -> bool {
    matches!(
        finding.verdict,
        Verdict::Forgot { .. } | Verdict::Absent | Verdict::Failed { .. } | Verdict::Unproven(_)
    )
}

const fn on_their_way(finding: &Finding) -> u32 {
    match finding.verdict {
        Verdict::Waiting { replicas } => replicas,
        _ => 0,
    }
}

/// What was done about an audit.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Repair {
    /// For each root of the audit.
    pub roots: Vec<RootRepair>,
}

impl Repair {
    /// What could not be mended.
    pub fn short(&self) -> impl Iterator<Item = &RootRepair> {
        self.roots.iter().filter(|root| !root.is_met())
    }
}

/// What was done about one root.
#[derive(Debug)]
#[non_exhaustive]
pub struct RootRepair {
    /// The root.
    pub root: Cid,
    /// What is wanted.
    pub goal: Goal,
    /// Who was asked, again or for the first time, and agreed.
    pub asked: Vec<BackendName>,
    /// Who could not, and why.
    pub failures: Vec<(BackendName, BackendError)>,
    /// Replicas that are there or may be expected now.
    pub replicas: u32,
    /// On so many back ends.
    pub backends: u32,
}

impl RootRepair {
    /// Whether as many may be expected as wanted.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        self.goal.is_met(self.replicas, self.backends)
    }
}

impl fmt::Display for RootRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { root, goal, failures, replicas, backends, .. } = self;
        write!(f, "{root}: {replicas} replicas on {backends} back ends to be expected")?;
        if !self.is_met() {
            write!(f, ", wanted {goal}")?;
        }
        f.write_str(&failures_text(failures))
    }
}

/// What came of giving a root up.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Removal {
    /// Who kept it and does so no more.
    pub removed: Vec<BackendName>,
    /// Who did not keep it.
    pub not_there: Vec<BackendName>,
    /// Who could not be asked or refused, and may keep it still.
    pub failures: Vec<(BackendName, BackendError)>,
    /// Who was asked once and is no back end any more, and may keep it still.
    pub not_set_up: Vec<BackendName>,
}

impl Removal {
    /// Whether no one that was asked keeps it any more.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.failures.is_empty() && self.not_set_up.is_empty()
    }
}
