//! The agreement on finality, explored: every order of events within bounds, and thousands of random
//! schedules beyond them, with the real `Voter` and `Tally`.
//!
//! What may happen: blocks and votes arrive late, in any order, or not until the network heals; hospitals mine
//! whenever they like; one crashes and goes on from what it had stored; one of four votes for anything, to whom
//! it likes, and mines wherever it likes. What must hold is in the names of the tests; that each of the rules is needed is
//! shown by taking it away.

mod explore;
mod explored;
mod heal;
mod plain;
mod trouble;
mod walk;
mod world;
