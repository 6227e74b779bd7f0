//! New keys for a report, once the hospital confirmed that the content stayed.

use super::{Fold, Outcome, key};
use crate::cid::Codec;
use crate::record::{Confirm, Rotate};
use crate::registry::{Role, VoidCode};
use crate::state::RotationEntry;
use crate::store::StoreError;

impl Fold<'_> {
    pub(super) fn rotate(&mut self, body: &Rotate) -> Outcome {
        self.author_is(self.author.role == Role::Patient)?;
        let patient = self.author_id();
        let report = self.state.report(&body.report)?.filter(|entry| entry.patient == patient);
        let report = report.ok_or(VoidCode::UnknownReport)?;
        if body.version != report.version {
            return Err(VoidCode::UnknownVersion.into());
        }
        let enrolment = self.state.enrolment(&patient, &report.hospital)?;
        let newest = enrolment.map_or(0, |enrolment| enrolment.epoch);
        let next = report.epoch.checked_add(1) == Some(body.epoch);
        if !next || body.collection == 0 || body.collection > newest {
            return Err(VoidCode::WrongEpoch.into());
        }
        if body.envelope.codec() != Codec::DagCbor {
            return Err(VoidCode::NotAnEnvelope.into());
        }
        // One that was never finished, its key lost, bars nothing: this takes its place.
        let entry = RotationEntry {
            record: self.record.id(),
            version: body.version,
            epoch: body.epoch,
            envelope: body.envelope,
            collection: body.collection,
        };
        self.set(key::rotation(&body.report), &entry);
        self.set(key::rotation_of(&entry.record), &body.report);
        Ok(())
    }

    pub(super) fn confirm(&mut self, body: &Confirm) -> Outcome {
        self.author_is(self.author.role == Role::Hospital)?;
        let hospital = self.author_id();
        let report = self.state.rotation_of(&body.record)?.ok_or(VoidCode::UnknownConfirmation)?;
        let missing = || StoreError::Damaged(format!("report {report} is rotated, but is missing"));
        let mut entry = self.state.report(&report)?.ok_or_else(missing)?;
        let waiting = self.state.rotation(&report)?.filter(|entry| entry.record == body.record);
        let rotation = waiting.ok_or(VoidCode::UnknownConfirmation)?;
        // An amendment since then has another content.
        let current = rotation.version == entry.version && rotation.epoch == entry.epoch + 1;
        if entry.hospital != hospital || !current {
            return Err(VoidCode::UnknownConfirmation.into());
        }
        entry.epoch = rotation.epoch;
        entry.envelope = rotation.envelope;
        entry.collection = rotation.collection;
        self.set(key::report(&report), &entry);
        self.remove(key::rotation(&report));
        Ok(())
    }
}
