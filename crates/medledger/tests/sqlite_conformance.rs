//! The SQLite store passes the suites of `medledger-core`.
#![cfg(feature = "sqlite")]

use medledger::sqlite::SqliteStore;
use medledger_core::conformance;
use medledger_core::engine::{Engine, LogEngine, PowEngine};
use medledger_core::genesis::Consensus;
use medledger_core::store::{Store, StoreError, Unit, View};
use tempfile::TempDir;

/// A store whose folder goes with it.
struct Temporary {
    store: SqliteStore,
    _folder: TempDir,
}

impl Store for Temporary {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.store.view()
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        self.store.unit()
    }

    fn commits(&self) -> u64 {
        self.store.commits()
    }
}

fn make() -> Box<dyn Store> {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::create(&folder.path().join("ledger.sqlite")).unwrap();
    Box::new(Temporary { store, _folder: folder })
}

#[test]
fn passes_the_suite_of_stores() {
    conformance::store::suite(&make);
}

#[test]
fn keeps_every_byte_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    drop(SqliteStore::create(&path).unwrap());
    conformance::store::reopened(&|| Box::new(SqliteStore::open(&path, false).unwrap()));
    SqliteStore::open(&path, true).unwrap().check().unwrap();
}

#[test]
fn passes_the_suite_of_engines_with_proof_of_work() {
    let engine = |rules, key| Box::new(PowEngine::new(rules, key)) as Box<dyn Engine>;
    conformance::engine::suite(&conformance::fixture::easy_work(), &engine, &make);
}

#[test]
fn passes_the_suite_of_engines_with_the_log() {
    let engine = |rules, key| Box::new(LogEngine::new(rules, key)) as Box<dyn Engine>;
    conformance::engine::suite(&Consensus::Log, &engine, &make);
}
