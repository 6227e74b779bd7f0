//! Whole-system tests: one binary, a file for each subject.
#![forbid(unsafe_code)]

mod demo;
