//! The protocol of access, explored: every order of uploads, grants, openings, revocations, renewals and
//! rotations within bounds, against a reader who also reads mails, copies the database with its node key, or
//! writes rows. Keys are symbols, and whatever can be unwrapped with what is known becomes known.
//!
//! What must hold is in the names of the tests, and in `docs/protocol.md`; that each rule is needed is shown by
//! taking it away.

mod contexts;
mod explore;
mod symbols;
mod world;

use explore::{Attacker, Fault, explore};
use symbols::Member;
use world::{BUILT, Grant, Mails, Rules, Scope, Standing};

const fn grant(scope: Scope, reader: Member, letter: bool) -> Grant {
    Grant { scope, reader, letter, standing: Standing::Live }
}

const COLLECTION: Scope = None;

/// Reads all mails, has no node key; may be given a report and the collection, by letter or by identity.
fn without_the_node_key() -> Vec<Attacker> {
    let given = |letter| {
        vec![
            grant(Some(0), Member::A, true),
            grant(COLLECTION, Member::B, letter),
            grant(Some(0), Member::B, !letter),
        ]
    };
    let of = |letter| Attacker {
        mails: Mails::All,
        copies: 0,
        writes: 0,
        renewals: 0,
        reports: 1,
        grants: given(letter),
    };
    vec![of(true), of(false)]
}

/// Has B's identity, and not the letters to B; no node key.
fn who_stole_an_identity() -> Vec<Attacker> {
    let grants = vec![
        grant(Some(0), Member::B, true),
        grant(COLLECTION, Member::B, true),
        grant(Some(1), Member::A, false),
    ];
    vec![Attacker { mails: Mails::None, copies: 0, writes: 0, renewals: 0, reports: 1, grants }]
}

/// Copies the database with its node key twice; may be given reports, others the collection too.
fn with_the_node_key() -> Vec<Attacker> {
    let given = |a, b| vec![grant(COLLECTION, Member::A, a), grant(Some(0), Member::B, b)];
    let of = |(a, b)| Attacker {
        mails: Mails::Own,
        copies: 2,
        writes: 0,
        renewals: 0,
        reports: 1,
        grants: given(a, b),
    };
    [(true, true), (true, false), (false, true), (false, false)].into_iter().map(of).collect()
}

/// Reads and writes a row, and copies once more.
fn who_writes() -> Vec<Attacker> {
    let given = [
        (0, vec![grant(Some(0), Member::A, true), grant(Some(1), Member::B, false)]),
        (1, vec![grant(COLLECTION, Member::A, true), grant(Some(1), Member::B, true)]),
    ];
    let of = |(renewals, grants)| {
        let mails = Mails::Own;
        Attacker { mails, copies: 1, writes: 1, renewals, reports: 2, grants }
    };
    given.into_iter().map(of).collect()
}

/// Writes a row and puts the other back.
fn who_writes_twice() -> Vec<Attacker> {
    let grants = vec![grant(Some(0), Member::B, false)];
    let mails = Mails::Own;
    vec![Attacker { mails, copies: 1, writes: 2, renewals: 0, reports: 2, grants }]
}

/// Copies twice, and may be given the collection.
fn reader_of_the_collection() -> Vec<Attacker> {
    let given = |a, b| vec![grant(COLLECTION, Member::A, a), grant(COLLECTION, Member::B, b)];
    let of = |(a, b)| Attacker {
        mails: Mails::Own,
        copies: 2,
        writes: 0,
        renewals: 0,
        reports: 1,
        grants: given(a, b),
    };
    [(true, false), (true, true)].into_iter().map(of).collect()
}

fn first_fault(rules: &Rules, attackers: &[Attacker]) -> Option<Fault> {
    attackers.iter().find_map(|attacker| explore(rules, attacker).err())
}

fn holds(rules: &Rules, attackers: &[Attacker]) {
    for attacker in attackers {
        let states =
            explore(rules, attacker).unwrap_or_else(|fault| panic!("{fault:?}: {attacker:?}"));
        println!("{states} states: {attacker:?}");
        assert!(states > 1_000, "{states} are too few to mean anything");
    }
}

/// Also that no reading stands under a revoked grant, or by anybody but its reader.
#[test]
fn without_the_node_key_a_reports_key_is_learnt_by_recorded_readings_alone() {
    holds(&BUILT, &without_the_node_key());
}

#[test]
fn an_identity_without_the_letters_records_and_opens_nothing() {
    holds(&BUILT, &who_stole_an_identity());
}

#[test]
fn with_the_node_key_only_what_was_given_at_that_time_is_learnt() {
    holds(&BUILT, &with_the_node_key());
}

#[test]
fn who_writes_rows_learns_no_more_than_who_reads_them() {
    holds(&BUILT, &who_writes());
    holds(&BUILT, &who_writes_twice());
}

#[test]
fn a_reader_of_the_collection_with_the_node_key_before_and_after_has_nothing_of_what_comes() {
    holds(&BUILT, &reader_of_the_collection());
}

#[test]
fn each_rule_is_needed() {
    let learnt = |fault| matches!(fault, Fault::Learnt(..));
    type Expected = fn(Fault) -> bool;
    let cases: [(&str, Rules, Vec<Attacker>, Expected); 12] = [
        (
            "kept for the patient alone",
            Rules { kept_for_patient_alone: false, ..BUILT },
            reader_of_the_collection(),
            learnt,
        ),
        ("subject bound", Rules { bind_subject: false, ..BUILT }, who_writes(), learnt),
        (
            // Wrapped to keys of their own, kept access keys are told from report keys by that alone.
            "role bound",
            Rules { bind_role: false, kept_for_patient_alone: false, ..BUILT },
            who_writes_twice(),
            learnt,
        ),
        ("kept keys checked", Rules { check_kept: false, ..BUILT }, who_writes(), learnt),
        (
            "reading first",
            Rules { record_first: false, ..BUILT },
            without_the_node_key(),
            |fault| fault == Fault::NoReading,
        ),
        (
            "accepted counts",
            Rules { pending_counts: false, ..BUILT },
            without_the_node_key(),
            |fault| fault == Fault::AfterRevocation,
        ),
        (
            "reader checked",
            Rules { reader_checked: false, ..BUILT },
            without_the_node_key(),
            |fault| fault == Fault::NotTheReaders,
        ),
        (
            "token checked",
            Rules { token_checked: false, ..BUILT },
            who_stole_an_identity(),
            |fault| fault == Fault::NotTheReaders,
        ),
        ("slots deleted", Rules { slots_deleted: false, ..BUILT }, with_the_node_key(), learnt),
        (
            "collection renewed",
            Rules { collection_renewed: false, ..BUILT },
            reader_of_the_collection(),
            learnt,
        ),
        ("fresh key", Rules { fresh_dek: false, ..BUILT }, with_the_node_key(), |fault| {
            matches!(fault, Fault::Learnt(..))
        }),
        ("live grants only", Rules { live_only: false, ..BUILT }, with_the_node_key(), learnt),
    ];
    for (rule, rules, attackers, expected) in cases {
        let fault = first_fault(&rules, &attackers);
        assert!(fault.is_some_and(expected), "without {rule:?}: {fault:?}");
    }
}
