//! Suites that every implementation of a seam must pass, for the tests of those implementations
//! (feature `conformance`).
//!
//! A suite panics with what is wrong. It is given a way to make what it tests, empty each time.
#![allow(clippy::missing_panics_doc, reason = "panicking is what a test suite does")]

pub mod engine;
pub mod fixture;
pub mod store;
