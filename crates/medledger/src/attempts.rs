//! Failed attempts: counted for each person and for each pair of person and report, durably, before the
//! answer; after too many of them nothing is tried any more until a time that is told.
//!
//! Whatever was wrong (the key, its token, the slot, the grant, the report), the answer is the same, and so is
//! what was looked up and computed on the way: see [`effort`](crate::effort).

use crate::approve::Key;
use crate::audit::{AuditError, AuditEvent, Noted};
use crate::effort::{self, Tried};
use crate::ledger::Ledger;
use crate::refusals::Asker;
use crate::suspension::Suspension;
use medledger_core::cbor;
use medledger_core::clock::Timestamp;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::record::Scope;
use medledger_core::registry::{VoidCode, limit};
use medledger_core::store::{Drawer, StoreError, View};
use serde::{Deserialize, Serialize};

/// What a person tries a key on, as they name it. It need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Report(ReportId),
    Request(RecordId),
    Grant(GrantId),
    /// A patient's collection at this hospital.
    Collection(MemberId),
}

impl Target {
    /// What stands for a scope: of several reports the first.
    pub(crate) fn of(scope: &Scope) -> Self {
        match (scope, scope.reports().first()) {
            (Scope::Collection(hospital), _) => Self::Collection(*hospital),
            (_, Some(report)) => Self::Report(*report),
            (_, None) => Self::Report(ReportId::from_bytes([0; 16])),
        }
    }

    fn key(self, member: &MemberId) -> Vec<u8> {
        let mut key = member.as_bytes().to_vec();
        match self {
            Self::Report(id) => {
                key.push(b'r');
                key.extend_from_slice(id.as_bytes());
            }
            Self::Request(id) => {
                key.push(b'q');
                key.extend_from_slice(id.as_bytes());
            }
            Self::Grant(id) => {
                key.push(b'g');
                key.extend_from_slice(id.as_bytes());
            }
            Self::Collection(id) => {
                key.push(b'c');
                key.extend_from_slice(id.as_bytes());
            }
        }
        key
    }
}

/// An error of a use case that a key is tried in.
pub(crate) trait Refusal: From<StoreError> {
    /// What the audit log says of it; none where it tells nothing about keys and permissions.
    fn event(&self) -> Option<AuditEvent>;

    /// What the caller is told in its place: one error for all that could be wrong.
    fn told(self) -> Self;

    /// The answer while nothing is tried.
    fn too_many(until: Timestamp) -> Self;

    /// The answer to whoever asks with keys that are suspended, whatever they ask for.
    fn suspended(since: Suspension) -> Self;
}

/// Failures of one person, or of one pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Failures since `since`.
    failed: u32,
    since: Timestamp,
    /// Until when nothing is tried.
    until: Timestamp,
    /// Waits so far, each twice as long as the one before.
    waits: u32,
}

impl Row {
    /// One failure more, of which `limit` make a wait. Says whether they do.
    fn fail(&mut self, now: Timestamp, limit: u32) -> bool {
        if now >= self.until.plus(limit::ATTEMPTS_WAIT_SECONDS) {
            self.waits = 0;
        }
        if now >= self.since.plus(limit::ATTEMPTS_SECONDS) || now < self.since {
            (self.failed, self.since) = (0, now);
        }
        self.failed += 1;
        if self.failed < limit {
            return false;
        }
        let wait = limit::ATTEMPTS_SECONDS << self.waits.min(16);
        self.until = now.plus(wait.min(limit::ATTEMPTS_WAIT_SECONDS));
        self.waits += 1;
        self.failed = 0;
        true
    }

    /// Whether it no longer says anything.
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.since.plus(limit::ATTEMPTS_SECONDS)
            && (self.waits == 0 || now >= self.until.plus(limit::ATTEMPTS_WAIT_SECONDS))
    }
}

/// What is known of a person's failures.
#[derive(Default)]
struct Known {
    person: Row,
    pair: Row,
    has_pair: bool,
    /// Rows that say nothing any more.
    over: Vec<Vec<u8>>,
}

impl Known {
    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.person.until.max(self.pair.until)).filter(|until| now < *until)
    }
}

impl Ledger {
    /// Runs a call in which `who` tries `key` on `target`: not while there were too many failures, and a
    /// failure is counted and noted before it is told. If it cannot be noted, the store's error is all that
    /// is told.
    pub(crate) fn limited<T, E: Refusal>(
        &self,
        who: &Identity,
        target: Target,
        key: &Key<'_>,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let before = effort::spent();
        // Whoever only claims a member's id must not keep that member from trying.
        let asker = match self.acting(who)? {
            Ok(_) => Asker::Member(who.id()),
            Err(code) => {
                if code == VoidCode::Suspended {
                    self.unless_suspended::<E>(&who.id(), target)?;
                }
                Asker::Stranger(who.id())
            }
        };
        self.limited_for(before, asker, target, Tried::Key(who, key), call)
    }

    /// Refuses whoever has shown to have a member's present keys where these are suspended, before anything is looked
    /// up: it depends on nothing else, and is on the ledger for all to see.
    pub(crate) fn unless_suspended<E: Refusal>(
        &self,
        member: &MemberId,
        target: Target,
    ) -> Result<(), E> {
        let Some(since) = self.suspension(member)? else { return Ok(()) };
        self.note_or_count(&Asker::Stranger(*member), target)?;
        Err(E::suspended(since))
    }

    /// [`limited`](Self::limited) for whoever is known to be the one who asks, `tried` being what is tried again where
    /// nothing can open; what was spent is counted from `before`.
    pub(crate) fn limited_for<T, E: Refusal>(
        &self,
        before: effort::Effort,
        asker: Asker,
        target: Target,
        tried: Tried<'_>,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        // Whatever way it is named, the pair is the one of person and report.
        let target = match target {
            Target::Request(id) => self.request_entry(&id)?.map(|entry| entry.report),
            Target::Grant(id) => self.grant_entry(&id)?.and_then(|entry| entry.scope.report()),
            Target::Report(_) | Target::Collection(_) => None,
        }
        .map_or(target, Target::Report);
        let known = match &asker {
            Asker::Member(member) => self.failures(self.view()?.as_ref(), member, target)?,
            Asker::Stranger(_) => Known::default(),
        };
        if let Some(until) = known.until(self.now()) {
            self.note_or_count(&asker, target)?;
            return Err(E::too_many(until));
        }
        match call() {
            Ok(value) => {
                if let Asker::Member(member) = asker
                    && known.has_pair
                {
                    // What was opened is recorded already, and must not look as if it were not.
                    if let Err(error) = self.forget(&member, target) {
                        tracing::warn!(%error, "failed attempts could not be forgotten");
                    }
                }
                Ok(value)
            }
            Err(error) => {
                match (error.event(), &asker) {
                    (Some(event), Asker::Member(member)) => {
                        self.note_failure(member, target, event)?;
                    }
                    (Some(_), Asker::Stranger(_)) => self.note_or_count(&asker, target)?,
                    (None, _) => {}
                }
                self.top_up(before, tried)?;
                Err(error.told())
            }
        }
    }

    /// As this hospital: lets a member try again at once who has to wait after too many failures, and forgets the
    /// failures. The audit log has an entry of it, in the same unit of work. Gives how many waits there were.
    ///
    /// What the member tries from then on counts anew: see to it first that it is they who failed.
    ///
    /// # Errors
    /// See [`AuditError`]: `OtherHospital` and `Refused` where it is not this hospital that acts.
    pub fn lift_waits(&self, hospital: &Identity, member: &MemberId) -> Result<usize, AuditError> {
        let (here, found) = (self.hospital(), hospital.id());
        if here != found {
            return Err(AuditError::OtherHospital { here, found });
        }
        self.acting(hospital)?.map_err(AuditError::Refused)?;
        if self.is_follower() {
            return Err(StoreError::Follower.into());
        }
        let now = self.now();
        let mut unit = self.store().unit()?;
        let rows = unit.local_scan(Drawer::Attempts, member.as_bytes(), None, MOST)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut waits = 0;
        for (key, sealed) in rows {
            waits += usize::from(now < self.attempts_in(&key, &sealed)?.until);
            unit.set_local(Drawer::Attempts, &key, None)?;
        }
        self.audit(unit.as_mut(), AuditEvent::Unlocked, &Noted::member(member))?;
        unit.commit()?;
        Ok(waits)
    }

    fn attempts_in(&self, key: &[u8], sealed: &[u8]) -> Result<Row, StoreError> {
        let plain = self.node_key().unseal(Drawer::Attempts, key, sealed)?;
        cbor::decode(&plain, 256)
            .map_err(|error| StoreError::Damaged(format!("failed attempts: {error}")))
    }

    fn failures(
        &self,
        view: &dyn View,
        member: &MemberId,
        target: Target,
    ) -> Result<Known, StoreError> {
        let (mut known, now) = (Known::default(), self.now());
        let pair = target.key(member);
        for (key, sealed) in view.local_scan(Drawer::Attempts, member.as_bytes(), None, MOST)? {
            let row = self.attempts_in(&key, &sealed)?;
            if key == member.as_bytes() {
                known.person = row;
            } else if key == pair {
                (known.pair, known.has_pair) = (row, true);
            } else if row.is_over(now) {
                known.over.push(key);
            }
        }
        Ok(known)
    }

    fn note_failure(
        &self,
        member: &MemberId,
        target: Target,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        let mut unit = self.store().unit()?;
        // Read again within the unit: others may have failed meanwhile.
        let mut known = self.failures(unit.as_ref(), member, target)?;
        let now = self.now();
        let person_waits = known.person.fail(now, limit::ATTEMPTS_OF_PERSON);
        let pair_waits = known.pair.fail(now, limit::ATTEMPTS_OF_PAIR);
        let pair = target.key(member);
        for (key, row) in [(member.as_bytes().to_vec(), &known.person), (pair, &known.pair)] {
            let plain = cbor::encode(row);
            let sealed = self.node_key().seal(Drawer::Attempts, &key, &plain, &mut self.rng());
            unit.set_local(Drawer::Attempts, &key, Some(&sealed))?;
        }
        for key in &known.over {
            unit.set_local(Drawer::Attempts, key, None)?;
        }
        let noted = Noted::of(member, target);
        self.audit(unit.as_mut(), event, &noted)?;
        if person_waits || pair_waits {
            self.audit(unit.as_mut(), AuditEvent::LockedOut, &noted)?;
        }
        unit.commit()
    }

    /// A right key clears the pair; what the person did elsewhere still counts.
    fn forget(&self, member: &MemberId, target: Target) -> Result<(), StoreError> {
        let mut unit = self.store().unit()?;
        unit.set_local(Drawer::Attempts, &target.key(member), None)?;
        unit.commit()
    }
}

/// More rows than one person can have: those of a window and of the waits before, each removed when over.
const MOST: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn pitfall_40_the_nth_failure_within_the_window_makes_a_wait_that_grows() {
        let mut row = Row::default();
        let start = 1_000_000;
        for n in 1..limit::ATTEMPTS_OF_PAIR {
            assert!(!row.fail(at(start + u64::from(n)), limit::ATTEMPTS_OF_PAIR));
        }
        let mut now = start + 10;
        let mut waits = Vec::new();
        for _ in 0..9 {
            while !row.fail(at(now), limit::ATTEMPTS_OF_PAIR) {}
            waits.push((row.until.as_secs() - now) / 60);
            now = row.until.as_secs();
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
        // A day without failures, and all begins anew.
        now += limit::ATTEMPTS_WAIT_SECONDS;
        assert!(row.is_over(at(now)));
        while !row.fail(at(now), limit::ATTEMPTS_OF_PAIR) {}
        assert_eq!(row.until.as_secs() - now, limit::ATTEMPTS_SECONDS);
    }

    #[test]
    fn failures_far_apart_make_no_wait() {
        let mut row = Row::default();
        for n in 1..100 {
            let now = at(n * limit::ATTEMPTS_SECONDS);
            assert!(!row.fail(now, limit::ATTEMPTS_OF_PAIR));
            assert!(!row.is_over(now.plus(limit::ATTEMPTS_SECONDS - 1)));
            assert!(row.is_over(now.plus(limit::ATTEMPTS_SECONDS)));
        }
        // Nor does a clock that was set back let anyone in, or count for ever.
        assert!(!row.fail(at(1), limit::ATTEMPTS_OF_PAIR));
        assert_eq!((row.failed, row.since), (1, at(1)));
    }
}
