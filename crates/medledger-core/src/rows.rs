//! Local rows that are in clear: whether each can be read, is whole, and fits the chain. What is sealed is for whoever
//! holds the node key to check, and the log tree is compared as a whole.

use crate::chain::Rules;
use crate::ids::MemberId;
use crate::store::{Drawer, StoreError, View};
use crate::{engine, finality, fork, prune};

/// A local row that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// Which drawer.
    pub drawer: Drawer,
    /// The row's key.
    pub key: Vec<u8>,
    /// What is wrong with it.
    pub what: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<RowFault>);

impl Faults {
    pub(crate) fn add(&mut self, drawer: Drawer, key: &[u8], what: impl Into<String>) {
        self.0.push(RowFault { drawer, key: key.to_vec(), what: what.into() });
    }

    /// What a row holds, if it can be read; damage is noted, and any other failure of the store is one.
    pub(crate) fn read<T>(
        &mut self,
        drawer: Drawer,
        key: &[u8],
        row: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match row {
            Ok(row) => Ok(Some(row)),
            Err(StoreError::Damaged(what)) => {
                self.add(drawer, key, what);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Checks what this node keeps to take blocks back, blocks beside the chain, notes on waiting records, votes, paths to
/// pruned blocks and checkpoints that wait or contradict. `hospital` is whose node it is.
///
/// What a block changed is only read here: [replay](crate::replay::replay) compares it.
///
/// # Errors
/// When the store fails. What is wrong is in the result.
pub fn check(
    view: &dyn View,
    rules: &Rules,
    hospital: &MemberId,
) -> Result<Vec<RowFault>, StoreError> {
    let mut faults = Faults::default();
    fork::check_rows(view, rules, &mut faults)?;
    engine::check_notes(view, &mut faults)?;
    finality::ballots::check(view, rules, hospital, &mut faults)?;
    finality::check_rows(view, &mut faults)?;
    prune::check_paths(view, &mut faults)?;
    Ok(faults.0)
}
