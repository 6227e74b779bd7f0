//! Receipts of a chain whose hospitals changed: one admits another, and later expels it.

use crate::cases::Case;
use crate::tree::Tree;
use medledger::core::checkpoint::{Checkpoint, NoteKey, SignedNote};
use medledger::core::conformance::fixture::{Fixture, START, easy_work, identity};
use medledger::core::engine::PowEngine;
use medledger::core::finality;
use medledger::core::hospital::{Application, HospitalSet};
use medledger::core::identity::Identity;
use medledger::core::keys::SigningKey;
use medledger::core::memory::MemoryStore;
use medledger::core::record::{Admit, Body, HospitalChange, SignedRecord};
use medledger::core::state::State;
use medledger::core::store::Store;
use medledger::{ChainId, Receipt, Role};

struct World {
    fixture: Fixture,
    store: MemoryStore,
    engine: PowEngine,
    first: (Identity, SigningKey),
    second: (Identity, SigningKey),
}

impl World {
    fn new() -> Self {
        let (fixture, store) = (Fixture::new(easy_work()), MemoryStore::new());
        fixture.found(&store);
        let engine = PowEngine::new(fixture.rules.clone(), Some(fixture.mining_key()));
        let first = (identity(1), SigningKey::from_seed(&[2; 32]));
        let second = (identity(40), SigningKey::from_seed(&[41; 32]));
        Self { fixture, store, engine, first, second }
    }

    fn chain(&self) -> ChainId {
        self.fixture.rules.chain
    }

    fn set(&self) -> HospitalSet {
        let view = self.store.view().unwrap();
        State::new(view.as_ref()).hospitals(&self.fixture.rules.genesis).unwrap()
    }

    /// Puts a record of the first hospital into a block.
    fn mine(&self, body: impl Into<Body>) -> SignedRecord {
        let record = self.fixture.sign(&self.first.0, body);
        self.fixture.accept(&self.engine, &self.store, std::slice::from_ref(&record));
        self.fixture.mine(&self.engine, &self.store);
        record
    }

    fn change(&self, change: HospitalChange, approved: &[&Identity]) -> SignedRecord {
        let set = self.set();
        let approvals = approved.iter().map(|by| set.approve(&self.chain(), &change, by)).collect();
        self.mine(Admit { set: set.hash, change, approvals })
    }

    /// Both sign all blocks there are.
    fn cosign(&self) {
        let mut unit = self.store.unit().unwrap();
        let size = unit.tip().unwrap().unwrap().height + 1;
        let root = finality::tree_root(unit.as_ref(), size).unwrap();
        let text = Checkpoint::new(&self.chain(), size, root).to_string();
        let mut note = SignedNote::new(text).unwrap();
        for (identity, key) in [&self.first, &self.second] {
            let public = *key.verifying_key().as_bytes();
            let cosigner = NoteKey::cosigner(identity.id().to_string(), public).unwrap();
            let secret = ed25519_zebra::SigningKey::from(*key.expose_seed());
            note.cosign(&cosigner, START, &mut |bytes| secret.sign(bytes).to_bytes()).unwrap();
        }
        let note = note.to_string();
        finality::accept(unit.as_mut(), &self.fixture.rules, note.as_bytes()).unwrap();
        unit.commit().unwrap();
    }

    fn registration(&self, seed: u8) -> SignedRecord {
        let record = self.fixture.register(&identity(seed), Role::Doctor);
        self.fixture.accept(&self.engine, &self.store, std::slice::from_ref(&record));
        self.fixture.mine(&self.engine, &self.store);
        record
    }
}

/// Receipts with no handover, with one and with two.
pub(crate) fn receipts() -> (Vec<Vec<u8>>, ChainId) {
    let world = World::new();
    let chain = world.chain();
    let mut records = vec![world.registration(50)];
    let (identity, mining) = &world.second;
    let application = Application::new(Some(chain), identity, mining);
    records.push(world.change(HospitalChange::Admit(application), &[]));
    records.push(world.registration(51));
    world.cosign();
    records.push(world.change(HospitalChange::Expel(identity.id()), &[identity]));
    world.cosign();
    records.push(world.registration(52));
    let view = world.store.view().unwrap();
    let receipt = |record: &SignedRecord| {
        let stored = view.record(&record.id()).unwrap().unwrap();
        Receipt::of(view.as_ref(), &world.fixture.rules, &stored).unwrap().encode()
    };
    (records.iter().map(receipt).collect(), chain)
}

fn with(receipt: &[u8], change: impl FnOnce(&mut Vec<Tree>)) -> Vec<u8> {
    let Some(Tree::Map(mut fields)) = Tree::read(receipt) else { panic!("a receipt") };
    let handovers = fields.iter_mut().find_map(|(key, value)| match (key, value) {
        (Tree::Text(key), Tree::List(list)) if key == "handovers" => Some(list),
        _ => None,
    });
    change(handovers.expect("handovers"));
    Tree::Map(fields).write()
}

/// The receipts, in both forms, and some whose handovers are others than they should be.
pub(crate) fn cases() -> Vec<Case> {
    let (receipts, chain) = receipts();
    let chain = chain.to_string();
    let mut cases = Vec::new();
    for bytes in &receipts {
        cases.push(Case::new(bytes.clone(), &chain));
        let text = Receipt::decode(bytes).unwrap().to_tlog_proof().unwrap();
        cases.push(Case::new(text.into_bytes(), &chain));
    }
    let [.., one, two] = &receipts[..] else { panic!("five receipts") };
    let edits: [fn(&mut Vec<Tree>); 5] = [
        |list| drop(list.pop()),
        |list| drop(list.remove(0)),
        |list| list.reverse(),
        |list| list.push(list[0].clone()),
        |list| list.clear(),
    ];
    cases.extend(edits.map(|edit| Case::new(with(two, edit), &chain)));
    // That of the expulsion is the checkpoint of the receipt of the record itself: too late for it.
    let Some(Tree::Map(fields)) = Tree::read(two) else { panic!("a receipt") };
    let all =
        fields.into_iter().find(|(key, _)| matches!(key, Tree::Text(key) if key == "handovers"));
    let Some((_, Tree::List(all))) = all else { panic!("handovers") };
    cases.push(Case::new(with(one, |list| *list = all), &chain));
    cases
}

#[test]
fn receipts_of_a_chain_whose_hospitals_changed_are_judged() {
    let cases = cases();
    let verdicts: Vec<&str> = cases.iter().map(|case| case.verdict).collect();
    assert_eq!(verdicts[..10], ["ok"; 10]);
    assert!(verdicts[10..].iter().all(|verdict| *verdict != "ok"), "{verdicts:?}");
    assert_eq!(verdicts.last(), Some(&"handover"));
}
