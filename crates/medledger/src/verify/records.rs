//! Records: found under what they say, and signed where they are in no block yet.

use super::Finding;
use crate::ledger::Ledger;
use medledger_core::chain;
use medledger_core::engine::describe;
use medledger_core::registry::{Kind, VoidCode};
use medledger_core::state::{ApplyError, Changes, SignatureCheck, apply};
use medledger_core::store::{RecordQuery, Standing, StoreError, StoredRecord, View};

impl Ledger {
    /// Whether every record, waiting ones included, is listed under what it says.
    pub(super) fn verify_listing(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let records = view.find(&RecordQuery::default())?;
        let blocks = 1..=chain::tip(view)?.height;
        let mut findings = Vec::new();
        self.engine().with_pending(view, &mut |state| {
            for stored in &records {
                let signed = match stored.signed() {
                    Ok(signed) => signed,
                    Err(StoreError::Damaged(what)) => {
                        findings.push(Finding::Stored(what));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if let Standing::Mined { height, .. } = stored.standing
                    && !blocks.contains(&height)
                {
                    findings.push(Finding::Listed { id: stored.id, what: "block" });
                }
                let said = describe(state, &signed, Vec::new(), stored.standing)?;
                if let Some(what) = listed_otherwise(stored, &said) {
                    findings.push(Finding::Listed { id: stored.id, what });
                }
            }
            Ok(())
        })?;
        Ok(findings)
    }

    /// Whether the records that wait are signed by their authors. Who they are may depend on records before.
    pub(super) fn verify_waiting(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let at = self.rules().at(&chain::tip(view)?);
        let (mut before, mut findings) = (Changes::default(), Vec::new());
        for stored in view.pending(usize::MAX)? {
            // What cannot be read was found above.
            let Ok(signed) = stored.signed() else { continue };
            match apply(&before.over(view), &signed, &at, &mut SignatureCheck::Now) {
                Ok(changes) => before.extend(changes),
                Err(ApplyError::Void(VoidCode::BadSignature)) => {
                    findings.push(Finding::Signature { id: stored.id });
                }
                Err(ApplyError::Store(error)) => return Err(error),
                // It may come to take effect yet, or is refused when its turn comes.
                Err(_) => {}
            }
        }
        Ok(findings)
    }
}

fn listed_otherwise(found: &StoredRecord, said: &StoredRecord) -> Option<&'static str> {
    // A grant revoked before it was seen has its revocation listed under no report.
    let ahead = found.kind == Kind::Revoke && found.report.is_none();
    // What a waiting record builds on may have become void since; it is listed anew when its turn comes.
    let builds = matches!(
        found.kind,
        Kind::Succeed
            | Kind::Suspend
            | Kind::RequestAccess
            | Kind::Refuse
            | Kind::Revoke
            | Kind::Delegate
            | Kind::Read
            | Kind::Rotate
            | Kind::Confirm
    );
    let waits = builds && matches!(found.standing, Standing::Accepted { .. });
    let orphan = |found: bool, said: bool| waits && found && !said;
    let differs = [
        ("kind", found.kind != said.kind),
        ("author", found.author != said.author),
        (
            "patient",
            found.patient != said.patient
                && !orphan(found.patient.is_some(), said.patient.is_some()),
        ),
        (
            "report",
            found.report != said.report
                && !ahead
                && !orphan(found.report.is_some(), said.report.is_some()),
        ),
        ("time", found.time != said.time),
    ];
    differs.into_iter().find(|(_, differs)| *differs).map(|(what, _)| what)
}
