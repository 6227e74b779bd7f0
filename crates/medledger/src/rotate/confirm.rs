//! The hospital's side of a rotation: old and new ciphertext are compared, and what is the same takes effect.

use super::{Confirmed, RotateError};
use crate::ledger::Ledger;
use crate::open_report::OpenReportError;
use crate::slots::SlotPlace;
use crate::spread::spread;
use medledger_core::identity::Identity;
use medledger_core::ids::ReportId;
use medledger_core::record::{Confirm, SignedRecord};
use medledger_core::registry::Role;
use medledger_core::seal::{Backend, UnsealError};
use medledger_core::slot::SlotRole;
use medledger_core::state::{ReportEntry, RotationEntry, State};
use medledger_core::store::{Drawer, StoreError, Unit};
use std::io::Read;

/// Confirmations in one unit of work, at most.
const GROUP: usize = 256;

/// A rotation that waits.
struct Waiting {
    report: ReportId,
    entry: ReportEntry,
    rotation: RotationEntry,
}

/// A confirmation, and where the keys to compare lie.
struct Same {
    record: SignedRecord,
    places: [SlotPlace; 2],
}

/// What comparing found.
enum Compared {
    Same(Box<Same>),
    Otherwise(Confirmed),
}

impl Ledger {
    /// As the hospital of these reports: opens the old and the new ciphertext of each rotation that waits,
    /// compares them, and confirms those that hold the same, many in one unit of work. With the confirmation the
    /// slots of the old epoch are destroyed.
    ///
    /// # Errors
    /// See [`RotateError`]; what was confirmed until then stays confirmed.
    pub fn confirm_rotations(
        &self,
        hospital: &Identity,
    ) -> Result<Vec<(ReportId, Confirmed)>, RotateError> {
        let entry = self.acting(hospital)?.map_err(RotateError::Refused)?;
        if entry.role != Role::Hospital {
            return Err(RotateError::NotAHospital(hospital.id()));
        }
        let view = self.view()?;
        let mut waiting = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            for report in state.rotations()? {
                let (entry, rotation) = (state.report(&report)?, state.rotation(&report)?);
                if let (Some(entry), Some(rotation)) = (entry, rotation)
                    && entry.hospital == hospital.id()
                {
                    waiting.push(Waiting { report, entry, rotation });
                }
            }
            Ok(())
        })?;
        drop(view);
        let mut confirmed = Vec::with_capacity(waiting.len());
        for group in waiting.chunks(GROUP) {
            self.confirm_group(hospital, group, &mut confirmed)?;
        }
        Ok(confirmed)
    }

    fn confirm_group(
        &self,
        hospital: &Identity,
        group: &[Waiting],
        confirmed: &mut Vec<(ReportId, Confirmed)>,
    ) -> Result<(), RotateError> {
        let compared = spread(self.workers(), group, |waiting| self.compare(hospital, waiting));
        let mut failed = None;
        let mut same = Vec::new();
        for (waiting, compared) in group.iter().zip(compared) {
            match compared {
                Ok(Compared::Same(one)) => {
                    confirmed.push((waiting.report, Confirmed::Same(one.record.id())));
                    same.push((waiting, one));
                }
                Ok(Compared::Otherwise(other)) => confirmed.push((waiting.report, other)),
                Err(error) => {
                    // Those before it are confirmed all the same.
                    failed = Some(error);
                    break;
                }
            }
        }
        self.accept_confirmed(&same)?;
        failed.map_or(Ok(()), Err)
    }

    /// Accepts confirmations together; should one of them be refused, each by itself.
    fn accept_confirmed(&self, same: &[(&Waiting, Box<Same>)]) -> Result<(), RotateError> {
        if same.is_empty() {
            return Ok(());
        }
        let records: Vec<_> = same.iter().map(|(_, one)| one.record.clone()).collect();
        let accepted = self.accept(&records, |unit| -> Result<(), RotateError> {
            for (waiting, one) in same {
                one.places.iter().try_for_each(|place| self.remove_slot(unit, place))?;
                self.remove_epoch(unit, &waiting.report, &waiting.entry)?;
            }
            Ok(())
        });
        match accepted {
            Err(error) if same.len() > 1 && !error.is_of_a_store() => {
                same.chunks(1).try_for_each(|one| self.accept_confirmed(one))
            }
            other => other,
        }
    }

    fn compare(&self, hospital: &Identity, waiting: &Waiting) -> Result<Compared, RotateError> {
        let Waiting { report, entry, rotation } = waiting;
        let next = ReportEntry {
            epoch: rotation.epoch,
            envelope: rotation.envelope,
            collection: rotation.collection,
            ..entry.clone()
        };
        let place =
            |entry| SlotPlace::current(*report, entry, SlotRole::Confirm, None, hospital.id());
        let places = [place(entry), place(&next)];
        let mut bodies = Vec::with_capacity(2);
        for (entry, place) in [entry, &next].into_iter().zip(&places) {
            let Some(slot) = self.slot(self.view()?.as_ref(), place)? else {
                return Ok(Compared::Otherwise(Confirmed::NoKeys));
            };
            let context = self.slot_context(place, entry.envelope);
            let dek = slot.unwrap_with(hospital.hpke_secret_key(), &context)?;
            bodies.push(self.unsealed(report, entry, &dek, Backend::best())?);
        }
        let [(old_meta, old), (new_meta, new)] = &mut bodies[..] else {
            return Ok(Compared::Otherwise(Confirmed::NoKeys));
        };
        if old_meta != new_meta || !same(old, new)? {
            return Ok(Compared::Otherwise(Confirmed::Differs));
        }
        let record = self.sign(hospital, Confirm { record: rotation.record });
        Ok(Compared::Same(Box::new(Same { record, places })))
    }

    /// Destroys every slot of a report's epoch.
    fn remove_epoch(
        &self,
        unit: &mut dyn Unit,
        report: &ReportId,
        entry: &ReportEntry,
    ) -> Result<(), StoreError> {
        let prefix = SlotPlace::prefix(report, entry.version, entry.epoch);
        for (key, _) in unit.local_scan(Drawer::Slots, &prefix, None, usize::MAX)? {
            unit.set_local(Drawer::Slots, &key, None)?;
        }
        Ok(())
    }
}

/// Whether two streams hold the same bytes.
fn same(a: &mut impl Read, b: &mut impl Read) -> Result<bool, OpenReportError> {
    const PIECE: usize = 1 << 20;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let unsealed = |error| OpenReportError::from(UnsealError::Io(error));
        a.by_ref().take(PIECE as u64).read_to_end(&mut left).map_err(unsealed)?;
        b.by_ref().take(PIECE as u64).read_to_end(&mut right).map_err(unsealed)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
