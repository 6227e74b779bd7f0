//! Tests of the whole system, in one binary.

mod cli;
mod cli_faults;
mod command;
mod plumbing;
