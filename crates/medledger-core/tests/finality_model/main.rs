//! The agreement on finality, explored: every order of events within bounds, and thousands of random
//! schedules beyond them, with the real `Voter` and `Tally`.
//!
//! What may happen: blocks and votes arrive late, in any order, or not until the network heals; hospitals mine
//! whenever they like; one crashes and goes on from what it had stored; one of four votes for anything, to whom
//! it likes, and mines wherever it likes; a hospital is admitted or expelled on some branch. What must hold is in the names of the tests; that each of the rules is needed is
//! shown by taking it away.

mod bounds;
mod changed;
mod explore;
mod explored;
mod heal;
mod local;
mod plain;
mod trouble;
mod walk;
mod world;
