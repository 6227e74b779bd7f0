//! A chain of one hospital with a doctor and a patient, and records nobody accepted yet.

use medledger::sqlite::SqliteStore;
use medledger::{Identity, Role};
use medledger_core::Cid;
use medledger_core::chain::Rules;
use medledger_core::cid::Codec;
use medledger_core::clock::{FixedClock, Timestamp};
use medledger_core::engine::{Engine, LogEngine, Mined, MiningKey, OrderJob, PowEngine};
use medledger_core::finality;
use medledger_core::genesis::{Consensus, Founder, Genesis};
use medledger_core::ids::RecordNonce;
use medledger_core::keys::SigningKey;
use medledger_core::pow::{Header, Inline, Schedule, Target};
use medledger_core::rand_core::{Rng, UnwrapErr};
use medledger_core::record::{AddReport, Body, Enrol, Record, Register, SignedRecord};
use medledger_core::registry::Custody;
use medledger_core::store::Store;
use std::sync::atomic::{AtomicBool, AtomicU64};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Which engine orders the records.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Proof of work of two tries a block.
    Work,
    /// The single-writer log.
    Log,
}

/// A ledger whose people are registered, in a block of their own.
pub struct World {
    pub rules: Rules,
    pub engine: Box<dyn Engine>,
    pub store: SqliteStore,
    pub doctor: Identity,
    patient: Identity,
    clock: FixedClock,
    _folder: TempDir,
}

impl World {
    pub fn new(kind: Kind) -> Self {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let mut someone = || Identity::generate(&mut rng);
        let (hospital, doctor, patient) = (someone(), someone(), someone());
        let mining = SigningKey::generate(&mut rng);
        let consensus = match kind {
            Kind::Work => Consensus::Work(Schedule::fixed(Target::from_expected_tries(2))),
            Kind::Log => Consensus::Log,
        };
        let founder =
            Founder { identity: hospital.public().clone(), mining: mining.verifying_key() };
        let genesis = Genesis::single(founder, consensus);
        let header = Rules::genesis_header(&genesis, NOW);
        let (header, rules) = (0..)
            .map(|nonce| Header { nonce, ..header })
            .find_map(|header| Some((header, Rules::new(&header, genesis.clone()).ok()?)))
            .unwrap();
        let key = MiningKey { hospital: hospital.id(), key: mining };

        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = SqliteStore::create(&folder.path().join("ledger")).unwrap();
        let mut unit = store.unit().unwrap();
        let stored = rules.stored_genesis(&header);
        unit.append_block(&stored).unwrap();
        for change in rules.genesis.state() {
            unit.set_state(&change.key, change.value.as_deref()).unwrap();
        }
        finality::extend_tree(unit.as_mut(), &stored).unwrap();
        finality::sign_checkpoint(unit.as_mut(), &rules, &key, &stored).unwrap();
        unit.commit().unwrap();

        let engine: Box<dyn Engine> = match kind {
            Kind::Work => Box::new(PowEngine::new(rules.clone(), Some(key))),
            Kind::Log => Box::new(LogEngine::new(rules.clone(), Some(key))),
        };
        let clock = FixedClock::new(NOW);
        let world = Self { rules, engine, store, doctor, patient, clock, _folder: folder };
        world.people(&hospital);
        world
    }

    fn people(&self, hospital: &Identity) {
        let mut records = Vec::new();
        for (member, role) in [(&self.doctor, Role::Doctor), (&self.patient, Role::Patient)] {
            let proof = member.prove_possession(&self.rules.chain, &hospital.id());
            let body =
                Register { member: member.public().clone(), role, custody: Custody::Own, proof };
            records.push(self.sign(hospital, body));
        }
        let key = self.patient.collection_key(&hospital.id(), 1).public_key();
        records.push(self.sign(&self.patient, Enrol { hospital: hospital.id(), epoch: 1, key }));
        self.submit(&records);
        self.order().unwrap();
    }

    fn sign(&self, author: &Identity, body: impl Into<Body>) -> SignedRecord {
        let mut nonce = [0; 16];
        UnwrapErr(getrandom::SysRng).fill_bytes(&mut nonce);
        let record = Record {
            chain: self.rules.chain,
            nonce: RecordNonce::from_bytes(nonce),
            author: author.id(),
            time: NOW,
            body: body.into(),
        };
        record.sign(author)
    }

    /// Small records that take effect in any order: the doctor adds reports.
    pub fn records(&self, count: usize) -> Vec<SignedRecord> {
        let envelope = Cid::of(Codec::DagCbor, b"envelope");
        let body = AddReport { patient: self.patient.id(), envelope, collection: 1 };
        (0..count).map(|_| self.sign(&self.doctor, body.clone())).collect()
    }

    /// Accepts records in one unit of work, durable when it returns.
    pub fn submit(&self, records: &[SignedRecord]) {
        let mut unit = self.store.unit().unwrap();
        self.engine.submit(unit.as_mut(), records).unwrap();
        unit.commit().unwrap();
    }

    /// Puts what waits, as much as fits, into a block, durable when it returns.
    pub fn order(&self) -> Option<Mined> {
        let job = OrderJob {
            clock: &self.clock,
            workers: &Inline,
            cancel: &AtomicBool::new(false),
            tried: &AtomicU64::new(0),
            empty: false,
        };
        self.engine.order(&self.store, &job).unwrap()
    }

    pub const fn now(&self) -> Timestamp {
        NOW
    }
}
