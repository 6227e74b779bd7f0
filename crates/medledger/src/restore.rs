//! After an older database was put back: going on without signing a second history.

use crate::head::{self, Head};
use crate::ledger::Ledger;
use medledger_core::cbor;
use medledger_core::clock::Timestamp;
use medledger_core::ids::BlockId;
use medledger_core::store::{Drawer, StoreError, View};
use serde::{Deserialize, Serialize};

/// Rows of losses: this, then the height and the id of the block that was given up.
pub(crate) const LOSS: &[u8] = b"loss/";

/// More than any loss takes.
const MAX_LOSS: usize = 512;

/// A loss that an operator accepted: this hospital may have signed two histories from `above` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Height of the block on which it went on: blocks above it were given up.
    pub above: u64,
    /// The newest block known before, given up with all below it down to `above`.
    pub height: u64,
    /// Its id.
    pub id: BlockId,
    /// When the loss was accepted.
    pub time: Timestamp,
}

impl Ledger {
    /// The newest block that this folder is known to have had, where its database does not know it: an older one
    /// was put back. [`OpenOptions::reconcile`](crate::OpenOptions) tells how to go on.
    ///
    /// # Errors
    /// When the store or the noted head cannot be read.
    pub fn lost_head(&self) -> Result<Option<Head>, StoreError> {
        if self.is_follower() {
            return Ok(None);
        }
        head::lost(self.view()?.as_ref(), self.rules(), &self.head_paths())
    }

    /// Goes on without the blocks that an older database lacks, and signs others in their place. To be used only
    /// where nobody has them: first ask other hospitals and followers for the chain and
    /// [import](Self::import_chain) it.
    ///
    /// Whoever holds a receipt or a checkpoint over the lost blocks can prove that this hospital signed two
    /// histories; what is recorded here ([`losses`](Self::losses)) tells that it was a loss. `lost` is the id of the
    /// lost head, as the refusal names it: the operator's word that they know what they give up. Returns `None` where
    /// nothing is lost.
    ///
    /// # Errors
    /// [`StoreError::Behind`] when the lost head is another than `lost`; see [`OpenError`](crate::OpenError).
    #[cfg(feature = "sqlite")]
    pub fn accept_loss(
        folder: impl AsRef<std::path::Path>,
        lost: &BlockId,
    ) -> Result<Option<Loss>, crate::OpenError> {
        use crate::ledger::{node_key_path, take_lock};
        use medledger_core::clock::Clock;
        use medledger_core::store::Store;

        let folder = folder.as_ref();
        let settings = crate::settings::Settings::load(folder)?;
        let _lock = take_lock(folder)?;
        let store = crate::sqlite::SqliteStore::open(&folder.join(crate::create::DATABASE), false)?;
        let key_path = node_key_path(folder, &settings);
        let node_key = crate::node_key::NodeKey::load(&key_path)?;
        let crate::create::Opened { rules, .. } = crate::create::engine(&store, &node_key, false)?;
        let paths = head::paths(folder, &key_path, &rules);
        let mut unit = store.unit()?;
        let Some(head) = head::lost(unit.as_ref(), &rules, &paths)? else { return Ok(None) };
        if head.id != *lost {
            return Err(head::behind(unit.as_ref(), &head)?.into());
        }
        let tip = medledger_core::chain::tip(unit.as_ref())?;
        let time = crate::SystemClock.now();
        let loss = Loss { above: tip.height, height: head.height, id: head.id, time };
        let key = key_of(&loss);
        unit.set_local(Drawer::Node, &key, Some(&cbor::encode(&loss)))?;
        // Its blocks are given up, its votes never.
        let note = head::bind(unit.as_mut(), &paths)?;
        unit.commit()?;
        // Only now: before, a power cut would have forgotten both the head and its loss.
        for path in &paths {
            if let Some(note) = &note {
                head::write(path, note)?;
            }
        }
        Ok(Some(loss))
    }

    /// The losses that were accepted here, lowest first.
    ///
    /// # Errors
    /// When the store fails or a row is damaged.
    pub fn losses(&self) -> Result<Vec<Loss>, StoreError> {
        losses(self.view()?.as_ref())
    }
}

fn key_of(loss: &Loss) -> Vec<u8> {
    [LOSS, &loss.height.to_be_bytes(), loss.id.as_bytes()].concat()
}

/// Whether a row is an accepted loss, in its place.
pub(crate) fn is_loss(key: &[u8], row: &[u8]) -> bool {
    cbor::decode::<Loss>(row, MAX_LOSS).is_ok_and(|loss| key_of(&loss) == key)
}

fn losses(view: &dyn View) -> Result<Vec<Loss>, StoreError> {
    let rows = view.local_scan(Drawer::Node, LOSS, None, usize::MAX)?;
    let read = |row: &[u8]| {
        let damaged = |error| StoreError::Damaged(format!("an accepted loss: {error}"));
        cbor::decode(row, MAX_LOSS).map_err(damaged)
    };
    rows.iter().map(|(_, row)| read(row)).collect()
}
