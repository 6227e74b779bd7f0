//! The folder of a ledger that only follows a chain.

use super::{CreateError, HOSPITAL};
use crate::ledger::{BLOCKS, node_key_path};
use crate::node_key::NodeKey;
use crate::people::IDENTITIES;
use crate::settings::Settings;
use crate::system::os_rng;
use medledger_core::chain::Rules;
use medledger_core::store::{Drawer, Store, StoreError, Unit};
use medledger_ipfs::FileStore;
use std::path::Path;

/// Row that marks a follower.
pub(crate) const ROW: &[u8] = b"follower";

/// Makes the parts of the folder that is being built, and has `fill` write the chain: all of it in one
/// unit of work.
#[cfg(feature = "sqlite")]
pub(crate) fn make<T, E>(
    folder: &Path,
    fill: impl FnOnce(&mut dyn Unit, &FileStore) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<CreateError> + From<StoreError> + From<medledger_ipfs::StoreError>,
{
    for sub in [BLOCKS, IDENTITIES] {
        let path = folder.join(sub);
        std::fs::create_dir(&path).map_err(|source| CreateError::Io { path, source })?;
    }
    let settings = Settings::default();
    NodeKey::create(&node_key_path(folder, &settings), &mut os_rng())
        .map_err(CreateError::NodeKey)?;
    settings.save(folder).map_err(CreateError::Settings)?;
    let store = crate::sqlite::SqliteStore::create(&folder.join(super::DATABASE))?;
    let blocks = FileStore::open(folder.join(BLOCKS))?;
    let mut unit = store.unit()?;
    let done = fill(unit.as_mut(), &blocks)?;
    unit.commit()?;
    Ok(done)
}

/// Notes that this node follows, and whose chain.
pub(crate) fn note(unit: &mut dyn Unit, rules: &Rules) -> Result<(), StoreError> {
    let founder = rules.genesis.founders.first();
    let founder = founder.ok_or_else(|| StoreError::Damaged("a chain without founder".into()))?;
    unit.set_local(Drawer::Node, HOSPITAL, Some(founder.identity.member_id().as_bytes()))?;
    unit.set_local(Drawer::Node, ROW, Some(&[1]))
}
