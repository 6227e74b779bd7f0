//! Keys as symbols, what is wrapped under them, and where that belongs.

use std::collections::BTreeSet;

/// Who acts. B and what B is given are the attacker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Member {
    Patient,
    A,
    B,
}

/// Whose access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Letter {
    /// The patient's, for a report, from the epoch on at which it was drawn.
    Own(u8, u8),
    /// The reader's of a grant.
    Grant(u8),
}

/// A secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Identity(Member),
    /// The patient's collection key of an epoch.
    Collection(u8),
    Letter(Letter),
    /// The key of a report in an epoch.
    Dek(u8, u8),
    /// One the attacker drew.
    Planted,
}

/// What a row is about: a report in an epoch, or an epoch of the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Of {
    Report(u8, u8),
    Collection(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Role {
    /// A report's key for the patient's letter.
    Patient,
    /// A report's key for the collection.
    Collection,
    /// A report's or a collection's key for the reader of a grant.
    Grant,
    /// An access key, kept for the patient.
    Kept,
    /// The collection's key of the epoch before.
    Before,
}

/// Where a row belongs, which is what its wrapped key is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) of: Of,
    pub(crate) role: Role,
    pub(crate) grant: Option<u8>,
    pub(crate) reader: Member,
}

/// A secret wrapped for whoever has `to`, bound to `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Wrapped {
    pub(crate) secret: Key,
    pub(crate) to: Key,
    pub(crate) at: Place,
}

/// What the attacker has: keys, and wrapped ones that wait for theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Knowledge {
    pub(crate) keys: BTreeSet<Key>,
    seen: BTreeSet<Wrapped>,
}

impl Knowledge {
    pub(crate) fn learn(&mut self, key: Key) {
        self.keys.insert(key);
        self.close();
    }

    pub(crate) fn see(&mut self, rows: impl IntoIterator<Item = Wrapped>) {
        self.seen.extend(rows);
        self.close();
    }

    /// Contexts are no secret: a key opens whatever is wrapped to it. What was opened is forgotten.
    fn close(&mut self) {
        loop {
            let (open, shut) = self.seen.iter().partition(|row| self.keys.contains(&row.to));
            let opened: BTreeSet<Wrapped> = open;
            self.seen = shut;
            self.keys.extend(opened.iter().map(|row| row.secret));
            if opened.is_empty() {
                return;
            }
        }
    }
}
