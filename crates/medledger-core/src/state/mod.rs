//! The state of a ledger: members, enrolments, reports, requests, grants.
//!
//! State is a fold over (records, height, median time) and nothing else: delete it, replay the
//! blocks, and the same entries come back to the bit. It is kept as an ordered map of small DAG-CBOR
//! entries so that any store can hold it and nobody has to load it whole.
//!
//! The fold is one function, [`apply`].

mod access;
mod apply;
mod audit;
mod entry;
mod known;
mod overlay;
mod read_once;
mod rebuilt;
mod signatures;
mod table;

pub use crate::small_key::StateKey;
pub use apply::{ApplyError, At, Change, apply};
pub use audit::AuditState;
pub use entry::{
    Enrolment, GrantEntry, GrantStanding, GroupEntry, MemberEntry, ReportEntry, RequestEntry,
    RequestStatus, RotationEntry, Succession,
};
pub use known::Known;
pub use overlay::{Changes, Overlay};
pub use read_once::Memo;
pub(crate) use read_once::ReadOnce;
pub use rebuilt::Rebuilt;
pub(crate) use signatures::PutOff;
pub use signatures::{BatchedSignatures, SignatureCheck, Signatures};

use crate::cbor;
use crate::genesis::Genesis;
use crate::hospital::HospitalSet;
use crate::ids::{GrantId, GroupId, MemberId, RecordId, ReportId};
use crate::store::{Row, StoreError};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// Reads the entries of a state, by key and in key order.
pub trait StateRead {
    /// The entry with this key.
    ///
    /// # Errors
    /// When the store fails.
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Entries whose key begins with `prefix` and is greater than `after`, in key order.
    ///
    /// # Errors
    /// When the store fails.
    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// The entries whose key begins with one of `prefixes`, in no particular order: what a store finds at one go.
    ///
    /// # Errors
    /// When the store fails.
    fn state_scans(&self, prefixes: &[&[u8]]) -> Result<Vec<Row>, StoreError> {
        scans_one_by_one(self, prefixes)
    }

    /// The entries of a table to which others lead: those whose key is `table` and the last `id` bytes of a key that
    /// begins with one of `prefixes`. In no particular order; one to which two keys lead is there twice.
    ///
    /// # Errors
    /// When the store fails.
    fn state_led_to(
        &self,
        prefixes: &[&[u8]],
        table: u8,
        id: usize,
    ) -> Result<Vec<Row>, StoreError> {
        led_to_one_by_one(self, prefixes, table, id)
    }

    /// Where members that were read are remembered, if anywhere.
    fn known(&self) -> Option<&Known> {
        None
    }

    /// Where the entry with this key is remembered as it was read, if anywhere; for as long as it stays the same.
    fn memo(&self, key: &[u8]) -> Option<&Memo> {
        let _ = key;
        None
    }
}

fn scans_one_by_one(
    state: &(impl StateRead + ?Sized),
    prefixes: &[&[u8]],
) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    for prefix in prefixes {
        found.extend(state.state_scan(prefix, None, usize::MAX)?);
    }
    Ok(found)
}

fn led_to_one_by_one(
    state: &(impl StateRead + ?Sized),
    prefixes: &[&[u8]],
    table: u8,
    id: usize,
) -> Result<Vec<Row>, StoreError> {
    let mut found = Vec::new();
    for (key, _) in state.state_scans(prefixes)? {
        let tail = &key[key.len().saturating_sub(id)..];
        let key = [&[table], tail].concat();
        if let Some(value) = state.state(&key)? {
            found.push((key, value));
        }
    }
    Ok(found)
}

/// Keys of the state: a letter for the table, then ids of fixed length. `docs/format.md` lists them.
pub(crate) mod key {
    use super::{GrantId, GroupId, MemberId, RecordId, ReportId, StateKey};
    use crate::record::Grantee;
    use crate::registry::Role;

    fn join<const N: usize>(table: u8, parts: &[&[u8]; N]) -> StateKey {
        let mut all = [&[][..]; 5];
        all[0] = std::slice::from_ref(&table);
        all[1..=N].copy_from_slice(parts);
        StateKey::join(&all)
    }

    pub(crate) fn member(id: &MemberId) -> StateKey {
        join(b'm', &[id.as_bytes()])
    }
    pub(crate) fn enrolment(patient: &MemberId, hospital: &MemberId) -> StateKey {
        join(b'e', &[patient.as_bytes(), hospital.as_bytes()])
    }
    pub(crate) fn report(id: &ReportId) -> StateKey {
        join(b'r', &[id.as_bytes()])
    }
    /// Index: reports of a patient.
    pub(crate) fn patient_report(patient: &MemberId, id: &ReportId) -> StateKey {
        join(b'p', &[patient.as_bytes(), id.as_bytes()])
    }
    pub(crate) fn request(id: &RecordId) -> StateKey {
        join(b'q', &[id.as_bytes()])
    }
    /// Index: requests of one reader for one report that wait; at most one.
    pub(crate) fn waiting(report: &ReportId, reader: &MemberId) -> StateKey {
        join(b'w', &[report.as_bytes(), reader.as_bytes()])
    }
    /// Index: requests that wait for a patient.
    pub(crate) fn patient_waiting(patient: &MemberId, id: &RecordId) -> StateKey {
        join(b'o', &[patient.as_bytes(), id.as_bytes()])
    }
    pub(crate) fn grant(id: &GrantId) -> StateKey {
        join(b'g', &[id.as_bytes()])
    }
    /// Index: grants on a report for a reader or a group.
    pub(crate) fn report_grant(reader: &Grantee, report: &ReportId, id: &GrantId) -> StateKey {
        join(b'h', &[grantee(reader), report.as_bytes(), id.as_bytes()])
    }
    /// Index: grants on a collection for a reader or a group.
    pub(crate) fn collection_grant(
        reader: &Grantee,
        patient: &MemberId,
        hospital: &MemberId,
        id: &GrantId,
    ) -> StateKey {
        let parts =
            [grantee(reader), patient.as_bytes(), hospital.as_bytes(), id.as_bytes().as_slice()];
        join(b'k', &parts)
    }
    /// Index: grants of a patient, those passed on included.
    pub(crate) fn patient_grant(patient: &MemberId, id: &GrantId) -> StateKey {
        join(b'l', &[patient.as_bytes(), id.as_bytes()])
    }
    fn grantee(reader: &Grantee) -> &[u8] {
        match reader {
            Grantee::Member(member) => member.as_bytes(),
            Grantee::Group(at) => at.group.as_bytes(),
        }
    }
    pub(crate) fn group(id: &GroupId) -> StateKey {
        join(b'u', &[id.as_bytes()])
    }
    /// Members of a group.
    pub(crate) fn group_member(group: &GroupId, member: &MemberId) -> StateKey {
        join(b'v', &[group.as_bytes(), member.as_bytes()])
    }
    /// Index: groups of a member.
    pub(crate) fn member_group(member: &MemberId, group: &GroupId) -> StateKey {
        join(b'y', &[member.as_bytes(), group.as_bytes()])
    }
    /// Index: the group of a role at a hospital.
    pub(crate) fn role_group(hospital: &MemberId, role: Role) -> StateKey {
        join(b'z', &[hospital.as_bytes(), role.name().as_bytes()])
    }
    /// Losses of keys among those put into a group.
    pub(crate) fn group_losses(group: &GroupId) -> StateKey {
        join(b'n', &[group.as_bytes()])
    }
    /// Losses of keys among everyone of a role at a hospital, whether there is a group of them or not.
    pub(crate) fn role_losses(hospital: &MemberId, role: Role) -> StateKey {
        join(b'f', &[hospital.as_bytes(), role.name().as_bytes()])
    }
    /// The rotation of a report that waits for its confirmation.
    pub(crate) fn rotation(report: &ReportId) -> StateKey {
        join(b't', &[report.as_bytes()])
    }
    /// Index: the report whose rotation a record asked for.
    pub(crate) fn rotation_of(record: &RecordId) -> StateKey {
        join(b'j', &[record.as_bytes()])
    }
    /// Grants revoked before they were seen.
    pub(crate) fn revoked_ahead(author: &MemberId, id: &GrantId) -> StateKey {
        join(b'x', &[author.as_bytes(), id.as_bytes()])
    }
    /// Records that took effect.
    pub(crate) fn seen(id: &RecordId) -> StateKey {
        join(b'i', &[id.as_bytes()])
    }
    /// The hospitals from a height on; those before the first such entry are the founders.
    pub(crate) fn hospitals(since: u64) -> StateKey {
        join(b's', &[&since.to_be_bytes()])
    }
    /// Newest audit digest of a hospital.
    pub(crate) fn audit(hospital: &MemberId) -> StateKey {
        join(b'a', &[hospital.as_bytes()])
    }
    pub(crate) const GENESIS: &[u8] = b"c";
}

/// Typed access to a state.
///
/// Every method fails with [`StoreError`] when the store does, or when an entry cannot be read.
#[derive(Clone, Copy)]
pub struct State<'a>(&'a dyn StateRead);

impl std::fmt::Debug for State<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl<'a> State<'a> {
    /// Typed access to `entries`.
    #[must_use]
    pub const fn new(entries: &'a dyn StateRead) -> Self {
        Self(entries)
    }

    fn read<T: Serialize + DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.0.state(key)?.map(|bytes| parse(key, &bytes)).transpose()
    }

    /// The genesis configuration this state grew from.
    ///
    /// # Errors
    /// When the store fails; so for every method of this type.
    pub fn genesis(&self) -> Result<Option<Genesis>, StoreError> {
        self.read(key::GENESIS)
    }

    /// The hospitals now.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hospitals(&self, genesis: &Genesis) -> Result<HospitalSet, StoreError> {
        self.hospitals_at(genesis, u64::MAX)
    }

    /// The hospitals after the block at a height.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hospitals_at(&self, genesis: &Genesis, height: u64) -> Result<HospitalSet, StoreError> {
        let changes = self.hospital_changes()?.into_iter();
        let newest = changes.take_while(|set| set.since <= height).last();
        Ok(newest.unwrap_or_else(|| HospitalSet::founders(genesis)))
    }

    /// The sets of hospitals after the first, oldest first: one for each change.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hospital_changes(&self) -> Result<Vec<HospitalSet>, StoreError> {
        self.rows(b"s")?.iter().map(|(key, value)| parse(key, value)).collect()
    }

    /// A member.
    ///
    /// # Errors
    /// When the store fails.
    pub fn member(&self, id: &MemberId) -> Result<Option<MemberEntry>, StoreError> {
        Ok(self.shared_member(id)?.map(Arc::unwrap_or_clone))
    }

    /// As [`member`](Self::member), without a copy where it is remembered.
    fn shared_member(&self, id: &MemberId) -> Result<Option<Arc<MemberEntry>>, StoreError> {
        let key = key::member(id);
        let read = || {
            let Some(bytes) = self.0.state(&key)? else { return Ok(None) };
            let read = |bytes: &[u8]| parse(&key, bytes);
            match self.0.known() {
                Some(known) => known.member(id, bytes, read),
                None => read(&bytes).map(Arc::new),
            }
            .map(Some)
        };
        match self.0.memo(&key) {
            Some(memo) => memo.member(id, read),
            None => read(),
        }
    }

    /// Every member, in order of id.
    ///
    /// # Errors
    /// When the store fails.
    pub fn members(&self) -> Result<Vec<(MemberId, MemberEntry)>, StoreError> {
        self.rows(b"m")?
            .into_iter()
            .map(|(key, value)| Ok((tail(&key)?, parse(&key, &value)?)))
            .collect()
    }

    /// A patient's enrolment at a hospital.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enrolment(
        &self,
        patient: &MemberId,
        hospital: &MemberId,
    ) -> Result<Option<Enrolment>, StoreError> {
        Ok(self.shared_enrolment(patient, hospital)?.map(Arc::unwrap_or_clone))
    }

    fn shared_enrolment(
        &self,
        patient: &MemberId,
        hospital: &MemberId,
    ) -> Result<Option<Arc<Enrolment>>, StoreError> {
        let key = key::enrolment(patient, hospital);
        let read = || Ok(self.read(&key)?.map(Arc::new));
        match self.0.memo(&key) {
            Some(memo) => memo.enrolment((*patient, *hospital), read),
            None => read(),
        }
    }

    /// A patient's enrolments, by hospital.
    ///
    /// # Errors
    /// When the store fails.
    pub fn enrolments_of(
        &self,
        patient: &MemberId,
    ) -> Result<Vec<(MemberId, Enrolment)>, StoreError> {
        let mut prefix = vec![b'e'];
        prefix.extend_from_slice(patient.as_bytes());
        self.rows(&prefix)?
            .into_iter()
            .map(|(key, value)| Ok((tail(&key)?, parse(&key, &value)?)))
            .collect()
    }

    /// A report.
    ///
    /// # Errors
    /// When the store fails.
    pub fn report(&self, id: &ReportId) -> Result<Option<ReportEntry>, StoreError> {
        let key = key::report(id);
        let Some(bytes) = self.0.state(&key)? else { return Ok(None) };
        ReportEntry::read(&bytes).map_or_else(|| parse(&key, &bytes), Ok).map(Some)
    }

    /// Ids of the reports about a patient.
    ///
    /// # Errors
    /// When the store fails.
    pub fn reports_of(&self, patient: &MemberId) -> Result<Vec<ReportId>, StoreError> {
        let mut prefix = vec![b'p'];
        prefix.extend_from_slice(patient.as_bytes());
        self.rows(&prefix)?.iter().map(|(key, _)| tail(key)).collect()
    }

    /// A request for access.
    ///
    /// # Errors
    /// When the store fails.
    pub fn request(&self, id: &RecordId) -> Result<Option<RequestEntry>, StoreError> {
        self.read(&key::request(id))
    }

    /// Ids of the requests that wait for a patient's answer.
    ///
    /// # Errors
    /// When the store fails.
    pub fn requests_waiting_for(&self, patient: &MemberId) -> Result<Vec<RecordId>, StoreError> {
        let mut prefix = vec![b'o'];
        prefix.extend_from_slice(patient.as_bytes());
        self.rows(&prefix)?.iter().map(|(key, _)| tail(key)).collect()
    }

    /// A grant.
    ///
    /// # Errors
    /// When the store fails.
    pub fn grant(&self, id: &GrantId) -> Result<Option<GrantEntry>, StoreError> {
        let key = key::grant(id);
        let Some(bytes) = self.0.state(&key)? else { return Ok(None) };
        read_grant(&key, &bytes).map(Some)
    }

    /// Whether a record took effect.
    ///
    /// # Errors
    /// When the store fails.
    pub fn seen(&self, id: &RecordId) -> Result<bool, StoreError> {
        Ok(self.0.state(&key::seen(id))?.is_some())
    }

    /// How far a hospital's audit log has come, by its newest digest.
    ///
    /// # Errors
    /// When the store fails.
    pub fn audit(&self, hospital: &MemberId) -> Result<Option<AuditState>, StoreError> {
        self.read(&key::audit(hospital))
    }

    fn was_revoked_ahead(&self, author: &MemberId, grant: &GrantId) -> Result<bool, StoreError> {
        Ok(self.0.state(&key::revoked_ahead(author, grant))?.is_some())
    }

    /// The request of this reader for this report that nobody has answered.
    fn waiting(
        &self,
        report: &ReportId,
        reader: &MemberId,
    ) -> Result<Option<RecordId>, StoreError> {
        self.read(&key::waiting(report, reader))
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        self.0.state_scan(prefix, None, usize::MAX)
    }
}

fn parse<T: Serialize + DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, StoreError> {
    cbor::decode(bytes, crate::registry::limit::GENESIS_BYTES).map_err(|error| {
        StoreError::Damaged(format!("state entry {}: {error}", data_encoding::HEXLOWER.encode(key)))
    })
}

fn read_grant(key: &[u8], bytes: &[u8]) -> Result<GrantEntry, StoreError> {
    GrantEntry::read(bytes).map_or_else(|| parse(key, bytes), Ok)
}

/// The id at the end of a key.
fn tail<T: for<'a> TryFrom<&'a [u8]> + IdLen>(key: &[u8]) -> Result<T, StoreError> {
    key.len()
        .checked_sub(T::LEN)
        .and_then(|at| T::try_from(&key[at..]).ok())
        .ok_or_else(|| StoreError::Damaged("state key is too short".into()))
}

/// How long an id is, for reading it off the end of a key.
trait IdLen {
    const LEN: usize;
}

impl IdLen for MemberId {
    const LEN: usize = Self::LEN;
}
impl IdLen for ReportId {
    const LEN: usize = Self::LEN;
}
impl IdLen for GrantId {
    const LEN: usize = Self::LEN;
}
impl IdLen for GroupId {
    const LEN: usize = Self::LEN;
}
impl IdLen for RecordId {
    const LEN: usize = Self::LEN;
}
