//! Every order of what may happen, within bounds, and what must hold in each state.

use crate::symbols::{Key, Letter, Member, Of, Place, Role, Wrapped};
use crate::world::{Grant, Mails, Report, Rules, Standing, World};
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::hash::{Hash, Hasher};

/// What the attacker can do, and what may be given.
#[derive(Clone, Debug)]
pub(crate) struct Attacker {
    /// Whose letters are read.
    pub(crate) mails: Mails,
    /// Copies of the database, with the node key.
    pub(crate) copies: u8,
    /// Rows moved to other places, or planted.
    pub(crate) writes: u8,
    /// Renewals of the collection beside those of revocations.
    pub(crate) renewals: u8,
    /// Reports that are there at the start, of two.
    pub(crate) reports: u8,
    /// The grants that the patient may give, each once.
    pub(crate) grants: Vec<Grant>,
}

/// A world, with what has happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    world: World,
    copies: u8,
    writes: u8,
    renewals: u8,
    /// Grants that may still be given.
    to_give: Vec<Grant>,
    /// Times a reader of the collection was cut off.
    era: u8,
    /// In which of these eras each report, in each epoch, was sealed.
    sealed: BTreeMap<(u8, u8), u8>,
    /// What was given to the attacker by the protocol: reports and epochs, and the collection up to an era.
    given: BTreeSet<(u8, u8)>,
    collection: Option<u8>,
    /// Reports and epochs of which a copy was taken.
    copied: BTreeSet<(u8, u8)>,
    fault: Option<Fault>,
}

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The attacker learnt the key of a report in an epoch that was not given.
    Learnt(u8, u8),
    /// A slot was released, and nothing on the ledger tells.
    NoReading,
    /// A reading stands on the ledger under a grant that had been revoked.
    AfterRevocation,
    /// A reading stands on the ledger by somebody who did not have the grant or its key.
    NotTheReaders,
}

/// How many states there were, or the first fault.
pub(crate) fn explore(rules: &Rules, attacker: &Attacker) -> Result<usize, Fault> {
    let start = State {
        world: World::new(rules, attacker.mails, attacker.reports),
        copies: attacker.copies,
        writes: attacker.writes,
        renewals: attacker.renewals,
        to_give: attacker.grants.clone(),
        era: 0,
        sealed: (0..attacker.reports).map(|report| ((report, 1), 0)).collect(),
        given: BTreeSet::new(),
        collection: None,
        copied: BTreeSet::new(),
        fault: None,
    };
    let mut met = HashSet::from([fingerprint(&start)]);
    let mut waiting = VecDeque::from([start]);
    while let Some(state) = waiting.pop_front() {
        for next in state.successors(rules, attacker) {
            if let Some(fault) = next.fault {
                return Err(fault);
            }
            if met.insert(fingerprint(&next)) {
                waiting.push_back(next);
            }
        }
    }
    Ok(met.len())
}

/// 128 bits instead of the state: two of a few hundred thousand states do not share them.
fn fingerprint(state: &State) -> (u64, u64) {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, state).hash(&mut hasher);
        hasher.finish()
    };
    (half(0), half(1))
}

impl State {
    fn successors(&self, rules: &Rules, attacker: &Attacker) -> Vec<Self> {
        let mails = attacker.mails;
        let mut next = Vec::new();
        let mut step = |change: &dyn Fn(&mut Self) -> bool| {
            let mut state = self.clone();
            if change(&mut state) {
                state.judge();
                next.push(state);
            }
        };
        let reports = || 0..u8::try_from(self.world.reports.len()).unwrap();
        let crashes: &[bool] = if attacker.copies == 0 { &[false, true] } else { &[false] };
        let grants = || (0..).zip(&self.world.grants);
        if self.world.reports.len() < 2 {
            step(&|s| {
                let report = u8::try_from(s.world.reports.len()).unwrap();
                s.sealed.insert((report, 1), s.era);
                s.world.upload(rules, mails);
                true
            });
        }
        for at in 0..self.to_give.len() {
            step(&|s| {
                let grant = s.to_give.remove(at);
                let known = grant.scope.is_none_or(|r| usize::from(r) < s.world.reports.len());
                known && s.world.give(rules, grant, mails)
            });
        }
        for (id, grant) in grants() {
            match grant.standing {
                Standing::Live => step(&|s| {
                    s.era += u8::from(grant.scope.is_none());
                    s.world.revoke(rules, id);
                    true
                }),
                // With the node key nothing hangs on when it is mined.
                Standing::Revoked if attacker.copies == 0 => step(&|s| {
                    s.world.grants[usize::from(id)].standing = Standing::RevokedAndMined;
                    true
                }),
                Standing::Revoked | Standing::RevokedAndMined => {}
            }
            for report in reports().filter(|report| grant.covers(*report)) {
                for &crash in crashes {
                    step(&|s| s.open(rules, report, id, crash));
                }
            }
        }
        if self.renewals > 0 {
            step(&|s| {
                s.renewals -= 1;
                s.world.renew(rules);
                true
            });
        }
        for report in reports() {
            match self.world.reports[usize::from(report)] {
                Report { waiting: Some(_), .. } => step(&|s| {
                    s.world.confirm(report);
                    true
                }),
                // Of both reports one is enough: they differ in nothing else.
                Report { epoch: 1, .. } if report == 0 => step(&|s| {
                    s.sealed.insert((report, 2), s.era);
                    s.world.rotate(rules, report)
                }),
                _ => {}
            }
        }
        if self.copies > 0 {
            step(&|s| {
                s.copies -= 1;
                s.copy();
                true
            });
        }
        if self.writes > 0 {
            for at in self.world.rows.keys() {
                for row in self.writable(*at) {
                    step(&|s| {
                        s.writes -= 1;
                        s.copy();
                        s.world.rows.insert(*at, row) != Some(row)
                    });
                }
            }
        }
        next
    }

    /// What the attacker can put there that an honest program might take: rows from elsewhere, and keys of their
    /// own, wrapped to what is public. Whatever the key that is used there does not open is as good as deleted.
    fn writable(&self, at: Place) -> Vec<Wrapped> {
        let keys: Vec<Key> = match (at.role, at.of) {
            (Role::Collection, Of::Report(report, _)) => {
                vec![Key::Collection(self.world.reports[usize::from(report)].collection)]
            }
            (Role::Kept, _) => (1..=self.world.collection)
                .map(Key::Collection)
                .chain([Key::Identity(Member::Patient)])
                .collect(),
            _ => Vec::new(),
        };
        let there = self.world.rows.values().filter(|row| keys.contains(&row.to)).copied();
        let planted = keys.iter().map(|&to| Wrapped { secret: Key::Planted, to, at });
        there.chain(planted).collect()
    }

    /// B asks the custodian to open a report under a grant; the program may be killed on the way.
    fn open(&mut self, rules: &Rules, report: u8, id: u8, crash: bool) -> bool {
        let grant = self.world.grants[usize::from(id)];
        let letter = Key::Letter(Letter::Grant(id));
        let has_key = !grant.letter || self.world.attacker.keys.contains(&letter);
        let live = match grant.standing {
            Standing::Live => true,
            Standing::Revoked => !rules.pending_counts,
            Standing::RevokedAndMined => false,
        };
        let let_in = live
            && (grant.reader == Member::B || !rules.reader_checked)
            && (has_key || !rules.token_checked);
        if !let_in {
            return false;
        }
        let Report { epoch, .. } = self.world.reports[usize::from(report)];
        let released = !crash || !rules.record_first;
        if !crash || rules.record_first {
            self.world.reads.insert((id, report, epoch));
            if !grant.live() {
                self.fault = Some(Fault::AfterRevocation);
            } else if grant.reader != Member::B || !has_key {
                self.fault = Some(Fault::NotTheReaders);
            }
        }
        if released {
            if !self.world.reads.contains(&(id, report, epoch)) {
                self.fault = Some(Fault::NoReading);
            }
            self.given.insert((report, epoch));
            if grant.scope.is_none() {
                self.collection = Some(self.era);
            }
            self.world.release(report, id);
        }
        true
    }

    /// Copies the database, with its node key: what B may read then is given.
    fn copy(&mut self) {
        let rows: Vec<_> = self.world.rows.values().copied().collect();
        self.world.attacker.see(rows);
        let live = |grant: &&Grant| grant.reader == Member::B && grant.live();
        if self.world.grants.iter().filter(live).any(|grant| grant.scope.is_none()) {
            self.collection = Some(self.era);
        }
        for (report, entry) in (0..).zip(&self.world.reports) {
            let waiting = entry.waiting.map(|_| entry.epoch + 1);
            for epoch in [Some(entry.epoch), waiting].into_iter().flatten() {
                self.copied.insert((report, epoch));
                if self.world.grants.iter().filter(live).any(|grant| grant.covers(report)) {
                    self.given.insert((report, epoch));
                }
            }
        }
    }

    /// Whatever is known was given: by a reading, or by what a copy held for B at that time.
    fn judge(&mut self) {
        for key in &self.world.attacker.keys {
            let &Key::Dek(report, epoch) = key else { continue };
            let at = (report, epoch);
            let by_collection =
                self.copied.contains(&at) && self.sealed.get(&at).copied() <= self.collection;
            if !self.given.contains(&at) && !by_collection {
                self.fault = Some(Fault::Learnt(report, epoch));
            }
        }
    }
}
