//! A group of blocks on their way into a node.

use super::car::CarImport;
use super::store::{KuboStore, at_once};
use super::{KuboError, PinList};
use crate::block::MAX_BLOCK_BYTES;
use crate::store::{BlockRead, Keep, Key, Pin, Session, StoreError};
use medledger_core::Cid;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a node may take to walk what a session pins, before it is sure that something is missing there: this,
const WALK: Duration = Duration::from_secs(20);
/// and a second for each of so many bytes that were sent.
const WALKED_A_SECOND: u64 = 10 << 20;

pub(super) struct KuboSession<'a> {
    store: &'a KuboStore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The request, once there is a block to send.
    import: Option<CarImport>,
    /// What was claimed, and whether it was sent.
    claimed: HashMap<Key, bool>,
    failed: bool,
}

impl<'a> KuboSession<'a> {
    pub(super) fn new(store: &'a KuboStore) -> Self {
        Self { store, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic leaves a request that was not ended, which fails then.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self, state: &mut State, key: Key) -> bool {
        *state.claimed.entry(key).or_insert_with(|| {
            self.store.guard.claim(key);
            false
        })
    }

    fn send(&self, state: &mut State, cid: &Cid, block: &[u8]) -> Result<(), KuboError> {
        let import = match &mut state.import {
            Some(import) => import,
            none => none.insert(self.store.kubo().import()?),
        };
        match import.put(cid, block) {
            Ok(()) => Ok(()),
            Err(error) => Err(match state.import.take() {
                Some(import) => import.why(&error),
                None => unreachable!("it was there a moment ago"),
            }),
        }
    }

    /// Sends the lists that name the roots and tell why, behind everything else.
    fn send_lists(
        &self,
        state: &mut State,
        pins: &[(Cid, Keep)],
    ) -> Result<Vec<Listed>, KuboError> {
        let lists = PinList::of(self.store.owner(), by_root(pins));
        let mut listed = Vec::with_capacity(lists.len());
        for list in lists {
            let block = list.encode();
            let cid = PinList::cid(&block);
            self.claim(state, *cid.digest());
            self.send(state, &cid, &block)?;
            listed.push((cid, list.name()));
        }
        Ok(listed)
    }
}

/// A list and what its pin is called.
type Listed = (Cid, String);

/// Each root once, with its reasons. A reason named twice counts since it was named first.
fn by_root(pins: &[(Cid, Keep)]) -> Vec<Pin> {
    let mut wanted: BTreeMap<Cid, Pin> = BTreeMap::new();
    for (root, keep) in pins {
        wanted
            .entry(*root)
            .and_modify(|pin| {
                pin.add(keep.clone());
            })
            .or_insert_with(|| Pin::new(*root, keep.clone()));
    }
    wanted.into_values().collect()
}

impl Session for KuboSession<'_> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.failed {
            return Err(StoreError::SessionFailed);
        }
        if block.len() > MAX_BLOCK_BYTES {
            state.failed = true;
            let found = block.len() as u64;
            return Err(StoreError::TooLarge { cid: *cid, found, limit: MAX_BLOCK_BYTES });
        }
        if self.claim(&mut state, *cid.digest()) {
            return Ok(());
        }
        match self.send(&mut state, cid, block) {
            Ok(()) => {
                state.claimed.insert(*cid.digest(), true);
                Ok(())
            }
            Err(error) => {
                state.failed = true;
                Err(self.store.told(error))
            }
        }
    }

    fn hold(&self, cid: &Cid) -> Result<bool, StoreError> {
        {
            let mut state = self.state();
            if self.claim(&mut state, *cid.digest()) {
                return Ok(true);
            }
        }
        self.store.has(cid)
    }

    fn finish(self: Box<Self>, pins: &[(Cid, Keep)]) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.failed {
            return Err(StoreError::SessionFailed);
        }
        let import = state.import.take();
        let sent = |root: &Cid| state.claimed.get(root.digest()) == Some(&true);
        let unsent: Vec<Cid> =
            pins.iter().map(|(root, _)| *root).filter(|root| !sent(root)).collect();
        drop(state);
        for (at, there) in at_once(&unsent, |root| self.store.has(root))?.into_iter().enumerate() {
            if !there {
                return Err(StoreError::NoRoot { cid: unsent[at] });
            }
        }
        if pins.is_empty() {
            return match import {
                Some(import) => import.finish().map(drop).map_err(|e| self.store.told(e)),
                None => Ok(()),
            };
        }
        let mut state = self.state();
        state.import = import;
        let lists = self.send_lists(&mut state, pins).map_err(|e| self.store.told(e))?;
        let import = state.import.take();
        drop(state);
        let sent = import.as_ref().map_or(0, CarImport::sent);
        if let Some(import) = import {
            import.finish().map_err(|e| self.store.told(e))?;
        }
        // The import could pin as well, but would ask peers for what is missing without an end, and gives no
        // names. Pinning has an end; should a collection have taken something between the two, it is an error.
        let most = WALK + Duration::from_secs(sent / WALKED_A_SECOND);
        at_once(&lists, |(list, name)| {
            self.store.kubo().pin_add(list, name, most).map_err(|e| self.store.told(e))
        })
        .map(drop)
    }
}

impl Drop for KuboSession<'_> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.store.guard.let_go(state.claimed.keys());
    }
}
