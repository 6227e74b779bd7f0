//! Where ciphertext lies: the own store, nodes, gateways and those who keep replicas.

use super::{Any, Ledger};
use crate::errors::{Class, raise};
use crate::storage::{self, Reached};
use medledger::{SourceSettings, SwitchOptions};
use pyo3::prelude::*;
use std::sync::{Arc, PoisonError};

#[pymethods]
impl Ledger {
    /// Where ciphertext lies, and how far behind the node is; returns StorageStatus.
    fn storage<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        storage::status(py, &self.get()?.storage())
    }

    /// Move all ciphertext, read it back and hash it there, then use the new place; returns MovedStorage.
    ///
    /// `mode` is "embedded" (the ledger's folder), "kubo" (a Kubo node) or "both"; `kubo` is the address of the
    /// node's RPC. A node that would announce reports is refused unless `public`. `free` removes everything from
    /// the old place afterwards. Raises InUseError while another thread uses the ledger, DamagedError when
    /// something is not whole, StorageError; the ledger stays where it was then.
    #[pyo3(signature = (mode, *, kubo = None, public = false, free = false))]
    fn use_storage<'py>(
        &self,
        py: Python<'py>,
        mode: &str,
        kubo: Option<String>,
        public: bool,
        free: bool,
    ) -> PyResult<Any<'py>> {
        let to = storage::settings(mode, kubo, public)?;
        let ledger = self.get()?;
        let ours = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(ours);
        // Ours was the last but this one, unless somebody is at work.
        let ledger = match Arc::try_unwrap(ledger) {
            Ok(ledger) => ledger,
            Err(shared) => {
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(shared);
                let text = "the ledger is in use: wait for other calls, and let opened reports go";
                return Err(Class::InUse.error(text));
            }
        };
        let mut options = SwitchOptions::default();
        options.free = free;
        let folder = self.folder.clone();
        let (moved, opened) = py.detach(|| {
            let moved = ledger.switch_storage(to, options, &mut |_, _| {});
            (moved, medledger::Ledger::open(folder))
        });
        match opened {
            Ok(ledger) => {
                let ledger = Some(Arc::new(ledger));
                *self.open.lock().unwrap_or_else(PoisonError::into_inner) = ledger;
            }
            Err(error) => {
                moved.map_err(raise)?;
                return Err(raise(error));
            }
        }
        storage::switched(py, &moved.map_err(raise)?)
    }

    /// Give the node what it missed while it was away; returns SyncedStorage.
    ///
    /// With `compare`, everything that is kept is looked at, not only what is noted as missing. Raises
    /// StorageError when the node cannot follow.
    #[pyo3(signature = (*, compare = false))]
    fn sync_storage<'py>(&self, py: Python<'py>, compare: bool) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let done = py.detach(|| ledger.catch_up_storage(compare)).map_err(raise)?;
        storage::caught_up(py, &done)
    }

    /// Gateways that are asked, in order, for blocks that are missing or damaged here; returns a dict of addresses
    /// by name.
    fn sources<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        storage::sources(py, &ledger)
    }

    /// Add a trustless gateway, to be asked after those that are there, from the next opening of the ledger on.
    ///
    /// Its credentials come from the environment: MEDLEDGER_AUTH_ and the name in capitals. Raises
    /// InvalidArgumentError for a name that is taken, or what is no name or address.
    fn add_source(&self, py: Python<'_>, name: String, address: String) -> PyResult<()> {
        let (ledger, source) = (self.get()?, SourceSettings { name, address });
        py.detach(|| ledger.add_source(source)).map_err(raise)
    }

    /// Ask a gateway no more. Raises NotFoundError when there is none of that name.
    fn remove_source(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let ledger = self.get()?;
        py.detach(|| ledger.remove_source(name)).map_err(raise)
    }

    /// Add somebody who is to keep reports: an IPFS Cluster, by the URL of a peer's REST interface, or a pinning
    /// service, by its URL. Nothing is sent yet.
    ///
    /// Credentials come from the environment: MEDLEDGER_AUTH_ and the name in capitals. `public` has to be said of
    /// all that are not known to announce nothing. With `gateway`, one of this keeper alone, checks read blocks.
    /// `peers` are how many peers of a cluster keep each report, at least and at most, by default all; `origins` are
    /// where a service finds the blocks, "/ip4/ADDRESS/tcp/PORT/p2p/ID". Raises InvalidArgumentError.
    #[pyo3(signature = (name, *, cluster = None, service = None, public = false, gateway = None,
        peers = None, origins = Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn add_replica_keeper(
        &self,
        py: Python<'_>,
        name: String,
        cluster: Option<String>,
        service: Option<String>,
        public: bool,
        gateway: Option<String>,
        peers: Option<(u16, u16)>,
        origins: Vec<String>,
    ) -> PyResult<()> {
        let reached = Reached { cluster, service, public, peers, origins, gateway };
        let keeper = storage::keeper(name, reached)?;
        let ledger = self.get()?;
        py.detach(|| ledger.add_replica_keeper(keeper)).map_err(raise)
    }

    /// Ask somebody no more to keep reports; they are not told. Raises NotFoundError for an unknown name.
    fn remove_replica_keeper(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let ledger = self.get()?;
        py.detach(|| ledger.remove_replica_keeper(name)).map_err(raise)
    }

    /// Ask those who were asked to keep reports whether they still do; returns ReplicaReport.
    fn check_replicas<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.check_replicas()).map_err(raise)?;
        storage::replicas(py, &report)
    }

    /// Check, then ask for what is short: new reports, and what somebody forgot; returns ReplicaReport.
    fn repair_replicas<'py>(&self, py: Python<'py>) -> PyResult<Any<'py>> {
        let ledger = self.get()?;
        let report = py.detach(|| ledger.repair_replicas()).map_err(raise)?;
        storage::replicas(py, &report)
    }
}
