//! The audit log of this hospital: refused reads, wrong keys and what was done with keys, each entry with the
//! hash of the one before. The chain holds only its digest, so nobody else learns who failed at what, and yet no
//! entry can be altered, left out or cut off without being found ([`Ledger::verify_audit`]).

use crate::attempts::Target;
use crate::ledger::Ledger;
use medledger_core::cbor;
use medledger_core::clock::Timestamp;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{AuditHash, GrantId, MemberId, RecordId, ReportId};
use medledger_core::record::{AuditDigest, Body};
use medledger_core::registry::{FORMAT_VERSION, Kind, domain, limit};
use medledger_core::store::{Drawer, RecordQuery, Standing, StoreError, Unit, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What an entry of the audit log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// A key that does not fit was tried.
    WrongKey,
    /// A report, request or grant was named that does not exist, or that the member may not use.
    NoPermission,
    /// The permission had expired.
    Expired,
    /// The permission had been taken back.
    Revoked,
    /// After too many failures nothing is tried for a while.
    LockedOut,
    /// A patient made a new key in place of a lost one.
    KeyRenewed,
    /// A key that waited was picked up.
    KeyPickedUp,
    /// Something was tried while nothing is tried after too many failures.
    Waiting,
    /// Whoever asked is not the member they say they are, or none. The id is the one they claim.
    Stranger,
}

impl AuditEvent {
    /// The name that stands in the entry and that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongKey => "wrong-key",
            Self::NoPermission => "no-permission",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::LockedOut => "locked-out",
            Self::KeyRenewed => "key-renewed",
            Self::KeyPickedUp => "key-picked-up",
            Self::Waiting => "waiting",
            Self::Stranger => "stranger",
        }
    }
}

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place in the log, from 0.
    pub number: u64,
    /// When, by this hospital's clock.
    pub time: Timestamp,
    /// What.
    pub event: AuditEvent,
    /// Who.
    pub member: MemberId,
    /// The report they named. It need not exist.
    pub report: Option<ReportId>,
    /// The request they named.
    pub request: Option<RecordId>,
    /// The grant they named.
    pub grant: Option<GrantId>,
    /// How many attempts the entry stands for. More than one where a day had so many that they were only
    /// counted.
    pub count: u64,
}

/// Member and what they named, for an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    member: MemberId,
    /// None where one entry stands for many attempts.
    target: Option<Target>,
    count: u64,
}

impl Noted {
    pub(crate) const fn of(member: &MemberId, target: Target) -> Self {
        Self { member: *member, target: Some(target), count: 1 }
    }

    /// So many attempts by one member, on whatever.
    pub(crate) const fn more(member: &MemberId, count: u64) -> Self {
        Self { member: *member, target: None, count }
    }
}

/// The bytes of an entry, as they are hashed and, sealed, stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u16,
    number: u64,
    time: Timestamp,
    event: AuditEvent,
    member: MemberId,
    report: Option<ReportId>,
    request: Option<RecordId>,
    grant: Option<GrantId>,
    before: AuditHash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// How many entries there are, and the hash of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    size: u64,
    hash: AuditHash,
}

/// What [`Ledger::verify_audit`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// Entries here.
    pub size: u64,
    /// Digests of this hospital on the chain, those accepted and not yet mined included.
    pub digests: usize,
    /// Entries that such a digest vouches for.
    pub vouched: u64,
    /// What is wrong, if anything.
    pub findings: Vec<AuditFinding>,
}

/// What is wrong with the audit log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFinding {
    /// An entry is missing, altered, or does not follow the one before.
    #[error("audit entry {0} is missing, or was altered")]
    Entry(u64),
    /// The end of the log is not where it is said to be.
    #[error("the audit log is said to have {said} entries, and has {found}")]
    End {
        /// Entries there should be.
        said: u64,
        /// Entries there are.
        found: u64,
    },
    /// The chain holds a digest of more entries than there are here.
    #[error("digest {record} covers {said} audit entries, here are {found}: some were cut off")]
    CutOff {
        /// The record with the digest.
        record: RecordId,
        /// Entries it covers.
        said: u64,
        /// Entries there are.
        found: u64,
    },
    /// The chain holds a digest of other entries than those here.
    #[error("digest {record} of {size} audit entries is not that of the entries here")]
    Differs {
        /// The record with the digest.
        record: RecordId,
        /// Entries it covers.
        size: u64,
    },
}

/// Why no digest of the audit log was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The log is not that of the hospital that was to sign.
    #[error("the audit log is that of hospital {here}, and {found} was to sign for it")]
    OtherHospital {
        /// The hospital of this folder.
        here: MemberId,
        /// Who was to sign.
        found: MemberId,
    },
    /// The log is damaged: nobody signs for it.
    #[error("the audit log is not what it should be: {0}")]
    Damaged(AuditFinding),
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Row of the end of the log.
const END: &[u8] = b"end";

/// Table of the entries, before their number.
const ENTRY: u8 = b'n';

fn key(number: u64) -> Vec<u8> {
    let mut key = vec![ENTRY];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn hash(parts: &[&[u8]]) -> AuditHash {
    let mut hash = Sha256::new_with_prefix(domain::AUDIT);
    parts.iter().for_each(|part| hash.update(part));
    AuditHash::from_bytes(hash.finalize().into())
}

impl Ledger {
    /// Adds an entry to the audit log, in the unit of work of what it is about.
    pub(crate) fn audit(
        &self,
        unit: &mut dyn Unit,
        event: AuditEvent,
        noted: &Noted,
    ) -> Result<(), StoreError> {
        let end = self.audit_end(unit)?;
        let mut wire = Wire {
            v: FORMAT_VERSION,
            number: end.size,
            time: self.now(),
            event,
            member: noted.member,
            report: None,
            request: None,
            grant: None,
            before: end.hash,
            count: (noted.count != 1).then_some(noted.count),
        };
        match noted.target {
            Some(Target::Report(id)) => wire.report = Some(id),
            Some(Target::Request(id)) => wire.request = Some(id),
            Some(Target::Grant(id)) => wire.grant = Some(id),
            // The hospital keeps this log: it is the collection here.
            Some(Target::Collection(_)) | None => {}
        }
        let bytes = cbor::encode(&wire);
        let end = End { size: end.size + 1, hash: hash(&[&bytes]) };
        for (key, plain) in [(key(wire.number), bytes), (END.to_vec(), cbor::encode(&end))] {
            let sealed = self.node_key().seal(Drawer::Audit, &key, &plain, &mut self.rng());
            unit.set_local(Drawer::Audit, &key, Some(&sealed))?;
        }
        Ok(())
    }

    fn audit_end(&self, view: &dyn View) -> Result<End, StoreError> {
        let Some(sealed) = view.local(Drawer::Audit, END)? else {
            let start = hash(&[self.chain().as_bytes(), self.hospital().as_bytes()]);
            return Ok(End { size: 0, hash: start });
        };
        let plain = self.node_key().unseal(Drawer::Audit, END, &sealed)?;
        cbor::decode(&plain, 256)
            .map_err(|error| StoreError::Damaged(format!("end of the audit log: {error}")))
    }

    fn audit_wire(&self, key: &[u8], sealed: &[u8]) -> Result<(Wire, AuditHash), StoreError> {
        let plain = self.node_key().unseal(Drawer::Audit, key, sealed)?;
        let wire: Wire = cbor::decode(&plain, limit::AUDIT_ENTRY_BYTES)
            .map_err(|error| StoreError::Damaged(format!("audit entry: {error}")))?;
        if wire.v != FORMAT_VERSION || key != self::key(wire.number) {
            return Err(StoreError::Damaged(format!("audit entry {}", wire.number)));
        }
        Ok((wire, hash(&[&plain])))
    }

    /// Entries of this hospital's audit log from number `from` on, at most `limit` of them.
    ///
    /// # Errors
    /// When the store fails, or an entry cannot be read.
    pub fn audit_log(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let view = self.view()?;
        let after = from.checked_sub(1).map(key);
        let rows = view.local_scan(Drawer::Audit, &[ENTRY], after.as_deref(), limit)?;
        rows.iter()
            .map(|(key, sealed)| {
                let (wire, _) = self.audit_wire(key, sealed)?;
                let Wire { number, time, event, member, report, request, grant, count, .. } = wire;
                let count = count.unwrap_or(1);
                Ok(AuditEntry { number, time, event, member, report, request, grant, count })
            })
            .collect()
    }

    /// Signs how long the audit log is and its last hash, as a record on the chain: what it covers can no
    /// longer be altered or left out unnoticed.
    ///
    /// # Errors
    /// See [`AuditError`]; a log that is damaged already is signed by nobody.
    pub fn digest_audit(&self, hospital: &Identity) -> Result<RecordId, AuditError> {
        let (here, found) = (self.hospital(), hospital.id());
        if here != found {
            return Err(AuditError::OtherHospital { here, found });
        }
        self.note_what_was_counted()?;
        let report = self.verify_audit()?;
        if let Some(finding) = report.findings.into_iter().next() {
            return Err(AuditError::Damaged(finding));
        }
        let end = self.audit_end(self.view()?.as_ref())?;
        let body = AuditDigest { first: report.vouched, size: end.size, root: end.hash };
        let record = self.sign(hospital, body);
        let id = record.id();
        self.accept(&[record], |_| Ok::<_, AuditError>(()))?;
        Ok(id)
    }

    /// Recomputes the audit log and compares it with every digest of it on the chain.
    ///
    /// # Errors
    /// When the store fails. What is wrong with the log is in the result.
    pub fn verify_audit(&self) -> Result<AuditReport, StoreError> {
        let view = self.view()?;
        let view = view.as_ref();
        let mut report = AuditReport::default();
        let start = hash(&[self.chain().as_bytes(), self.hospital().as_bytes()]);
        // Hash after so many entries.
        let mut hashes = vec![start];
        let mut after = None;
        'all: loop {
            let rows = view.local_scan(Drawer::Audit, &[ENTRY], after.as_deref(), PAGE)?;
            for (key, sealed) in &rows {
                let number = hashes.len() as u64 - 1;
                match self.audit_wire(key, sealed) {
                    Ok((wire, hash))
                        if wire.number == number && wire.before == hashes[hashes.len() - 1] =>
                    {
                        hashes.push(hash);
                    }
                    Ok(_) | Err(StoreError::Damaged(_)) => {
                        report.findings.push(AuditFinding::Entry(number));
                        break 'all;
                    }
                    Err(error) => return Err(error),
                }
            }
            match rows.last() {
                Some((key, _)) if rows.len() == PAGE => after = Some(key.clone()),
                _ => break,
            }
        }
        report.size = hashes.len() as u64 - 1;
        match self.audit_end(view) {
            Ok(end) if end.size == report.size && end.hash == hashes[hashes.len() - 1] => {}
            Ok(end) => {
                report.findings.push(AuditFinding::End { said: end.size, found: report.size });
            }
            Err(StoreError::Damaged(_)) => {
                report.findings.push(AuditFinding::End { said: 0, found: report.size });
            }
            Err(error) => return Err(error),
        }
        self.compare_digests(view, &hashes, &mut report)?;
        Ok(report)
    }

    fn compare_digests(
        &self,
        view: &dyn View,
        hashes: &[AuditHash],
        report: &mut AuditReport,
    ) -> Result<(), StoreError> {
        let query = RecordQuery {
            kind: Some(Kind::AuditDigest),
            author: Some(self.hospital()),
            ..RecordQuery::default()
        };
        for stored in view.find(&query)? {
            if matches!(stored.standing, Standing::Refused { .. }) {
                continue;
            }
            let signed = stored.signed()?;
            let Body::AuditDigest(digest) = &signed.record().body else { continue };
            report.digests += 1;
            let place = usize::try_from(digest.size).ok().and_then(|size| hashes.get(size));
            match place {
                Some(hash) if *hash == digest.root => {
                    report.vouched = report.vouched.max(digest.size);
                }
                Some(_) => report
                    .findings
                    .push(AuditFinding::Differs { record: stored.id, size: digest.size }),
                None => report.findings.push(AuditFinding::CutOff {
                    record: stored.id,
                    said: digest.size,
                    found: report.size,
                }),
            }
        }
        Ok(())
    }
}

/// Entries read at a time.
const PAGE: usize = 4096;
