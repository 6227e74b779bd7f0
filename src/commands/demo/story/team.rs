//! A team that is given all reports, a report under a new key when that is taken back, and who saw what.

use super::access::refused;
use super::{AUTHOR, Fault, PATIENT, STRANGER, Story, expect};
use crate::output::grouped;
use medledger::core::record::Scope;
use medledger::core::store::Standing;
use medledger::{
    Confirmed, GrantId, Identity, Key, OpenReportError, Permission, Purpose, ReaderKey, Uploaded,
    parse_time, show_time,
};
use serde_json::json;

/// What the group is called.
const TEAM: &str = "Cardiology";

impl Story<'_, '_> {
    pub(super) fn team(
        &mut self,
        hospital: &Identity,
        uploaded: &Uploaded,
    ) -> Result<GrantId, Fault> {
        let (author, patient, stranger) = (AUTHOR.name, PATIENT.name, STRANGER.name);
        self.tell.step("team", &format!("{patient} shares all reports with a team"))?;
        self.tell.say(&format!(
            "The hospital makes a group of {author} and {stranger}. {patient} permits it, for a week, every report \
             at this hospital, also those to come. That is one record and one wrapped key, whatever the number of \
             reports and doctors."
        ))?;
        let members = [self.cast.author.id(), self.cast.stranger.id()];
        let group = self.ledger.create_group(hospital, TEAM, &members)?;
        let all = Scope::Collection(hospital.id());
        let until = parse_time("7d", self.ledger.now())?;
        let permission = Permission::new(all, group, Purpose::Treatment, until);
        let shared = self.ledger.share(
            &self.cast.patient,
            permission,
            &Key::Identity,
            ReaderKey::Identity,
        )?;
        let shown = format!("{TEAM}, {} doctors", members.len());
        self.tell.fact_as("group", &shown, json!(group.to_string()))?;
        self.tell.fact("grant id", shared.grant)?;
        self.tell.fact("until", show_time(until))?;
        self.block_of_what_waits()?;
        self.tell
            .say(&format!("{stranger}, refused before, needs no key but an own identity now:"))?;
        let mut opened =
            self.ledger.open_report(&self.cast.stranger, &uploaded.report, &Key::Identity)?;
        let length = std::io::copy(&mut opened, &mut std::io::sink())?;
        expect(length == uploaded.length, || format!("{length} bytes were opened"))?;
        let shown = format!("all {} bytes", grouped(length.into()));
        self.tell.fact_as("opened", &shown, json!(length))?;
        self.block(1)?;
        Ok(shared.grant)
    }

    pub(super) fn rotate(
        &mut self,
        hospital: &Identity,
        uploaded: &Uploaded,
        grant: &GrantId,
    ) -> Result<(), Fault> {
        let (patient, stranger) = (PATIENT.name, STRANGER.name);
        self.tell.step("rotate", &format!("{patient} takes that back, for good"))?;
        self.tell.say(
            "The keys wrapped for the team are destroyed, and what comes is wrapped to another key. The report itself \
             is encrypted anew, so that a key somebody kept opens nothing of it. The hospital confirms only after it \
             compared every byte of both.",
        )?;
        let record = self.ledger.revoke(&self.cast.patient, grant)?;
        self.tell.fact("revoked", record)?;
        let rotated = self.ledger.rotate(&self.cast.patient, &uploaded.report, &Key::Identity)?;
        self.tell.fact("rotated", rotated.record)?;
        let shown = format!("{}, for {} readers beside {patient}", rotated.epoch, rotated.readers);
        let value = json!({"epoch": rotated.epoch, "readers": rotated.readers});
        self.tell.fact_as("epoch", &shown, value)?;
        self.block_of_what_waits()?;
        let confirmed = self.ledger.confirm_rotations(hospital)?;
        let [(_, Confirmed::Same(record))] = confirmed[..] else {
            return Err(Fault::Unexpected(format!(
                "the hospital should find the same: {confirmed:?}"
            )));
        };
        self.tell.fact("confirmed", record)?;
        self.block(1)?;
        let reports = self.ledger.reports(&self.cast.patient.id())?;
        let moved = reports.iter().all(|report| report.envelope != uploaded.envelope);
        expect(moved && reports.len() == 1, || "the report has its old envelope".into())?;
        self.tell.say(&format!("{stranger} tries once more:"))?;
        let attempt =
            self.ledger.open_report(&self.cast.stranger, &uploaded.report, &Key::Identity);
        let right = |error: &OpenReportError| matches!(error, OpenReportError::Revoked);
        let error = refused(attempt, right)?;
        self.tell.fact("refused", error)?;
        Ok(())
    }

    pub(super) fn who_saw(&mut self) -> Result<(), Fault> {
        let patient = PATIENT.name;
        self.tell.step("who-saw", &format!("{patient} sees who saw what, and what for"))?;
        let accesses = self.ledger.accesses(&self.cast.patient.id(), 0, 0)?;
        let mut others = 0;
        for access in &accesses {
            let purpose = access.purpose.map_or("own", Purpose::name);
            others += usize::from(access.purpose.is_some());
            let shown = format!(
                "{:<10} {:<8} {} {}",
                access.reader_name,
                purpose,
                show_time(access.time),
                access.label
            );
            let value = json!({
                "reader": access.reader.to_string(),
                "purpose": access.purpose.map(Purpose::name),
                "time": show_time(access.time),
                "report": access.report.to_string(),
                "record": access.record.to_string(),
            });
            self.tell.fact_as("read by", &shown, value)?;
        }
        let mined =
            accesses.iter().all(|access| !matches!(access.standing, Standing::Accepted { .. }));
        expect(mined && others == 2, || format!("two doctors read, {others} stand there"))
    }

    /// Puts all that waits into a block.
    fn block_of_what_waits(&mut self) -> Result<(), Fault> {
        let waiting = self.ledger.waiting()?;
        self.block(waiting)
    }
}
