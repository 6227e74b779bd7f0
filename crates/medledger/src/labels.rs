//! Labels: what people call a report, kept here and never on the ledger.

use crate::ledger::Ledger;
use crate::time::label_time;
use medledger_core::ids::{MemberId, ReportId};
use medledger_core::store::{Drawer, StoreError, Unit, View};

/// Row of the labels given within the newest second: the second, then each patient that got one.
pub(crate) const NEWEST_SECOND: &[u8] = b"labels-of-second";

impl Ledger {
    /// Names a new report by hospital, patient, day and time, such as `8_8_30-04-2024_10-41-06`; a
    /// second one of the same patient within that second ends in `_2`, and so on.
    pub(crate) fn new_label(
        &self,
        unit: &mut dyn Unit,
        patient: &MemberId,
        report: &ReportId,
    ) -> Result<String, StoreError> {
        let now = self.now();
        let hospital = self.number(unit, &self.hospital())?;
        let number = self.number(unit, patient)?;
        let mut label = format!("{hospital}_{number}_{}", label_time(now));

        let second = now.as_secs().to_be_bytes();
        let row = unit.local(Drawer::Node, NEWEST_SECOND)?;
        let mut given = row.filter(|row| row.starts_with(&second)).unwrap_or(second.to_vec());
        let before = given[second.len()..]
            .chunks_exact(MemberId::LEN)
            .filter(|other| *other == patient.as_bytes())
            .count();
        if before > 0 {
            label.push_str(&format!("_{}", before + 1));
        }
        given.extend_from_slice(patient.as_bytes());
        unit.set_local(Drawer::Node, NEWEST_SECOND, Some(&given))?;

        let key = report.as_bytes();
        let sealed = self.node_key().seal(Drawer::Labels, key, label.as_bytes(), &mut self.rng());
        unit.set_local(Drawer::Labels, key, Some(&sealed))?;
        Ok(label)
    }

    /// What people call a report; its id where nobody named it here.
    pub(crate) fn label(&self, view: &dyn View, report: &ReportId) -> Result<String, StoreError> {
        let Some(sealed) = view.local(Drawer::Labels, report.as_bytes())? else {
            return Ok(report.to_string());
        };
        let plain = self.node_key().unseal(Drawer::Labels, report.as_bytes(), &sealed)?;
        String::from_utf8(plain.to_vec())
            .map_err(|_| StoreError::Damaged(format!("label of {report}")))
    }
}
