//! Several hospitals with a ledger each, members of one chain, that exchange files.

use crate::support::{PASSWORD, member, options, rng};
use medledger::core::hospital::Application;
use medledger::core::identity::LockParams;
use medledger::core::keys::SigningKey;
use medledger::core::news::News;
use medledger::core::receipt::Receipt;
use medledger::core::vote::Awaited;
use medledger::{
    CreateError, HospitalCard, HospitalError, HospitalOptions, Identity, ImportError, Ledger,
    NewsError, OpenError, RecordId, Role,
};
use std::path::Path;

/// A hospital's ledger with its identity.
pub(crate) struct House {
    pub(crate) ledger: Ledger,
    pub(crate) identity: Identity,
}

pub(crate) fn new_hospital(folder: &Path, name: &str) -> (HospitalCard, Identity) {
    let mut options = HospitalOptions::new(name);
    options.lock_params = LockParams::weak_for_tests();
    Ledger::new_hospital(folder, &options, PASSWORD).unwrap()
}

fn chain_of(ledger: &Ledger) -> Vec<u8> {
    let mut file = Vec::new();
    ledger.export_chain(&mut file, true, &mut |_, _| {}).unwrap();
    file
}

/// So many hospitals, founders of one chain, each with a folder below `dir`.
pub(crate) fn founders(dir: &Path, count: usize) -> Vec<House> {
    let mut others = Vec::new();
    let mut options = options();
    for index in 1..count {
        let (card, identity) = new_hospital(&dir.join(index.to_string()), &format!("No {index}"));
        options.founders.push(card);
        others.push(identity);
    }
    let (ledger, identity) = Ledger::create(dir.join("0"), options, PASSWORD).unwrap();
    let (file, chain) = (chain_of(&ledger), ledger.chain());
    let mut houses = vec![House { ledger, identity }];
    for (index, identity) in (1..).zip(others) {
        let folder = dir.join(index.to_string());
        let (ledger, _) = Ledger::join(folder, &chain, &file[..], &mut |_| {}).unwrap();
        houses.push(House { ledger, identity });
    }
    houses
}

/// Gives everything everybody has to everybody else, once. Says whether anything was new.
pub(crate) fn exchange(houses: &[&House]) -> bool {
    let mut changed = false;
    for from in houses {
        for to in houses.iter().filter(|to| to.ledger.hospital() != from.ledger.hospital()) {
            match to.ledger.import_chain(&chain_of(&from.ledger)[..], &mut |_| {}) {
                Ok(taken) => changed |= taken.added > 0,
                // Ours is the better branch.
                Err(ImportError::Forked { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            let taken = to.ledger.import_news(&from.ledger.export_news().unwrap()).unwrap();
            changed |= taken.records > 0 || taken.voted.votes > 0 || taken.voted.cosigned;
        }
    }
    changed
}

/// Mines and exchanges until nothing waits and every record is final everywhere.
pub(crate) fn settle(houses: &[&House]) {
    for _ in 0..60 {
        while exchange(houses) {}
        let mut mined = false;
        for house in houses {
            let ledger = &house.ledger;
            let owes = owes_block(ledger);
            if ledger.waiting().unwrap() > 0 || owes {
                mined |=
                    ledger.mine_with(&medledger::MiningControl::new(), owes).unwrap().is_some();
                while exchange(houses) {}
            }
        }
        if !mined {
            return;
        }
    }
    panic!("not final after 60 rounds");
}

fn owes_block(ledger: &Ledger) -> bool {
    let policy = medledger::BlockPolicy { records: 1, ..medledger::BlockPolicy::default() };
    ledger.block_due(&policy).unwrap() == medledger::Due::Empty
}

fn is_final(house: &House, record: &RecordId) -> bool {
    let Ok(receipt) = house.ledger.receipt(record) else { return false };
    let proven = receipt.check(&house.ledger.chain()).unwrap();
    proven.record.id() == *record && Receipt::decode(&receipt.encode()).unwrap() == receipt
}

#[test]
fn two_founders_keep_one_chain_in_two_folders_by_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [a, b] = &houses[..] else { unreachable!() };
    assert_eq!(a.ledger.chain(), b.ledger.chain());
    assert_ne!(a.ledger.hospital(), b.ledger.hospital());
    let name = |house: &House, of: &House| {
        let members = house.ledger.members().unwrap();
        members.into_iter().find(|m| m.id == of.identity.id()).unwrap().contact.name
    };
    assert_eq!((name(a, b).as_str(), name(b, b).as_str()), ("No 1", "No 1"));

    // Each registers a doctor, at the same time.
    let (_, at_a) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    let (_, at_b) = member(&b.ledger, &b.identity, Role::Doctor, "Dr Bob");
    settle(&[a, b]);
    for house in [a, b] {
        for record in [&at_a.record, &at_b.record] {
            assert!(is_final(house, record));
        }
        assert_eq!(house.ledger.waiting().unwrap(), 0);
    }
    assert_eq!(
        a.ledger.checkpoint().unwrap().map(|note| note.text().to_owned()),
        b.ledger.checkpoint().unwrap().map(|note| note.text().to_owned())
    );
}

/// By rule: work remains part of finality.
#[test]
fn a_first_block_has_no_vote_before_a_quorum_has_mined_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 3);
    let [a, b, c] = &houses[..] else { unreachable!() };
    let others = [b, c].map(|house| house.identity.id());
    assert_eq!(a.ledger.awaited().unwrap(), None, "nothing is mined");
    let (_, at_a) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    a.ledger.wait_mined(&at_a.record).unwrap();
    for (mined, missing) in [(b, 2), (c, 1)] {
        while exchange(&[a, b, c]) {}
        for house in &houses {
            let voted = house.ledger.vote().unwrap();
            let Some(Awaited::Blocks { target, missing: found, of }) = voted.awaited else {
                panic!("{voted:?}")
            };
            assert_eq!((target.height, found, voted.votes), (1, missing, 0));
            let left: Vec<_> = others.iter().filter(|id| of.contains(id)).collect();
            assert_eq!(left.len(), missing, "{of:?}");
            assert!(of.contains(&mined.identity.id()) && !of.contains(&a.identity.id()));
        }
        mined.ledger.mine_with(&medledger::MiningControl::new(), true).unwrap().unwrap();
    }
    // The third block is the first round with something to vote for, and its miner votes at once.
    let voted = c.ledger.vote().unwrap();
    assert_eq!((voted.votes, voted.finalized), (1, 0));
    let waits = voted.awaited.unwrap();
    assert!(matches!(waits, Awaited::Votes(target) if target.height == 1), "{waits}");
    while exchange(&[a, b, c]) {}
    for house in &houses {
        assert!(is_final(house, &at_a.record));
        let waits = house.ledger.awaited().unwrap().unwrap();
        assert!(matches!(waits, Awaited::Blocks { target, .. } if target.height > 1), "{waits}");
    }
}

#[test]
fn one_of_two_hospitals_makes_nothing_final_and_both_go_on_when_they_meet() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [a, b] = &houses[..] else { unreachable!() };
    let (_, at_a) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
    a.ledger.wait_mined(&at_a.record).unwrap();
    assert_eq!(a.ledger.vote().unwrap().finalized, 0);
    let (_, at_b) = member(&b.ledger, &b.identity, Role::Doctor, "Dr Bob");
    b.ledger.wait_mined(&at_b.record).unwrap();
    assert!(!is_final(a, &at_a.record) && !is_final(b, &at_b.record));
    // Each mined a block of its own at the same height; no record is lost by it.
    settle(&[a, b]);
    for house in [a, b] {
        assert!(is_final(house, &at_a.record) && is_final(house, &at_b.record));
    }
}

#[test]
fn a_folder_that_waits_for_its_chain_is_no_ledger_yet() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("b");
    let (card, identity) = new_hospital(&folder, "B");
    assert!(matches!(Ledger::open(&folder), Err(OpenError::NoChain(_))));
    // The card can be had again, and for a chain.
    assert_eq!(Ledger::hospital_card(&folder, None, PASSWORD).unwrap(), card);
    let wrong = Ledger::hospital_card(&folder, None, "wrong");
    assert!(matches!(wrong, Err(HospitalError::Identity(_))));
    let chain = medledger::ChainId::from_bytes([1; 32]);
    let other = Ledger::hospital_card(&folder, Some(chain), PASSWORD).unwrap().application;
    assert_eq!((other.check(Some(&chain)), other.id()), (Ok(()), identity.id()));
    assert_eq!(HospitalCard::decode(&card.encode()).unwrap(), card);

    // A chain it did not found is none of its own.
    let (alone, _) = Ledger::create(dir.path().join("a"), options(), PASSWORD).unwrap();
    let refused = Ledger::join(&folder, &alone.chain(), &chain_of(&alone)[..], &mut |_| {});
    assert!(matches!(refused, Err(ImportError::NotAHospital { .. })));
    assert!(matches!(Ledger::open(&folder), Err(OpenError::NoChain(_))));

    let mut options = options();
    options.founders.push(card);
    let (a, _) = Ledger::create(dir.path().join("c"), options, PASSWORD).unwrap();
    let file = chain_of(&a);
    let other = Ledger::join(&folder, &alone.chain(), &file[..], &mut |_| {});
    assert!(matches!(other, Err(ImportError::OtherChain { .. })));
    drop(Ledger::join(&folder, &a.chain(), &file[..], &mut |_| {}).unwrap());
    let again = Ledger::join(&folder, &a.chain(), &file[..], &mut |_| {});
    assert!(matches!(again, Err(ImportError::JoinedBefore(_))));
    assert_eq!(Ledger::open(&folder).unwrap().chain(), a.chain());
}

#[test]
fn pitfall_51_no_chain_is_founded_with_keys_that_nobody_has_shown_to_hold() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, thief) = (Identity::generate(&mut rng()), SigningKey::generate(&mut rng()));
    let elsewhere = medledger::ChainId::from_bytes([1; 32]);
    let application = Application::new(Some(elsewhere), &victim, &thief);
    let mut options = options();
    options.founders.push(HospitalCard::new("Victim".into(), application));
    let folder = dir.path().join("a");
    let refused = Ledger::create(&folder, options, PASSWORD);
    assert!(matches!(refused, Err(CreateError::Card { index: 0, .. })));
    assert!(!folder.exists());
}

#[test]
fn pitfall_23_what_is_wrong_in_the_news_counts_for_nothing_and_costs_the_rest_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 2);
    let [a, b] = &houses[..] else { unreachable!() };
    let (_, at_b) = member(&b.ledger, &b.identity, Role::Doctor, "Dr Bob");
    b.ledger.wait_mined(&at_b.record).unwrap();
    a.ledger.import_chain(&chain_of(&b.ledger)[..], &mut |_| {}).unwrap();
    let policy = medledger::MiningControl::new();
    a.ledger.mine_with(&policy, true).unwrap().unwrap();
    b.ledger.import_chain(&chain_of(&a.ledger)[..], &mut |_| {}).unwrap();
    let (_, waits) = member(&b.ledger, &b.identity, Role::Nurse, "Nora");

    let honest = News::decode(&b.ledger.export_news().unwrap()).unwrap();
    assert!(!honest.votes.is_empty() && honest.records.len() == 1);
    let mut news = honest.clone();
    // A vote whose signature is that of another, one cut short, and a record that nobody signed.
    let mut forged = honest.votes[0].to_vec();
    *forged.last_mut().unwrap() ^= 1;
    news.votes = vec![forged.into(), honest.votes[0][..20].to_vec().into()];
    let mut unsigned = honest.records[0].to_vec();
    *unsigned.last_mut().unwrap() ^= 1;
    news.records.insert(0, vec![0xff; 40].into());
    news.records.insert(1, unsigned.into());
    news.checkpoints = vec!["medledger/no note".into()];
    news.certificates = vec![vec![0x80].into()];
    let taken = a.ledger.import_news(&news.encode()).unwrap();
    assert_eq!((taken.votes, taken.ignored), (0, 4));
    assert_eq!((taken.records, taken.refused), (1, 2));
    assert_eq!(taken.voted.finalized, 0);
    assert_eq!(a.ledger.waiting().unwrap(), 1);
    // The honest ones still do what they should, twice as well as once.
    for _ in 0..2 {
        a.ledger.import_news(&honest.encode()).unwrap();
    }
    settle(&[a, b]);
    for house in [a, b] {
        assert!(is_final(house, &at_b.record) && is_final(house, &waits.record));
    }

    let (other, _) = Ledger::create(dir.path().join("x"), options(), PASSWORD).unwrap();
    let foreign = other.export_news().unwrap();
    assert!(matches!(a.ledger.import_news(&foreign), Err(NewsError::OtherChain { .. })));
    assert!(matches!(a.ledger.import_news(b"no news"), Err(NewsError::Decode(_))));
}

#[test]
fn three_of_four_go_on_while_one_is_away_and_it_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let houses = founders(dir.path(), 4);
    let [a, b, c, away] = &houses[..] else { unreachable!() };
    let mut records = Vec::new();
    for (house, name) in [(a, "Dr Ada"), (b, "Dr Bob"), (c, "Dr Cid")] {
        records.push(member(&house.ledger, &house.identity, Role::Doctor, name).1.record);
    }
    settle(&[a, b, c]);
    for house in [a, b, c] {
        assert!(records.iter().all(|record| is_final(house, record)));
    }
    assert!(!is_final(away, &records[0]));
    let (_, late) = member(&away.ledger, &away.identity, Role::Doctor, "Dr Dan");
    settle(&[a, b, c, away]);
    for house in &houses {
        assert!(records.iter().chain([&late.record]).all(|record| is_final(house, record)));
    }
}
