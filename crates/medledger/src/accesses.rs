//! Who saw what, when and for which purpose: what a patient can see of the readings of their reports.

use crate::ledger::Ledger;
use medledger_core::clock::Timestamp;
use medledger_core::ids::{GrantId, MemberId, RecordId, ReportId};
use medledger_core::record::Body;
use medledger_core::registry::{Kind, Purpose};
use medledger_core::state::State;
use medledger_core::store::{RecordQuery, Standing, StoreError};

/// One reading of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The record that says so.
    pub record: RecordId,
    /// The report.
    pub report: ReportId,
    /// What people call it.
    pub label: String,
    /// Who read.
    pub reader: MemberId,
    /// What people call them.
    pub reader_name: String,
    /// When, by the reader's side.
    pub time: Timestamp,
    /// The grant it was read under; none for the patient.
    pub grant: Option<GrantId>,
    /// What that grant is for; none for the patient.
    pub purpose: Option<Purpose>,
    /// Which version was read.
    pub version: u32,
    /// How far the record has come.
    pub standing: Standing,
}

impl Ledger {
    /// The readings of a patient's reports, oldest first: mined ones, then those accepted. Leaves out the
    /// first `offset` and gives at most `limit` of them; 0 stands for no limit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn accesses(
        &self,
        patient: &MemberId,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<Access>, StoreError> {
        let view = self.view()?;
        let query = RecordQuery {
            kind: Some(Kind::Read),
            patient: Some(*patient),
            limit,
            offset,
            ..RecordQuery::default()
        };
        let records = view.find(&query)?;
        let mut accesses = Vec::with_capacity(records.len());
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for stored in &records {
                let signed = stored.signed()?;
                let Body::Read(read) = &signed.record().body else { continue };
                let purpose = match &read.grant {
                    Some(grant) => state.grant(grant)?.map(|grant| grant.purpose),
                    None => None,
                };
                accesses.push(Access {
                    record: stored.id,
                    report: read.report,
                    label: self.label(view.as_ref(), &read.report)?,
                    reader: stored.author,
                    reader_name: self.contact(view.as_ref(), &stored.author)?.name,
                    time: stored.time,
                    grant: read.grant,
                    purpose,
                    version: read.version,
                    standing: stored.standing,
                });
            }
            Ok(())
        })?;
        Ok(accesses)
    }
}
