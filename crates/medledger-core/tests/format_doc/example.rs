//! The worked example: a chain of two blocks made from fixed keys, the same each time.

use crate::document::example;
use medledger_core::block::{Block, genesis_node};
use medledger_core::chain::Rules;
use medledger_core::clock::{FixedClock, Timestamp};
use medledger_core::engine::{Engine, MiningKey, OrderJob, PowEngine};
use medledger_core::finality::Handover;
use medledger_core::genesis::{Consensus, Founder, Genesis};
use medledger_core::hospital::{Application, HospitalSet};
use medledger_core::identity::Identity;
use medledger_core::ids::{ChainId, RecordNonce};
use medledger_core::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use medledger_core::memory::MemoryStore;
use medledger_core::pow::{Bits, Header, Inline, Schedule};
use medledger_core::rand_core::{CryptoRng, UnwrapErr};
use medledger_core::receipt::Receipt;
use medledger_core::record::{Admit, HospitalChange, Record, Register, SignedRecord};
use medledger_core::registry::{Custody, Role};
use medledger_core::store::Store;
use medledger_core::{cbor, finality, merkle};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

const GENESIS_TIME: u64 = 1_800_000_000;

pub(crate) fn rng() -> impl CryptoRng {
    UnwrapErr(getrandom::SysRng)
}

fn member(seed: u8) -> Identity {
    Identity::from_keys(
        SigningKey::from_seed(&[seed; 32]),
        HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[seed + 0x80; 32]),
    )
}

pub(crate) fn hospital() -> Identity {
    member(1)
}

pub(crate) fn patient() -> Identity {
    member(2)
}

fn mining() -> SigningKey {
    SigningKey::from_seed(&[0x41; 32])
}

pub(crate) struct Example {
    pub(crate) genesis: Genesis,
    pub(crate) genesis_header: Header,
    pub(crate) record: SignedRecord,
    pub(crate) block: Block,
    pub(crate) header: Header,
    pub(crate) receipt: Receipt,
    /// A record after it, and the handover it makes.
    pub(crate) admission: SignedRecord,
    pub(crate) handover: Handover,
}

impl Example {
    pub(crate) fn new() -> Self {
        let bits = Bits::from_u32(0x2000_ffff);
        let founder =
            Founder { identity: hospital().public().clone(), mining: mining().verifying_key() };
        let genesis = Genesis::single(founder, Consensus::Work(Schedule::Fixed { bits }));
        let draft = Rules::genesis_header(&genesis, Timestamp::from_secs(GENESIS_TIME));
        let nonce = (0..)
            .find(|nonce| Header { nonce: *nonce, ..draft }.meets_target())
            .expect("a nonce in a few hundred");
        let genesis_header = Header { nonce, ..draft };
        let rules = Rules::new(&genesis_header, genesis.clone()).unwrap();
        let chain = rules.chain;

        let key = MiningKey { hospital: hospital().id(), key: mining() };
        let store = MemoryStore::new();
        let mut unit = store.unit().unwrap();
        let first = rules.stored_genesis(&genesis_header);
        unit.append_block(&first).unwrap();
        for change in genesis.state() {
            unit.set_state(&change.key, change.value.as_deref()).unwrap();
        }
        finality::extend_tree(unit.as_mut(), &first).unwrap();
        finality::sign_checkpoint(unit.as_mut(), &rules, &key, &first).unwrap();
        let record = registration(chain);
        let engine = PowEngine::new(rules.clone(), Some(key));
        engine.submit(unit.as_mut(), std::slice::from_ref(&record)).unwrap();
        unit.commit().unwrap();

        let job = OrderJob {
            clock: &FixedClock::new(Timestamp::from_secs(GENESIS_TIME + 60)),
            workers: &Inline,
            cancel: &AtomicBool::new(false),
            tried: &AtomicU64::new(0),
            empty: false,
        };
        let mined = engine.order(&store, &job).unwrap().unwrap();
        let view = store.view().unwrap();
        let stored = view.record(&record.id()).unwrap().unwrap();
        let receipt = Receipt::of(view.as_ref(), &rules, &stored).unwrap();
        let header = mined.block.header;
        drop(view);

        // Alone, the hospital admits another one: that is final at once.
        let (other, mining) = (member(3), SigningKey::from_seed(&[0x42; 32]));
        let admission = Record {
            chain,
            nonce: RecordNonce::from_bytes([9; 16]),
            author: hospital().id(),
            time: Timestamp::from_secs(GENESIS_TIME + 120),
            body: Admit {
                set: HospitalSet::founders(&rules.genesis).hash,
                change: HospitalChange::from(Application::new(Some(chain), &other, &mining)),
                approvals: Vec::new(),
            }
            .into(),
        };
        let admission = admission.sign(&hospital());
        let mut unit = store.unit().unwrap();
        engine.submit(unit.as_mut(), std::slice::from_ref(&admission)).unwrap();
        unit.commit().unwrap();
        let changed = engine.order(&store, &job).unwrap().unwrap();
        let view = store.view().unwrap();
        let above = changed.stored.height + 1;
        let handover = finality::handovers_before(view.as_ref(), above).unwrap().remove(0);
        Self {
            genesis,
            genesis_header,
            record,
            block: mined.block,
            header,
            receipt,
            admission,
            handover,
        }
    }

    fn chain(&self) -> ChainId {
        self.genesis_header.id().into()
    }

    /// Every value of the document, by name.
    fn values(&self) -> BTreeMap<&'static str, String> {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let record = self.record.record();
        let leaf = self.block.descriptor.leaf();
        let signed = self.record.encode();
        let hashes = [merkle::leaf_hash(&leaf), merkle::leaf_hash(&signed)];
        BTreeMap::from([
            ("genesis configuration", hex(&self.genesis.encode())),
            ("genesis header", self.genesis_header.to_string()),
            ("chain id", self.chain().to_string()),
            ("genesis node", genesis_node(&self.genesis_header, &self.genesis).0.to_string()),
            ("hospital id", hospital().id().to_string()),
            ("patient identity", hex(&patient().public().to_bytes())),
            ("patient id", patient().id().to_string()),
            ("record", hex(&record.encode())),
            ("record id", self.record.id().to_string()),
            ("record signature", hex(self.record.signature().as_bytes())),
            ("signed record", hex(&signed)),
            ("descriptor leaf", hex(&leaf)),
            ("hash of leaf 0", hashes[0].to_string()),
            ("hash of leaf 1", hashes[1].to_string()),
            ("root", merkle::root_of_hashes(hashes).to_string()),
            ("header", self.header.to_string()),
            ("block id", self.header.id().to_string()),
            ("block signature", hex(self.block.signature.as_bytes())),
            ("block node", self.block.to_nodes().root.0.to_string()),
            ("checkpoint", self.checkpoint()),
        ])
    }

    /// The note in the receipt, each newline written as `\n`.
    fn checkpoint(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Outer {
            checkpoint: String,
        }
        let outer: Outer = serde_ipld_dagcbor::from_slice(&self.receipt.encode()).unwrap();
        outer.checkpoint.replace('\n', "\\n")
    }
}

fn registration(chain: ChainId) -> SignedRecord {
    let (hospital, patient) = (hospital(), patient());
    let body = Register {
        member: patient.public().clone(),
        role: Role::Patient,
        custody: Custody::Own,
        proof: patient.prove_possession(&chain, &hospital.id()),
    };
    Record {
        chain,
        nonce: RecordNonce::from_bytes([0x11; 16]),
        author: hospital.id(),
        time: Timestamp::from_secs(GENESIS_TIME + 30),
        body: body.into(),
    }
    .sign(&hospital)
}

#[test]
fn the_worked_example_is_what_the_code_writes() {
    let made = Example::new();
    let values = made.values();
    let documented = example();
    for (name, value) in &values {
        assert_eq!(documented.get(*name), Some(value), "{name} in docs/format.md");
    }
    assert_eq!(documented.len(), values.len(), "values in docs/format.md that nobody checks");
}

#[test]
fn the_worked_example_reads_back_and_proves_itself() {
    let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
    let documented = example();
    let chain: ChainId = documented["chain id"].parse().unwrap();
    let record = SignedRecord::decode(&hex(&documented["signed record"])).unwrap();
    assert_eq!(record.id().to_string(), documented["record id"]);
    record.verify(&hospital().public().signing_key()).unwrap();
    let Ok(genesis) = Genesis::decode(&hex(&documented["genesis configuration"])) else {
        panic!("the genesis configuration does not read back")
    };
    let header: Header = documented["genesis header"].parse().unwrap();
    assert_eq!(Rules::new(&header, genesis).unwrap().chain, chain);
    let made = Example::new();
    let receipt: Receipt = cbor::decode(&made.receipt.encode(), 1 << 20).unwrap();
    assert_eq!(receipt.check(&chain).unwrap().record, record);
}

#[test]
fn bitcoins_first_header_in_the_document_has_the_hash_beside_it() {
    let text = crate::document::text();
    let words: Vec<&str> = text.split(['`', '\n', ' ']).collect();
    let header: Header = words
        .iter()
        .find(|word| word.len() == 160 && word.starts_with("0100000000000000"))
        .and_then(|word| word.parse().ok())
        .expect("Bitcoin's genesis header stands in docs/format.md");
    assert!(header.meets_target());
    assert!(words.contains(&header.id().to_string().as_str()));
}
