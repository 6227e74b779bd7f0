//! The log: what stands on the ledger, told for people.

use crate::ledger::Ledger;
use medledger_core::clock::Timestamp;
use medledger_core::ids::{BlockId, MemberId, RecordId, ReportId};
use medledger_core::record::Record;
use medledger_core::registry::Kind;
use medledger_core::state::State;
use medledger_core::store::{RecordQuery, Standing, StoreError};

/// A record as the log shows it: hospital, author, time, kind, hash, and the block it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The record's id: its hash.
    pub id: RecordId,
    /// What it is.
    pub kind: Kind,
    /// Who stated it.
    pub author: MemberId,
    /// What people call them.
    pub author_name: String,
    /// What people call the hospital that registered the author.
    pub hospital_name: String,
    /// Whom it concerns.
    pub patient: Option<MemberId>,
    /// The report it concerns.
    pub report: Option<ReportId>,
    /// What people call that report.
    pub label: Option<String>,
    /// The author's time.
    pub time: Timestamp,
    /// How far it has come.
    pub standing: Standing,
    /// The block it is in.
    pub block: Option<BlockId>,
    /// All it says; none where it is damaged here.
    pub record: Option<Record>,
}

impl Ledger {
    /// Records that match, oldest first: mined, then accepted, then refused.
    ///
    /// # Errors
    /// When the store fails.
    pub fn log(&self, query: &RecordQuery) -> Result<Vec<LogEntry>, StoreError> {
        let view = self.view()?;
        let mut entries = Vec::new();
        let records = view.find(query)?;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for record in &records {
                let hospital = state.member(&record.author)?.map(|member| member.hospital);
                let block = match record.standing {
                    Standing::Mined { height, .. } => view.block(height)?.map(|block| block.id),
                    _ => None,
                };
                entries.push(LogEntry {
                    id: record.id,
                    kind: record.kind,
                    author: record.author,
                    author_name: self.contact(view.as_ref(), &record.author)?.name,
                    hospital_name: match hospital {
                        Some(hospital) => self.contact(view.as_ref(), &hospital)?.name,
                        None => String::new(),
                    },
                    patient: record.patient,
                    report: record.report,
                    label: record
                        .report
                        .map(|report| self.label(view.as_ref(), &report))
                        .transpose()?,
                    time: record.time,
                    standing: record.standing,
                    block,
                    record: record.signed().ok().map(|signed| signed.record().clone()),
                });
            }
            Ok(())
        })?;
        Ok(entries)
    }
}
