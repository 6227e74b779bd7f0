//! Four hospitals with ledgers of their own, and the mail between them.

mod changes;

use super::*;
use crate::block::Block;
use crate::checkpoint::{Checkpoint, FinalityError, SignedNote, VerifyError};
use crate::engine::Finality;
use crate::engine::Position;
use crate::fork::tests::{FOUNDERS, fingerprint, genesis};
use crate::fork::{CheckpointError, final_height};
use crate::genesis::Genesis;
use crate::registry::Role;
use crate::state::SignatureCheck;
use crate::store::Store;
use crate::testing::*;
use proptest::prelude::*;

#[derive(Clone)]
enum News {
    Block(Box<Block>),
    Vote(Box<SignedVote>),
    Quorum(Box<Certificate>),
    Checkpoint(String),
}

struct Network {
    hospitals: Vec<Ledger>,
    /// What is on its way, and to whom.
    mail: Vec<(usize, News)>,
    /// Everything that was ever said, for those who were not reached.
    said: Vec<News>,
}

const LATER: Timestamp = Timestamp::from_secs(NOW + 100_000);

impl Network {
    fn new() -> Self {
        Self::of(&genesis(), &FOUNDERS)
    }

    /// These hospitals, founders or not.
    fn of(genesis: &Genesis, hospitals: &[u8]) -> Self {
        let hospitals = hospitals.iter().map(|number| Ledger::of(genesis.clone(), *number));
        Self { hospitals: hospitals.collect(), mail: Vec::new(), said: Vec::new() }
    }

    fn everyone(&self) -> std::ops::Range<usize> {
        0..self.hospitals.len()
    }

    fn say(&mut self, from: usize, news: News) {
        self.said.push(news.clone());
        self.mail.extend(self.everyone().filter(|to| *to != from).map(|to| (to, news.clone())));
    }

    /// A hospital mines, if only an empty block, and tells.
    fn mine(&mut self, who: usize) {
        let block = self.hospitals[who].order().block;
        self.say(who, News::Block(Box::new(block)));
        self.vote(who);
    }

    fn vote(&mut self, who: usize) {
        let ledger = &self.hospitals[who];
        let key = MiningKey { hospital: id(ledger.hospital), key: mining_key(ledger.hospital) };
        let mut unit = ledger.store.unit().unwrap();
        let mut check = SignatureCheck::Now;
        let cast = cast(unit.as_mut(), &ledger.rules, Some(&key), LATER, &mut check).unwrap();
        unit.commit().unwrap();
        assert!(!matches!(cast.trouble, Some(Trouble::Conflict(_))), "{:?}", cast.trouble);
        for vote in cast.votes {
            self.say(who, News::Vote(Box::new(vote)));
        }
        if let Some(note) = cast.checkpoint {
            self.say(who, News::Checkpoint(note));
        }
    }

    fn hear(&mut self, to: usize, news: &News) {
        let ledger = &self.hospitals[to];
        match news {
            News::Block(block) => drop(ledger.receive(block)),
            News::Checkpoint(note) => {
                // Two that contradict each other would be an error.
                match ledger.receive_checkpoint(note) {
                    Ok(_) => {}
                    // By hospitals that are not yet any here: it will be told again.
                    Err(CheckpointError::Finality(FinalityError::Signature(
                        VerifyError::NoKnownSignature,
                    ))) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            News::Quorum(quorum) => {
                let mut unit = ledger.store.unit().unwrap();
                match receive_certificate(unit.as_mut(), &ledger.rules, quorum) {
                    // Of hospitals before these, or of those after.
                    Ok(())
                    | Err(CountError::Certificate(CertificateError::Uncounted(
                        VoteError::OtherSet { .. },
                    ))) => unit.commit().unwrap(),
                    Err(error) => panic!("{error}"),
                }
            }
            News::Vote(vote) => {
                let mut unit = ledger.store.unit().unwrap();
                match receive_vote(unit.as_mut(), &ledger.rules, **vote) {
                    Ok(_) | Err(CountError::Vote(VoteError::OtherSet { .. })) => {
                        unit.commit().unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        self.vote(to);
    }

    /// Delivers everything that is on its way, and what comes of it.
    fn deliver(&mut self) {
        while !self.mail.is_empty() {
            let (to, news) = self.mail.remove(0);
            self.hear(to, &news);
        }
    }

    /// Everybody hears everything.
    fn heal(&mut self) {
        self.mail.clear();
        for from in self.everyone() {
            let ledger = &self.hospitals[from];
            let view = ledger.store.view().unwrap();
            for quorum in certificates(view.as_ref(), &ledger.rules).unwrap() {
                self.said.push(News::Quorum(Box::new(quorum)));
            }
        }
        for news in self.said.clone() {
            self.mail.extend(self.everyone().map(|to| (to, news.clone())));
        }
        self.deliver();
    }

    /// A story: mail is heard in any order or lost, and who `may_mine` mines in between.
    fn play(
        &mut self,
        steps: impl IntoIterator<Item = (usize, u16, bool)>,
        may_mine: impl Fn(&Self, usize) -> bool,
    ) {
        for (who, pick, lost) in steps {
            let waiting = self.mail.len();
            if waiting > 0 && pick % 3 != 0 {
                let (to, news) = self.mail.remove(usize::from(pick) % waiting);
                if !lost {
                    self.hear(to, &news);
                }
            } else if may_mine(self, who) {
                self.mine(who);
            }
        }
    }

    /// Everybody hears everything, and what was accepted is mined and made final.
    fn end_well(&mut self) {
        self.heal();
        // Accepted is never lost.
        while self.hospitals[0].store.view().unwrap().count_pending().unwrap() > 0 {
            self.mine(0);
            self.deliver();
        }
        self.settle();
    }

    fn finalized(&self, who: usize) -> u64 {
        let ledger = &self.hospitals[who];
        final_height(ledger.store.view().unwrap().as_ref(), &ledger.rules).unwrap()
    }

    fn owes(&self, who: usize) -> bool {
        let ledger = &self.hospitals[who];
        ledger.engine.owes_block(ledger.store.view().unwrap().as_ref()).unwrap()
    }

    /// Mines, one hospital after another, as long as one owes a block; how many blocks that took.
    fn settle(&mut self) -> usize {
        for blocks in 0..40 {
            self.deliver();
            let Some(who) = self.everyone().find(|who| self.owes(*who)) else { return blocks };
            self.mine(who);
        }
        panic!("it never ends");
    }
}

fn registration(network: &Network, by: u8, who: u8) -> crate::record::SignedRecord {
    let mut world = network.hospitals[0].world();
    let body = world.register(by, who, Role::Doctor);
    world.sign(by, body)
}

#[test]
fn a_record_becomes_final_at_every_hospital_without_further_records() {
    let mut network = Network::new();
    let record = registration(&network, HOSPITAL, DOCTOR);
    network.hospitals[0].submit(std::slice::from_ref(&record)).unwrap();
    network.mine(0);
    let blocks = network.settle();
    assert!(blocks <= 8, "{blocks} empty blocks");
    let texts: Vec<String> = network
        .hospitals
        .iter()
        .map(|ledger| {
            let view = ledger.store.view().unwrap();
            let finality =
                ledger.engine.finality(view.as_ref(), Position { height: 1, index: 0 }).unwrap();
            assert!(matches!(finality, Finality::Final { .. }), "{finality:?}");
            let (note, _) = crate::finality::newest(view.as_ref(), &ledger.rules).unwrap().unwrap();
            note.text().to_owned()
        })
        .collect();
    assert!(texts.iter().all(|text| *text == texts[0]));
    let view = network.hospitals[0].store.view().unwrap();
    assert!(view.local_scan(Drawer::Votes, &[PARTIAL], None, 9).unwrap().is_empty());
    assert!(evidence(view.as_ref()).unwrap().is_empty());
}

#[test]
fn two_halves_finalise_nothing_and_do_so_once_they_meet() {
    let mut network = Network::new();
    let record = registration(&network, HOSPITAL, DOCTOR);
    network.hospitals[0].submit(std::slice::from_ref(&record)).unwrap();
    for who in [0, 2, 1, 3, 0, 2, 1, 3, 3] {
        network.mine(who);
        // Mail between the halves is lost.
        let side = who % 2;
        let (here, _): (Vec<_>, Vec<_>) =
            std::mem::take(&mut network.mail).into_iter().partition(|(to, _)| to % 2 == side);
        for (to, news) in here {
            network.hear(to, &news);
        }
        network.mail.clear();
    }
    assert_eq!([0, 1, 2, 3].map(|who| network.finalized(who)), [0; 4]);
    assert_ne!(network.hospitals[0].tip().id, network.hospitals[1].tip().id);
    network.heal();
    // The record of the lighter half waits again, and is mined.
    while network.hospitals[0].store.view().unwrap().count_pending().unwrap() > 0 {
        network.mine(0);
        network.deliver();
    }
    network.settle();
    let first = fingerprint(&network.hospitals[0]);
    assert!(network.finalized(0) > 0);
    assert!(matches!(
        network.hospitals[3].stored(&record).standing,
        crate::store::Standing::Mined { .. }
    ));
    for ledger in &network.hospitals[1..] {
        assert_eq!(fingerprint(ledger), first);
    }
}

#[test]
fn a_vote_by_nobody_or_under_a_wrong_key_does_not_count() {
    let network = Network::new();
    let ledger = &network.hospitals[0];
    let vote = crate::vote::Vote {
        chain: ledger.rules.chain,
        set: BlockId::from_bytes(*ledger.rules.chain.as_bytes()),
        voter: id(OTHER_HOSPITAL),
        phase: crate::vote::Phase::Precommit,
        ballot: crate::vote::Ballot::from((1, 1, BlockId::from_bytes([3; 32]))),
    };
    let mut unit = ledger.store.unit().unwrap();
    let mut offer = |vote: crate::vote::Vote, key: u8| {
        receive_vote(unit.as_mut(), &ledger.rules, vote.sign(&mining_key(key)))
    };
    assert!(matches!(offer(vote, HOSPITAL), Err(CountError::Vote(VoteError::Signature(_)))));
    let stranger = crate::vote::Vote { voter: id(STRANGER), ..vote };
    assert!(matches!(offer(stranger, STRANGER), Err(CountError::Vote(VoteError::NotAMember(_)))));
    assert!(matches!(offer(vote, OTHER_HOSPITAL), Ok(Inserted::New)));
    assert!(matches!(offer(vote, OTHER_HOSPITAL), Ok(Inserted::Known)));
    let other = crate::vote::Ballot::from((1, 1, BlockId::from_bytes([4; 32])));
    let double = crate::vote::Vote { ballot: other, ..vote };
    assert!(matches!(offer(double, OTHER_HOSPITAL), Ok(Inserted::Double)));
    unit.commit().unwrap();
    // It is remembered, and can be shown to anyone.
    let view = ledger.store.view().unwrap();
    let found = evidence(view.as_ref()).unwrap();
    let members = members(view.as_ref(), &ledger.rules).unwrap();
    let blamed = Evidence::decode(&found[0].encode()).unwrap().check(&members).unwrap();
    assert_eq!(blamed.into_iter().collect::<Vec<_>>(), [id(OTHER_HOSPITAL)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_lost_or_late_nothing_contradicts_and_all_meet(
        steps in proptest::collection::vec((0..4usize, any::<u16>(), any::<bool>()), 4..40),
    ) {
        let mut network = Network::new();
        let record = registration(&network, HOSPITAL, DOCTOR);
        network.hospitals[0].submit(std::slice::from_ref(&record)).unwrap();
        network.play(steps, |_, _| true);
        network.end_well();
        let first = fingerprint(&network.hospitals[0]);
        for ledger in &network.hospitals {
            prop_assert_eq!(&fingerprint(ledger), &first);
            let standing = ledger.stored(&record).standing;
            let mined = matches!(standing, crate::store::Standing::Mined { .. });
            prop_assert!(mined);
        }
        prop_assert!(network.finalized(0) > 0);
    }
}

#[test]
fn a_quorum_told_as_a_whole_is_as_good_as_its_votes() {
    let mut network = Network::new();
    let record = registration(&network, HOSPITAL, DOCTOR);
    network.hospitals[0].submit(std::slice::from_ref(&record)).unwrap();
    network.mine(0);
    network.settle();
    let teller = &network.hospitals[0];
    let view = teller.store.view().unwrap();
    let quorums = certificates(view.as_ref(), &teller.rules).unwrap();
    assert_eq!(quorums.iter().filter(|quorum| quorum.is_precommit()).count(), 1);
    // One that heard no vote, only the blocks and this.
    let late = Ledger::of(genesis(), 12);
    for height in 1..=teller.tip().height {
        let stored = view.block(height).unwrap().unwrap();
        late.receive(&crate::replay::block(view.as_ref(), &stored).unwrap());
    }
    let mut unit = late.store.unit().unwrap();
    for quorum in &quorums {
        receive_certificate(unit.as_mut(), &late.rules, quorum).unwrap();
    }
    let key = MiningKey { hospital: id(12), key: mining_key(12) };
    let mut check = SignatureCheck::Now;
    let cast = cast(unit.as_mut(), &late.rules, Some(&key), LATER, &mut check).unwrap();
    unit.commit().unwrap();
    let note = SignedNote::from_bytes(cast.checkpoint.unwrap().as_bytes()).unwrap();
    let signed: Checkpoint = note.text().parse().unwrap();
    assert!(signed.size > 1, "it cosigns what the others decided");
}
