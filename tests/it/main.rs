//! Whole-system tests: one binary, a file for each subject.
#![forbid(unsafe_code)]

mod big;
mod cars;
mod child;
mod cli;
mod cli_blocks;
mod cli_consent;
mod cli_faults;
mod cli_files;
mod cli_grants;
mod cli_hospitals;
mod cli_identity;
mod cli_keeping;
mod cli_keys;
mod cli_many;
mod cli_output;
mod cli_receipts;
mod cli_rotation;
mod cli_slots;
mod cli_verify;
mod cli_waiting;
mod command;
mod damage;
mod demo;
mod disk;
#[cfg(feature = "kubo")]
mod elsewhere;
#[cfg(feature = "kubo")]
mod http {
    pub(crate) use medledger_ipfs::http::test_server;
}
mod kill;
mod plumbing;
mod scan;
mod schedules;
mod secrets;
mod simulate;
#[cfg(feature = "smtp")]
mod smtp;
#[cfg(feature = "kubo")]
mod storage;
mod world;
