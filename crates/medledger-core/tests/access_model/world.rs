//! The ledger, the custodian's rows, and what patient and custodian do.

use crate::symbols::{Key, Knowledge, Letter, Member, Of, Place, Role, Wrapped};
use std::collections::{BTreeMap, BTreeSet};

/// The rules that are kept. Each is taken away by a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Contexts name the report, or the collection.
    pub(crate) bind_subject: bool,
    /// Contexts name the role.
    pub(crate) bind_role: bool,
    /// A kept access key is used only if ledger or present slot bear it out.
    pub(crate) check_kept: bool,
    /// Access keys are kept for the patient alone, not for whoever has the collection's key.
    pub(crate) kept_for_patient_alone: bool,
    /// The reading is accepted before the slot is released.
    pub(crate) record_first: bool,
    /// What is accepted counts, whether it is mined or not.
    pub(crate) pending_counts: bool,
    /// A slot is released to the reader of the grant.
    pub(crate) reader_checked: bool,
    /// A grant with a token takes the token.
    pub(crate) token_checked: bool,
    /// A revocation deletes the slots.
    pub(crate) slots_deleted: bool,
    /// A revocation of a grant on the collection starts its next epoch.
    pub(crate) collection_renewed: bool,
    /// A rotation draws a fresh key.
    pub(crate) fresh_dek: bool,
    /// A rotation wraps for live grants only.
    pub(crate) live_only: bool,
}

/// As built.
pub(crate) const BUILT: Rules = Rules {
    bind_subject: true,
    bind_role: true,
    check_kept: true,
    kept_for_patient_alone: true,
    record_first: true,
    pending_counts: true,
    reader_checked: true,
    token_checked: true,
    slots_deleted: true,
    collection_renewed: true,
    fresh_dek: true,
    live_only: true,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Report {
    pub(crate) epoch: u8,
    /// Epoch of the collection whose key it is wrapped to.
    pub(crate) collection: u8,
    /// That of the rotation that waits for its confirmation.
    pub(crate) waiting: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    Live,
    /// Revoked, and in no block yet.
    Revoked,
    RevokedAndMined,
}

/// Which letters the attacker reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mails {
    /// None: B's identity was stolen, and not the letters.
    None,
    /// B's.
    Own,
    All,
}

/// What a grant is on: a report, or the collection.
pub(crate) type Scope = Option<u8>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) scope: Scope,
    pub(crate) reader: Member,
    /// Whether the reader was sent an access key.
    pub(crate) letter: bool,
    pub(crate) standing: Standing,
}

impl Grant {
    pub(crate) fn covers(&self, report: u8) -> bool {
        self.scope.is_none_or(|scope| scope == report)
    }

    pub(crate) fn live(&self) -> bool {
        self.standing == Standing::Live
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) reports: Vec<Report>,
    pub(crate) collection: u8,
    pub(crate) grants: Vec<Grant>,
    pub(crate) rows: BTreeMap<Place, Wrapped>,
    /// Readings on the ledger: grant, report, epoch.
    pub(crate) reads: BTreeSet<(u8, u8, u8)>,
    pub(crate) attacker: Knowledge,
}

impl World {
    /// So many reports, uploaded.
    pub(crate) fn new(rules: &Rules, mails: Mails, reports: u8) -> Self {
        let mut world = Self {
            reports: Vec::new(),
            collection: 1,
            grants: Vec::new(),
            rows: BTreeMap::new(),
            reads: BTreeSet::new(),
            attacker: Knowledge::default(),
        };
        world.attacker.learn(Key::Identity(Member::B));
        world.attacker.learn(Key::Planted);
        (0..reports).for_each(|_| world.upload(rules, mails));
        world
    }

    fn put(&mut self, secret: Key, to: Key, at: Place) {
        self.rows.insert(at, Wrapped { secret, to, at });
    }

    /// What an honest program takes from a row in this place.
    pub(crate) fn take(&self, rules: &Rules, at: &Place, with: Key) -> Option<Key> {
        let row = self.rows.get(at)?;
        let bound = (row.at.of == at.of || !rules.bind_subject)
            && (row.at.role == at.role || !rules.bind_role)
            && row.at.grant == at.grant
            && row.at.reader == at.reader;
        (row.to == with && bound).then_some(row.secret)
    }

    /// Keeps an access key for the patient.
    fn keep(&mut self, rules: &Rules, letter: Letter, at: Place) {
        let to = match rules.kept_for_patient_alone {
            true => Key::Identity(Member::Patient),
            false => Key::Collection(self.collection),
        };
        self.put(Key::Letter(letter), to, Place { role: Role::Kept, ..at });
    }

    /// The access key kept in a place, with whichever of the patient's keys opens it.
    fn kept(&self, rules: &Rules, at: Place) -> Option<Key> {
        let at = Place { role: Role::Kept, ..at };
        let keys = (1..=self.collection).map(Key::Collection);
        keys.chain([Key::Identity(Member::Patient)]).find_map(|key| self.take(rules, &at, key))
    }

    pub(crate) fn upload(&mut self, rules: &Rules, mails: Mails) {
        let report = u8::try_from(self.reports.len()).unwrap();
        let collection = self.collection;
        self.reports.push(Report { epoch: 1, collection, waiting: None });
        let letter = Letter::Own(report, 1);
        self.put_own(rules, report, 1, Key::Dek(report, 1), letter);
        if mails == Mails::All {
            self.attacker.learn(Key::Letter(letter));
        }
    }

    fn put_own(&mut self, rules: &Rules, report: u8, epoch: u8, dek: Key, letter: Letter) {
        let at = own(report, epoch, Role::Patient);
        self.put(dek, Key::Letter(letter), at);
        self.put(dek, Key::Collection(self.collection), own(report, epoch, Role::Collection));
        self.keep(rules, letter, at);
    }

    /// The patient gives a grant, opening with the collection's key. False where that fails.
    pub(crate) fn give(&mut self, rules: &Rules, grant: Grant, mails: Mails) -> bool {
        let (of, secret) = match grant.scope {
            None => (Of::Collection(self.collection), Some(Key::Collection(self.collection))),
            Some(report) => {
                let Report { epoch, collection, .. } = self.reports[usize::from(report)];
                let at = own(report, epoch, Role::Collection);
                let secret = self.take(rules, &at, Key::Collection(collection));
                (Of::Report(report, epoch), secret)
            }
        };
        let Some(secret) = secret else { return false };
        let id = u8::try_from(self.grants.len()).unwrap();
        self.grants.push(grant);
        self.wrap_for(rules, of, id, secret);
        let read = match mails {
            Mails::None => false,
            Mails::Own => grant.reader == Member::B,
            Mails::All => true,
        };
        if grant.letter && read {
            self.attacker.learn(Key::Letter(Letter::Grant(id)));
        }
        true
    }

    /// A key for the reader of a grant, in the way that grant says.
    fn wrap_for(&mut self, rules: &Rules, of: Of, id: u8, secret: Key) {
        let grant = self.grants[usize::from(id)];
        let at = Place { of, role: Role::Grant, grant: Some(id), reader: grant.reader };
        if grant.letter {
            self.put(secret, Key::Letter(Letter::Grant(id)), at);
            self.keep(rules, Letter::Grant(id), at);
        } else {
            self.put(secret, Key::Identity(grant.reader), at);
        }
    }

    /// As `wrap_for`, in a later epoch: with the access key that the reader has, where it is kept. A planted
    /// key is wrapped for like any other where nothing bears it out.
    fn wrap_on(&mut self, rules: &Rules, from: Of, to: Of, id: u8, secret: Key) {
        let grant = self.grants[usize::from(id)];
        if !grant.letter {
            return self.wrap_for(rules, to, id, secret);
        }
        let at = Place { of: from, role: Role::Grant, grant: Some(id), reader: grant.reader };
        let Some(letter) = self.kept(rules, at) else { return };
        if letter == Key::Letter(Letter::Grant(id)) {
            self.wrap_for(rules, to, id, secret);
        } else if !rules.check_kept {
            self.put(secret, letter, Place { of: to, ..at });
        }
    }

    pub(crate) fn revoke(&mut self, rules: &Rules, id: u8) {
        let grant = &mut self.grants[usize::from(id)];
        grant.standing = Standing::Revoked;
        let on_collection = grant.scope.is_none();
        if rules.slots_deleted {
            self.rows.retain(|at, _| at.grant != Some(id));
        }
        if on_collection && rules.collection_renewed {
            self.renew(rules);
        }
    }

    pub(crate) fn renew(&mut self, rules: &Rules) {
        let (old, new) = (self.collection, self.collection + 1);
        let of = Of::Collection(new);
        let at = Place { of, role: Role::Before, grant: None, reader: Member::Patient };
        self.put(Key::Collection(old), Key::Collection(new), at);
        self.collection = new;
        for id in self.live(|grant| grant.scope.is_none()) {
            self.wrap_on(rules, Of::Collection(old), of, id, Key::Collection(new));
            self.rows.retain(|at, _| at.of != Of::Collection(old) || at.grant != Some(id));
        }
    }

    fn live(&self, fits: impl Fn(&Grant) -> bool) -> Vec<u8> {
        let ids = (0..).zip(&self.grants).filter(|(_, grant)| grant.live() && fits(grant));
        ids.map(|(id, _)| id).collect()
    }

    /// The patient rotates a report, with the collection's key. False where what is kept does not open it.
    pub(crate) fn rotate(&mut self, rules: &Rules, report: u8) -> bool {
        let Report { epoch, collection, .. } = self.reports[usize::from(report)];
        let present = Key::Dek(report, epoch);
        let at = own(report, epoch, Role::Collection);
        // The report is opened with it: another key does not pass.
        if self.take(rules, &at, Key::Collection(collection)) != Some(present) {
            return false;
        }
        let dek = if rules.fresh_dek { Key::Dek(report, epoch + 1) } else { present };
        let at = own(report, epoch, Role::Patient);
        let borne_out = |key: &Key| self.take(rules, &at, *key) == Some(present);
        let kept = self.kept(rules, at).filter(|key| !rules.check_kept || borne_out(key));
        match kept {
            Some(Key::Letter(letter)) => self.put_own(rules, report, epoch + 1, dek, letter),
            other => {
                let letter = Letter::Own(report, epoch + 1);
                self.put_own(rules, report, epoch + 1, dek, letter);
                if let Some(planted) = other {
                    self.put(dek, planted, own(report, epoch + 1, Role::Patient));
                }
            }
        }
        let ids = match rules.live_only {
            true => self.live(|grant| grant.scope == Some(report)),
            false => (0..)
                .zip(&self.grants)
                .filter(|(_, g)| g.scope == Some(report))
                .map(|(id, _)| id)
                .collect(),
        };
        for id in ids {
            self.wrap_on(rules, Of::Report(report, epoch), Of::Report(report, epoch + 1), id, dek);
        }
        self.reports[usize::from(report)].waiting = Some(self.collection);
        true
    }

    /// The hospital confirms: the slots of the epoch that ends are deleted.
    pub(crate) fn confirm(&mut self, report: u8) {
        let entry = &mut self.reports[usize::from(report)];
        let Some(collection) = entry.waiting.take() else { return };
        let ended = Of::Report(report, entry.epoch);
        *entry = Report { epoch: entry.epoch + 1, collection, waiting: None };
        self.rows.retain(|at, _| at.of != ended);
    }

    /// What the custodian hands out for a reading under a grant.
    pub(crate) fn release(&mut self, report: u8, id: u8) {
        let grant = self.grants[usize::from(id)];
        let Report { epoch, .. } = self.reports[usize::from(report)];
        let handed = |at: &Place| match grant.scope {
            Some(_) => {
                at.of == Of::Report(report, epoch) && at.grant == Some(id) && at.role == Role::Grant
            }
            None => {
                (at.grant == Some(id) && at.role == Role::Grant)
                    || at.role == Role::Before
                    || *at == own(report, epoch, Role::Collection)
            }
        };
        let rows: Vec<_> =
            self.rows.iter().filter(|(at, _)| handed(at)).map(|(_, row)| *row).collect();
        self.attacker.see(rows);
    }
}

/// The patient's own row of a report.
pub(crate) const fn own(report: u8, epoch: u8, role: Role) -> Place {
    Place { of: Of::Report(report, epoch), role, grant: None, reader: Member::Patient }
}
