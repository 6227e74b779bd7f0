//! Who is asked, and who still keeps what.

use super::proof::{ProofError, prove};
use super::record::{Asked, Confirmed, MAX_BACKENDS, Record};
use super::{
    Audience, BackendError, BackendName, Goal, PinBackend, PublicPins, ReplicationError, Standing,
};
use crate::store::BlockRead;
use medledger_core::{Cid, clock::Timestamp, rand_core::Rng};
use std::collections::BTreeSet;
use std::fmt;

/// Several back ends that keep the same roots, and how many replicas there are to be.
///
/// See the [module](super) for an example.
pub struct Replication {
    goal: Goal,
    public: PublicPins,
    pub(super) members: Vec<Member>,
}

pub(super) struct Member {
    pub(super) backend: Box<dyn PinBackend>,
    proof: Option<Proof>,
}

struct Proof {
    source: Box<dyn BlockRead>,
    samples: u32,
}

impl Replication {
    /// No back ends yet. Whether public ones may be among them has to be said here.
    #[must_use]
    pub const fn new(goal: Goal, public: PublicPins) -> Self {
        Self { goal, public, members: Vec::new() }
    }

    /// Takes one more back end. The first ones are asked first.
    ///
    /// # Errors
    /// When its name is taken, it is public and that was not allowed, or there are too many.
    pub fn with(self, backend: Box<dyn PinBackend>) -> Result<Self, ReplicationError> {
        self.join(Member { backend, proof: None })
    }

    /// As [`with`](Self::with), and each check of a root that the back end says it has fetches blocks on
    /// `samples` randomly chosen ways from the root to a leaf and hashes them.
    ///
    /// The source must read from this back end alone. One that asks others too, as a public gateway or a node connected to
    /// a network does, proves that somebody has the block, and not who.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn with_proof(
        self,
        backend: Box<dyn PinBackend>,
        source: Box<dyn BlockRead>,
        samples: u32,
    ) -> Result<Self, ReplicationError> {
        self.join(Member { backend, proof: Some(Proof { source, samples }) })
    }

    fn join(mut self, member: Member) -> Result<Self, ReplicationError> {
        let name = member.backend.name();
        if self.members.iter().any(|other| other.backend.name() == name) {
            return Err(ReplicationError::SameName(name.clone()));
        }
        if member.backend.audience() == Audience::Public && self.public == PublicPins::Refused {
            return Err(ReplicationError::Public(name.clone()));
        }
        if self.members.len() >= MAX_BACKENDS {
            return Err(ReplicationError::TooManyBackends { limit: MAX_BACKENDS });
        }
        self.members.push(member);
        Ok(self)
    }

    /// What is wanted of each root.
    #[must_use]
    pub const fn goal(&self) -> Goal {
        self.goal
    }

    /// The back ends, in the order in which they are asked.
    pub fn backends(&self) -> impl Iterator<Item = &dyn PinBackend> {
        self.members.iter().map(|member| &*member.backend)
    }

    pub(super) fn member(&self, name: &BackendName) -> Option<&Member> {
        self.members.iter().find(|member| member.backend.name() == name)
    }

    /// Asks one back end after the other until enough replicas are there or promised, and writes into the record
    /// who was asked, those too that could not be reached: what was sent may have arrived.
    ///
    /// # Errors
    /// When not enough is promised. Those who promised something stay asked.
    pub fn add(&self, record: &mut Record, now: Timestamp) -> Result<(), ReplicationError> {
        let mut promised = Promised::default();
        let mut failures = Vec::new();
        for member in &self.members {
            if self.goal.is_met(promised.replicas, promised.backends) {
                break;
            }
            let name = member.backend.name().clone();
            if !record.ask(name.clone(), now) {
                break;
            }
            match member.backend.add(record.root()) {
                Ok(standing) => promised.count(standing.expected()),
                Err(error) => failures.push((name, error)),
            }
        }
        if self.goal.is_met(promised.replicas, promised.backends) {
            return Ok(());
        }
        let (root, goal) = (*record.root(), self.goal);
        let Promised { replicas, backends } = promised;
        Err(ReplicationError::Short { root, goal, replicas, backends, failures })
    }

    /// Asks everyone who was asked to keep these roots, and writes into the records what is confirmed. An outage
    /// changes no record: what was confirmed before it is still expected after.
    ///
    /// `rng` chooses the blocks that are read where there is a [proof](Self::with_proof).
    pub fn check(&self, records: &mut [Record], now: Timestamp, rng: &mut impl Rng) -> Audit {
        let roots = records.iter_mut().map(|record| {
            let root = *record.root();
            let names: Vec<_> = record.asked().iter().map(|a| a.backend.clone()).collect();
            let findings = names
                .into_iter()
                .filter_map(|name| Some(self.find(&root, record.of_mut(&name)?, now, rng)))
                .collect();
            RootAudit { root, goal: self.goal, findings }
        });
        Audit { at: now, roots: roots.collect() }
    }

    /// What each back end keeps under its label that no record knows of: asked for by a program that ended before
    /// it could store the record, or by another one with the same label. CIDs are compared as they are
    /// written.
    ///
    /// A back end that cannot be listed, or has more than `limit` pins, has its error instead.
    pub fn unrecorded(
        &self,
        records: &[Record],
        limit: usize,
    ) -> Vec<(BackendName, Result<Vec<Cid>, BackendError>)> {
        let of = |backend: &dyn PinBackend| {
            let name = backend.name();
            let known: BTreeSet<&Cid> =
                records.iter().filter(|r| r.of(name).is_some()).map(Record::root).collect();
            let mut roots = backend.list(limit)?;
            roots.retain(|root| !known.contains(root));
            Ok(roots)
        };
        self.backends().map(|backend| (backend.name().clone(), of(backend))).collect()
    }

    fn find(&self, root: &Cid, asked: &mut Asked, now: Timestamp, rng: &mut impl Rng) -> Finding {
        let backend = asked.backend.clone();
        let finding = |replicas, verdict| Finding { backend: backend.clone(), replicas, verdict };
        let Some(member) = self.member(&backend) else { return finding(0, Verdict::NotSetUp) };
        let standing = match member.backend.status(root) {
            Ok(standing) => standing,
            Err(error) if error.is_outage() => return finding(0, Verdict::Unreachable(error)),
            Err(error) => return finding(0, Verdict::Unusable(error)),
        };
        let pinned = if standing.known { standing.pinned } else { 0 };
        if pinned > 0
            && let Some(Proof { source, samples }) = &member.proof
            && let Err(error) = prove(&**source, root, *samples, rng)
        {
            return finding(0, Verdict::Unproven(error));
        }
        let before = asked.confirmed.map_or(0, |confirmed| confirmed.replicas);
        if pinned > 0 && pinned >= before {
            asked.confirmed = Some(Confirmed { at: now, replicas: pinned });
        }
        finding(pinned, verdict(standing, before))
    }
}

/// Judges what a back end says, given the replicas that it confirmed before.
fn verdict(standing: Standing, before: u32) -> Verdict {
    let Standing { known, pinned, waiting, failed, lost, detail } = standing;
    let now = if known { pinned } else { 0 };
    match () {
        () if !known && before == 0 => Verdict::Absent,
        () if before > 0 && (!known || (now < before && lost > 0)) => {
            Verdict::Forgot { before, now }
        }
        () if failed > 0 || lost > 0 => Verdict::Failed { detail },
        () if waiting > 0 => Verdict::Waiting { replicas: waiting },
        () if now < before => Verdict::Forgot { before, now },
        () if now > 0 => Verdict::Held,
        () => Verdict::Failed { detail },
    }
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.backends().map(PinBackend::name).collect();
        f.debug_struct("Replication").field("goal", &self.goal).field("backends", &names).finish()
    }
}

/// Replicas there or to be expected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Promised {
    pub(super) replicas: u32,
    pub(super) backends: u32,
}

impl Promised {
    pub(super) const fn count(&mut self, replicas: u32) {
        if replicas > 0 {
            self.replicas = self.replicas.saturating_add(replicas);
            self.backends += 1;
        }
    }
}

/// What a check found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// For each root, in the order of the records.
    pub roots: Vec<RootAudit>,
}

impl Audit {
    /// All findings of all roots.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.roots.iter().flat_map(|root| &root.findings)
    }

    /// Roots with fewer replicas than wanted.
    pub fn short(&self) -> impl Iterator<Item = &RootAudit> {
        self.roots.iter().filter(|root| !root.is_met())
    }
}

/// What a check found of one root.
#[derive(Debug)]
#[non_exhaustive]
pub struct RootAudit {
    /// The root.
    pub root: Cid,
    /// What is wanted.
    pub goal: Goal,
    /// For each back end that was asked, sorted by name.
    pub findings: Vec<Finding>,
}

impl RootAudit {
    /// Confirmed replicas.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.findings.iter().fold(0, |sum, finding| sum.saturating_add(finding.replicas))
    }

    /// Back ends with confirmed replicas.
    #[must_use]
    pub fn backends(&self) -> u32 {
        self.findings.iter().filter(|finding| finding.replicas > 0).count() as u32
    }

    /// Whether there are as many as wanted.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.goal.is_met(self.replicas(), self.backends())
    }
}

/// What a check found of one root with one back end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The back end.
    pub backend: BackendName,
    /// Replicas that count: the back end says it has them, and what was read of it is right.
    pub replicas: u32,
    /// How it stands.
    pub verdict: Verdict,
}

/// How a root stands with a back end that was asked to keep it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// Kept, by all that ever confirmed it there.
    Held,
    /// On its way.
    Waiting {
        /// Replicas that are still to come.
        replicas: u32,
    },
    /// It had confirmed more replicas and has them no more.
    Forgot {
        /// Replicas confirmed before.
        before: u32,
        /// Replicas that are left.
        now: u32,
    },
    /// It does not know of it, and never confirmed it: the request got lost, or was removed elsewhere.
    Absent,
    /// It could not get or keep all of it.
    Failed {
        /// What it says about that.
        detail: Option<String>,
    },
    /// It says that it has it, and could not show it.
    Unproven(ProofError),
    /// It could not be asked. Nothing is known.
    Unreachable(BackendError),
    /// It refuses, or its answer makes no sense. Nothing is known.
    Unusable(BackendError),
    /// It was asked once, and is not among the back ends any more.
    NotSetUp,
}

impl Verdict {
    /// Whether a back end lost what it had confirmed.
    #[must_use]
    pub const fn is_forgotten(&self) -> bool {
        matches!(self, Self::Forgot { .. })
    }

    /// Whether all is as it should be, or on the way there.
    #[must_use]
    pub const fn is_fine(&self) -> bool {
        matches!(self, Self::Held | Self::Waiting { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("kept"),
            Self::Waiting { replicas } => write!(f, "{replicas} replicas are on their way"),
            Self::Forgot { before, now } => {
                write!(f, "forgotten: {before} replicas were confirmed, {now} are left")
            }
            Self::Absent => f.write_str("not known there"),
            Self::Failed { detail: Some(detail) } => write!(f, "failed: {detail}"),
            Self::Failed { detail: None } => f.write_str("failed"),
            Self::Unproven(error) => write!(f, "said to be kept, but {error}"),
            Self::Unreachable(error) | Self::Unusable(error) => error.fmt(f),
            Self::NotSetUp => f.write_str("asked once, and no back end any more"),
        }
    }
}

impl fmt::Display for RootAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (replicas, backends) = (self.replicas(), self.backends());
        write!(f, "{}: {replicas} replicas on {backends} back ends", self.root)?;
        if !self.is_met() {
            write!(f, ", wanted {}", self.goal)?;
        }
        for Finding { backend, verdict, .. } in
            self.findings.iter().filter(|x| !x.verdict.is_fine())
        {
            write!(f, "; {backend}: {verdict}")?;
        }
        Ok(())
    }
}
