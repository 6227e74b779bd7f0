//! Taking records that wait at another hospital.

use super::chain::{Leaf, MADE, Pending};
use super::guests::{Guests, UNSIGNED};
use super::mempool::{may_wait, sweep};
use super::subject::describe;
use super::{EngineChain, Taken};
use crate::clock::Timestamp;
use crate::merkle::leaf_hash;
use crate::record::SignedRecord;
use crate::registry::{VoidCode, limit};
use crate::state::{
    ApplyError, At, Change, ReadOnce, SignatureCheck, Signatures, StateRead, apply,
};
use crate::store::{Standing, StoreError, StoredRecord, Unit};

/// What came of all records so far.
#[derive(Default)]
struct Arrived {
    answers: Vec<Taken>,
    /// Those that were put into the queue.
    stored: Vec<StoredRecord>,
    /// Those of them whose signature was looked at.
    leaves: Vec<Leaf>,
}

impl EngineChain {
    /// Takes records that wait at another hospital, each on its own: what one of them is refused for is no
    /// matter of the others.
    pub(super) fn take_in(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Vec<Taken>, StoreError> {
        if let Some(answers) = self.take_in_with(unit, records, now, signatures)? {
            return Ok(answers);
        }
        // A signature that was put off is wrong, and others may have been judged by what its record changes.
        let answers = self.take_in_with(unit, records, now, &mut SignatureCheck::Now)?;
        Ok(answers.expect("no signature was put off"))
    }

    /// As [`take_in`](Self::take_in); nothing, and the unit as it was, if a signature that was put off is wrong.
    fn take_in_with(
        &self,
        unit: &mut dyn Unit,
        records: &[SignedRecord],
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<Option<Vec<Taken>>, StoreError> {
        sweep(unit)?;
        let (mut pending, tip) = self.pending(unit)?;
        // Until all went well: what is left of a failure is made anew.
        let mut queue = pending.made_for.take().expect(MADE);
        let at = self.rules().at(&tip);
        let mut guests = Guests::of(unit, now)?;
        let mut arrived = Arrived::default();
        let mut right = Ok(true);
        signatures.alongside(&mut |signatures| {
            let judged = self.take_each(
                unit,
                &at,
                &mut pending,
                &mut guests,
                records,
                signatures,
                &mut arrived,
            );
            right = judged.map(|()| signatures.settle().is_ok());
        });
        if !matches!(right, Ok(true)) {
            // Nothing unverified is left in the unit, whoever commits it.
            for stored in &arrived.stored {
                unit.remove_record(&stored.id)?;
            }
            return right.map(|_| None);
        }
        guests.write(unit)?;
        queue.add(unit, &arrived.stored)?;
        pending.made_for = Some(queue);
        self.vouched().extend(arrived.leaves);
        Ok(Some(arrived.answers))
    }

    /// Judges each after those before it, and puts those that are taken into the queue.
    #[expect(clippy::too_many_arguments, reason = "one step of the function above")]
    fn take_each(
        &self,
        unit: &mut dyn Unit,
        at: &At,
        pending: &mut Pending,
        guests: &mut Guests,
        records: &[SignedRecord],
        signatures: &mut dyn Signatures,
        arrived: &mut Arrived,
    ) -> Result<(), StoreError> {
        let max = limit::RECORD_BYTES.min(self.rules().genesis.limits.block_bytes as usize);
        let mut seq = unit.last_pending()?.map_or(1, |(seq, _)| seq + 1);
        for record in records {
            if record.as_bytes().len() > max {
                arrived.answers.push(Taken::Full);
                continue;
            }
            if unit.standing(&record.id())?.is_some() {
                arrived.answers.push(Taken::Known);
                continue;
            }
            let state = ReadOnce::with(&*unit, std::mem::take(&mut pending.memo));
            let over = pending.changes.over(&state);
            let judged = judge(&over, record, at, signatures)?;
            let taken = match judged {
                Ok(_) => Taken::Waits,
                Err(code) if may_wait(code) => Taken::WaitsFor(code),
                Err(code) => Taken::Refused(code),
            };
            let taken = if guests.take(record, taken) { taken } else { Taken::Full };
            let stored = match taken {
                Taken::Waits | Taken::WaitsFor(_) => {
                    let standing = Standing::Accepted { seq };
                    Some(describe(&over, record, record.encode(), standing)?)
                }
                _ => None,
            };
            pending.memo = state.into_memo();
            if let Some(stored) = stored {
                seq += 1;
                unit.put_record(&stored)?;
                if taken != UNSIGNED {
                    arrived.leaves.push((stored.id, leaf_hash(&stored.bytes)));
                }
                arrived.stored.push(stored);
                pending.changes.extend(judged.unwrap_or_default());
            }
            arrived.answers.push(taken);
        }
        Ok(())
    }
}

/// What a record changes, or why it takes no effect.
fn judge(
    state: &dyn StateRead,
    record: &SignedRecord,
    at: &At,
    signatures: &mut dyn Signatures,
) -> Result<Result<Vec<Change>, VoidCode>, StoreError> {
    match apply(state, record, at, signatures) {
        Ok(changes) => Ok(Ok(changes)),
        Err(ApplyError::Void(code)) => Ok(Err(code)),
        Err(ApplyError::Store(error)) => Err(error),
    }
}
