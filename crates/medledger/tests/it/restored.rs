//! A hospital whose folder is put back to an older state does not vote against itself.

use crate::hospitals::{House, founders, settle};
use crate::support::{copy, member};
use medledger::core::news::News;
use medledger::core::vote::{Ballot, Phase, SignedVote};
use medledger::{Ledger, MiningControl, Role};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(crate) fn chain_of(house: &House) -> Vec<u8> {
    car(&house.ledger)
}

fn car(ledger: &Ledger) -> Vec<u8> {
    let mut file = Vec::new();
    ledger.export_chain(&mut file, true, &mut |_, _| {}).unwrap();
    file
}

pub(crate) fn mine(ledger: &Ledger) {
    ledger.mine_with(&MiningControl::new(), true).unwrap().unwrap();
}

/// A backup put to use somewhere else, without a note of what came after it.
pub(crate) fn copy_of(ledger: &Ledger, to: &Path) -> Ledger {
    ledger.backup(to, &mut |_, _| {}).unwrap();
    fs::copy(ledger.folder().join("node.key"), to.join("node.key")).unwrap();
    Ledger::open(to).unwrap()
}

/// A backup, with these files of the folder that was lost.
fn put_back(backup: &Path, to: &Path, lost: &Path, files: &[&str]) -> Ledger {
    copy(backup, to);
    for file in files {
        fs::copy(lost.join(file), to.join(file)).unwrap();
    }
    Ledger::open(to).unwrap()
}

/// What this hospital prevoted, by round.
pub(crate) fn prevotes(ledger: &Ledger) -> BTreeMap<u64, Ballot> {
    let news = News::decode(&ledger.export_news().unwrap()).unwrap();
    let votes = news.votes.iter().map(|bytes| *SignedVote::decode(bytes).unwrap().vote());
    let own = votes.filter(|vote| {
        vote.voter == ledger.hospital() && matches!(vote.phase, Phase::Prevote { .. })
    });
    own.map(|vote| (vote.ballot.round, vote.ballot)).collect()
}

/// Four hospitals. One has mined the fourth block of a branch and then voted; there is another, heavier branch.
struct Story {
    dir: tempfile::TempDir,
    houses: Vec<House>,
    voted: BTreeMap<u64, Ballot>,
    heavier: Vec<u8>,
}

impl Story {
    /// Ends with a backup from before the vote.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let houses = founders(dir.path(), 4);
        let [a, b, c, d] = &houses[..] else { unreachable!() };
        let [a2, b2] = [(a, "a2"), (b, "b2")]
            .map(|(house, name)| copy_of(&house.ledger, &dir.path().join(name)));
        let grow = |miners: &[&Ledger]| {
            let mut chain = Vec::new();
            for miner in miners {
                if !chain.is_empty() {
                    miner.import_chain(&chain[..], &mut |_| {}).unwrap();
                }
                mine(miner);
                chain = car(miner);
            }
            chain
        };
        grow(&[&a.ledger, &b.ledger, &a.ledger, &c.ledger]);
        let heavier = grow(&[&d.ledger, &a2, &b2, &d.ledger, &a2]);
        let backup = dir.path().join("backup");
        c.ledger.backup(&backup, &mut |_, _| {}).unwrap();
        let voted = prevotes(&c.ledger);
        assert_eq!(voted.keys().collect::<Vec<_>>(), [&4]);
        Self { dir, houses, voted, heavier }
    }

    fn voter(&self) -> &Ledger {
        &self.houses[2].ledger
    }

    /// The backup with the node key, and with what was noted of the head and of the votes.
    fn restored(&self, name: &str, noted: bool) -> Ledger {
        let to = self.dir.path().join(name);
        let files = if noted { &["node.key", "head"][..] } else { &["node.key"] };
        put_back(&self.dir.path().join("backup"), &to, self.voter().folder(), files)
    }

    /// Rounds in which this one voted for another block than before.
    fn contradictions(&self, restored: &Ledger) -> Vec<u64> {
        let now = prevotes(restored);
        assert!(!now.is_empty(), "it votes");
        let against = now.iter().filter(|(round, ballot)| {
            self.voted.get(round).is_some_and(|before| before != *ballot)
        });
        against.map(|(round, _)| *round).collect()
    }
}

#[test]
fn pitfall_28_a_hospital_restored_from_a_backup_votes_in_no_round_it_voted_in() {
    let story = Story::new();
    let note = fs::read_to_string(story.voter().folder().join("head")).unwrap();
    let genesis = story.voter().chain();
    let votes = format!("0 {genesis} 4 -");
    assert_eq!(note.lines().nth(2).map(str::trim_end), Some(&votes[..]), "{note}");

    let restored = story.restored("noted", true);
    assert_eq!(restored.lost_head().unwrap(), None, "of the blocks none is missing");
    restored.import_chain(&story.heavier[..], &mut |_| {}).unwrap();
    assert_eq!(story.contradictions(&restored), [0_u64; 0]);
    // What is noted now is what it voted since.
    let note = fs::read_to_string(restored.folder().join("head")).unwrap();
    assert!(note.lines().nth(2).unwrap().starts_with(&format!("0 {genesis} 5 ")), "{note}");
    // It is the note that keeps it from it.
    let forgetful = story.restored("forgetful", false);
    forgetful.import_chain(&story.heavier[..], &mut |_| {}).unwrap();
    assert_eq!(story.contradictions(&forgetful), [4]);
}

#[test]
fn pitfall_28_a_whole_machine_put_back_is_bound_by_its_votes_that_others_pass_on() {
    let story = Story::new();
    let news = story.voter().export_news().unwrap();
    let restored = story.restored("machine", false);
    restored.import_news(&news).unwrap();
    restored.import_chain(&story.heavier[..], &mut |_| {}).unwrap();
    assert_eq!(story.contradictions(&restored), [0_u64; 0]);
}

#[test]
fn a_restored_hospital_goes_on_with_the_others() {
    let mut story = Story::new();
    let restored = story.restored("noted", true);
    let House { ledger, identity } = story.houses.remove(2);
    drop(ledger);
    story.houses.insert(2, House { ledger: restored, identity });
    let houses: Vec<&House> = story.houses.iter().collect();
    let (_, record) = member(&houses[2].ledger, &houses[2].identity, Role::Doctor, "Dr Cid");
    settle(&houses);
    for house in houses {
        let receipt = house.ledger.receipt(&record.record).unwrap();
        assert_eq!(receipt.check(&house.ledger.chain()).unwrap().quorum, 3);
        assert_eq!(house.ledger.evidence().unwrap(), []);
    }
}

/// What the model of finality found. All three votes are needed, and nobody mines without a reason: what waits is in the first
/// block, and each has mined above it.
#[test]
fn a_restored_hospital_whose_vote_is_needed_precommits_or_mines_for_another_round() {
    for (heard, precommitted) in [(true, false), (false, false), (false, true)] {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c]: [House; 3] = founders(dir.path(), 3).try_into().ok().unwrap();
        let (_, doctor) = member(&a.ledger, &a.identity, Role::Doctor, "Dr Ada");
        a.ledger.wait_mined(&doctor.record).unwrap();
        for (from, to) in [(&a, &b), (&b, &c)] {
            to.ledger.import_chain(&chain_of(from)[..], &mut |_| {}).unwrap();
            mine(&to.ledger);
        }
        let backup = dir.path().join("backup");
        c.ledger.backup(&backup, &mut |_, _| {}).unwrap();
        let chain = chain_of(&c);
        if precommitted {
            for house in [&a, &b] {
                house.ledger.import_chain(&chain[..], &mut |_| {}).unwrap();
                c.ledger.import_news(&house.ledger.export_news().unwrap()).unwrap();
            }
        }
        assert_eq!(prevotes(&c.ledger).keys().collect::<Vec<_>>(), [&3]);
        if heard {
            a.ledger.import_chain(&chain[..], &mut |_| {}).unwrap();
            a.ledger.import_news(&c.ledger.export_news().unwrap()).unwrap();
        }
        let House { ledger, identity } = c;
        let note = fs::read_to_string(ledger.folder().join("head")).unwrap();
        let locked = !note.lines().nth(2).unwrap().trim_end().ends_with('-');
        assert_eq!(locked, precommitted, "{note}");
        let to = dir.path().join("restored");
        let restored = put_back(&backup, &to, ledger.folder(), &["node.key", "head"]);
        drop(ledger);
        let c = House { ledger: restored, identity };
        settle(&[&a, &b, &c]);
        for house in [&a, &b, &c] {
            house.ledger.receipt(&doctor.record).unwrap();
            assert_eq!(house.ledger.evidence().unwrap(), []);
        }
        // One that was heard goes on with what it voted; another takes a block.
        let height = a.ledger.view().unwrap().tip().unwrap().unwrap().height;
        assert_eq!(height == 3, heard, "{height} blocks, heard {heard}");
    }
}
