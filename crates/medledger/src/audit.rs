//! The audit log of this hospital: refused reads, wrong keys and what was done with keys, each entry with the
//! hash of the one before. The chain holds only its digest, so nobody else learns who failed at what, and yet no
//! entry can be altered, left out or cut off without being found ([`Ledger::verify_audit`]).

use crate::attempts::Target;
use crate::ledger::Ledger;
use medledger_core::audit::{Entry, start};
use medledger_core::cbor;
use medledger_core::clock::Timestamp;
use medledger_core::engine::SubmitError;
use medledger_core::identity::Identity;
use medledger_core::ids::{AuditHash, GrantId, MemberId, RecordId, ReportId};
use medledger_core::record::{AuditDigest, Body};
use medledger_core::registry::{Kind, VoidCode};
use medledger_core::store::{Drawer, RecordQuery, Standing, StoreError, Unit, View};
use serde::{Deserialize, Serialize};

pub use medledger_core::audit::AuditEvent;

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

    /// A member, on nothing in particular.
    pub(crate) const fn member(member: &MemberId) -> Self {
        Self::more(member, 1)
    }

    /// So many attempts by one member, on whatever.
    pub(crate) const fn more(member: &MemberId, count: u64) -> Self {
        Self { member: *member, target: None, count }
    }
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

/// What [`Ledger::glance_at_audit`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditGlance {
    /// Entries there are, as the log's end says.
    pub size: u64,
    /// What is seen to be wrong without recomputing it.
    pub broken: Option<AuditFinding>,
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
    /// Whoever acts is not the hospital by its present keys.
    #[error("{0} (code {code})", code = .0.code())]
    Refused(VoidCode),
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

impl Ledger {
    /// Adds an entry to the audit log, in the unit of work of what it is about.
    pub(crate) fn audit(
        &self,
        unit: &mut dyn Unit,
        event: AuditEvent,
        noted: &Noted,
    ) -> Result<(), StoreError> {
        let end = self.audit_end(unit)?;
        let mut entry = Entry::new(end.size, self.now(), event, noted.member, end.hash);
        entry.count = (noted.count != 1).then_some(noted.count);
        match noted.target {
            Some(Target::Report(id)) => entry.report = Some(id),
            Some(Target::Request(id)) => entry.request = Some(id),
            Some(Target::Grant(id)) => entry.grant = Some(id),
            // The hospital keeps this log: it is the collection here.
            Some(Target::Collection(_)) | None => {}
        }
        let end = End { size: end.size + 1, hash: entry.hash() };
        for (key, plain) in
            [(key(entry.number), entry.encode()), (END.to_vec(), cbor::encode(&end))]
        {
            let sealed = self.node_key().seal(Drawer::Audit, &key, &plain, &mut self.rng());
            unit.set_local(Drawer::Audit, &key, Some(&sealed))?;
        }
        Ok(())
    }

    fn audit_end(&self, view: &dyn View) -> Result<End, StoreError> {
        let Some(sealed) = view.local(Drawer::Audit, END)? else {
            return Ok(End { size: 0, hash: start(&self.chain(), &self.hospital()) });
        };
        let plain = self.node_key().unseal(Drawer::Audit, END, &sealed)?;
        cbor::decode(&plain, 256)
            .map_err(|error| StoreError::Damaged(format!("end of the audit log: {error}")))
    }

    fn audit_entry(&self, key: &[u8], sealed: &[u8]) -> Result<Entry, StoreError> {
        let plain = self.node_key().unseal(Drawer::Audit, key, sealed)?;
        let entry = Entry::decode(&plain)
            .map_err(|error| StoreError::Damaged(format!("audit entry: {error}")))?;
        if key != self::key(entry.number) {
            return Err(StoreError::Damaged(format!("audit entry {}", entry.number)));
        }
        Ok(entry)
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
                let entry = self.audit_entry(key, sealed)?;
                let Entry { number, time, event, member, report, request, grant, .. } = entry;
                let count = entry.count.unwrap_or(1);
                Ok(AuditEntry { number, time, event, member, report, request, grant, count })
            })
            .collect()
    }

    /// Whether every entry of the audit log is there, and none of those that a digest on the chain covers was cut off.
    /// Only the last is opened: what was altered in its place [`verify_audit`](Self::verify_audit) finds.
    ///
    /// # Errors
    /// When the store fails. What is wrong with the log is in the result.
    pub fn glance_at_audit(&self) -> Result<AuditGlance, StoreError> {
        let view = self.view()?;
        let view = view.as_ref();
        let (mut found, mut last) = (0, None);
        'all: loop {
            let after = last.as_ref().map(|(key, _): &(Vec<u8>, Vec<u8>)| key.clone());
            let rows = view.local_scan(Drawer::Audit, &[ENTRY], after.as_deref(), PAGE)?;
            let whole = rows.len() < PAGE;
            for row in rows {
                if row.0 != key(found) {
                    break 'all;
                }
                found += 1;
                last = Some(row);
            }
            if whole {
                break;
            }
        }
        let end = match self.audit_end(view) {
            Ok(end) => end,
            Err(StoreError::Damaged(_)) => {
                let broken = Some(AuditFinding::End { said: 0, found });
                return Ok(AuditGlance { size: found, broken });
            }
            Err(error) => return Err(error),
        };
        let ends_so = match &last {
            None => true,
            Some((key, sealed)) => match self.audit_entry(key, sealed) {
                Ok(entry) => found != end.size || entry.hash() == end.hash,
                Err(StoreError::Damaged(_)) => false,
                Err(error) => return Err(error),
            },
        };
        let broken = if found < end.size || !ends_so {
            Some(AuditFinding::Entry(if ends_so { found } else { found - 1 }))
        } else if found > end.size {
            Some(AuditFinding::End { said: end.size, found })
        } else {
            self.cut_off(view, found)?
        };
        Ok(AuditGlance { size: end.size, broken })
    }

    /// The digest on the chain that covers more entries than there are, if one does.
    fn cut_off(&self, view: &dyn View, found: u64) -> Result<Option<AuditFinding>, StoreError> {
        for (record, digest) in self.digests(view)? {
            if digest.size > found {
                return Ok(Some(AuditFinding::CutOff { record, said: digest.size, found }));
            }
        }
        Ok(None)
    }

    /// What this hospital signed of its audit log, what is not mined yet included.
    fn digests(&self, view: &dyn View) -> Result<Vec<(RecordId, AuditDigest)>, StoreError> {
        let query = RecordQuery {
            kind: Some(Kind::AuditDigest),
            author: Some(self.hospital()),
            ..RecordQuery::default()
        };
        let mut digests = Vec::new();
        for stored in view.find(&query)? {
            if matches!(stored.standing, Standing::Refused { .. }) {
                continue;
            }
            let signed = stored.signed()?;
            if let Body::AuditDigest(digest) = &signed.record().body {
                digests.push((stored.id, *digest));
            }
        }
        Ok(digests)
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
        let start = start(&self.chain(), &self.hospital());
        // Hash after so many entries.
        let mut hashes = vec![start];
        let mut after = None;
        'all: loop {
            let rows = view.local_scan(Drawer::Audit, &[ENTRY], after.as_deref(), PAGE)?;
            for (key, sealed) in &rows {
                let number = hashes.len() as u64 - 1;
                match self.audit_entry(key, sealed) {
                    Ok(entry)
                        if entry.number == number && entry.before == hashes[hashes.len() - 1] =>
                    {
                        hashes.push(entry.hash());
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
        for (record, digest) in self.digests(view)? {
            report.digests += 1;
            let place = usize::try_from(digest.size).ok().and_then(|size| hashes.get(size));
            match place {
                Some(hash) if *hash == digest.root => {
                    report.vouched = report.vouched.max(digest.size);
                }
                Some(_) => {
                    report.findings.push(AuditFinding::Differs { record, size: digest.size });
                }
                None => report.findings.push(AuditFinding::CutOff {
                    record,
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
