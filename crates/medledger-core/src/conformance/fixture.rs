//! A small ledger to test with: one hospital, a doctor, a patient, and records they sign. All keys
//! and nonces follow from fixed seeds, so every run makes the same bytes.

use crate::Cid;
use crate::chain::Rules;
use crate::cid::Codec;
use crate::clock::{FixedClock, Timestamp};
use crate::engine::{Engine, MiningKey, OrderError, OrderJob};
use crate::finality;
use crate::genesis::{Consensus, Founder, Genesis, Limits};
use crate::identity::Identity;
use crate::ids::{BlockId, GrantId, MemberId, RecordNonce, ReportId};
use crate::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use crate::pow::{Header, Inline, Schedule, Target};
use crate::record::{
    AddReport, Body, Enrol, Grant, Grantee, Read, Record, Register, RequestAccess, Revoke, Scope,
    SignedRecord,
};
use crate::registry::{Custody, Purpose, Role};
use crate::store::{Standing, Store, StoredBlock, StoredRecord};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// When every test ledger begins.
pub const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A difficulty of 16 tries a block.
#[must_use]
pub fn easy_work() -> Consensus {
    Consensus::Work(Schedule::fixed(Target::from_expected_tries(16)))
}

/// An identity whose keys follow from `seed`.
#[must_use]
pub fn identity(seed: u8) -> Identity {
    Identity::from_keys(
        SigningKey::from_seed(&[seed; 32]),
        HpkeSecretKey::derive(HpkeAlgorithm::X25519, &[seed.wrapping_add(100); 32]),
    )
}

/// One hospital with its chain, a doctor and a patient who are not registered yet, and a clock.
#[derive(Debug)]
pub struct Fixture {
    /// Rules of the chain.
    pub rules: Rules,
    /// The genesis header.
    pub genesis: Header,
    /// The hospital, the only founder.
    pub hospital: Identity,
    /// A doctor.
    pub doctor: Identity,
    /// A patient.
    pub patient: Identity,
    /// The clock, at [`START`] first.
    pub clock: FixedClock,
    /// Set to cancel a step of ordering.
    pub cancel: AtomicBool,
    tried: AtomicU64,
    nonces: AtomicU64,
}

impl Fixture {
    /// A chain with the usual limits.
    #[must_use]
    pub fn new(consensus: Consensus) -> Self {
        Self::with_limits(consensus, Limits::default())
    }

    /// A chain with other limits.
    #[must_use]
    pub fn with_limits(consensus: Consensus, limits: Limits) -> Self {
        let hospital = identity(1);
        let mining = SigningKey::from_seed(&[2; 32]).verifying_key();
        let founder = Founder { identity: hospital.public().clone(), mining };
        let genesis = Genesis { limits, ..Genesis::single(founder, consensus) };
        genesis.check().expect("a genesis");
        let mut header = Rules::genesis_header(&genesis, START);
        while matches!(genesis.consensus, Consensus::Work(_)) && !header.meets_target() {
            header.nonce += 1;
        }
        Self {
            rules: Rules::new(&header, genesis).expect("rules"),
            genesis: header,
            hospital,
            doctor: identity(3),
            patient: identity(4),
            clock: FixedClock::new(START),
            cancel: AtomicBool::new(false),
            tried: AtomicU64::new(0),
            nonces: AtomicU64::new(0),
        }
    }

    /// The hospital's key to sign blocks with.
    #[must_use]
    pub fn mining_key(&self) -> MiningKey {
        MiningKey { hospital: self.hospital.id(), key: SigningKey::from_seed(&[2; 32]) }
    }

    /// The genesis block, as a store keeps it.
    #[must_use]
    pub fn genesis_block(&self) -> StoredBlock {
        self.rules.stored_genesis(&self.genesis)
    }

    /// Writes the genesis block and the state it starts from.
    pub fn found(&self, store: &dyn Store) {
        let block = self.genesis_block();
        let mut unit = store.unit().expect("a unit");
        unit.append_block(&block).expect("the genesis block");
        for change in self.rules.genesis.state() {
            unit.set_state(&change.key, change.value.as_deref()).expect("genesis state");
        }
        finality::extend_tree(unit.as_mut(), &block).expect("the tree");
        unit.commit().expect("commit");
    }

    /// A job for one step of ordering, by one worker.
    #[must_use]
    pub fn job(&self, empty: bool) -> OrderJob<'_> {
        OrderJob {
            clock: &self.clock,
            workers: &Inline,
            cancel: &self.cancel,
            tried: &self.tried,
            empty,
        }
    }

    /// Submits records in a unit of their own and commits it.
    pub fn accept(&self, engine: &dyn Engine, store: &dyn Store, records: &[SignedRecord]) {
        let mut unit = store.unit().expect("a unit");
        engine.submit(unit.as_mut(), records).expect("records that take effect");
        unit.commit().expect("commit");
    }

    /// Orders until nothing waits; how many blocks that took.
    pub fn mine(&self, engine: &dyn Engine, store: &dyn Store) -> usize {
        let step = || engine.order(store, &self.job(false));
        let mut blocks = 0;
        while step().expect("a step").is_some() {
            blocks += 1;
        }
        blocks
    }

    /// A nonce that no other record of this fixture has.
    #[must_use]
    pub fn nonce(&self) -> RecordNonce {
        let count = self.nonces.fetch_add(1, Ordering::Relaxed);
        RecordNonce::from_bytes(u128::from(count).to_be_bytes())
    }

    /// A record of `author`, at the clock's time.
    pub fn sign(&self, author: &Identity, body: impl Into<Body>) -> SignedRecord {
        use crate::clock::Clock;
        Record {
            chain: self.rules.chain,
            nonce: self.nonce(),
            author: author.id(),
            time: self.clock.now(),
            body: body.into(),
        }
        .sign(author)
    }

    /// The hospital registers a member.
    #[must_use]
    pub fn register(&self, member: &Identity, role: Role) -> SignedRecord {
        let proof = member.prove_possession(&self.rules.chain, &self.hospital.id());
        let member = member.public().clone();
        self.sign(&self.hospital, Register { member, role, custody: Custody::Own, proof })
    }

    /// A patient enrols at the hospital.
    #[must_use]
    pub fn enrol(&self, patient: &Identity) -> SignedRecord {
        let hospital = self.hospital.id();
        let key = patient.collection_key(&hospital, 1).public_key();
        self.sign(patient, Enrol { hospital, epoch: 1, key })
    }

    /// The doctor and the patient are registered, and the patient enrols.
    #[must_use]
    pub fn people(&self) -> Vec<SignedRecord> {
        vec![
            self.register(&self.doctor, Role::Doctor),
            self.register(&self.patient, Role::Patient),
            self.enrol(&self.patient),
        ]
    }

    /// The doctor adds a report about the patient.
    #[must_use]
    pub fn add_report(&self) -> SignedRecord {
        let envelope = Cid::of(Codec::DagCbor, b"an envelope");
        self.sign(&self.doctor, AddReport { patient: self.patient.id(), envelope, collection: 1 })
    }

    /// The doctor asks for a report until some time.
    #[must_use]
    pub fn request(&self, report: ReportId, until: Timestamp) -> SignedRecord {
        self.sign(&self.doctor, RequestAccess { report, purpose: Purpose::Treatment, until })
    }

    /// The patient permits the doctor to read a report until some time.
    #[must_use]
    pub fn grant(&self, report: ReportId, until: Timestamp) -> SignedRecord {
        let body = Grant {
            scope: Scope::Report(report),
            reader: Grantee::Member(self.doctor.id()),
            purpose: Purpose::Treatment,
            until,
            custodian: self.hospital.id(),
            token: None,
            request: None,
            delegate: 0,
        };
        self.sign(&self.patient, body)
    }

    /// The doctor reads a report under a grant.
    #[must_use]
    pub fn read(&self, report: ReportId, grant: GrantId) -> SignedRecord {
        let head = BlockId::from_bytes([0; 32]);
        self.sign(&self.doctor, Read { grant: Some(grant), report, version: 1, head })
    }

    /// The patient takes a permission back.
    #[must_use]
    pub fn revoke(&self, grant: GrantId) -> SignedRecord {
        self.sign(&self.patient, Revoke { grant })
    }

    /// A record as a store keeps it, looked up by nothing but its author.
    #[must_use]
    pub fn stored(record: &SignedRecord, standing: Standing) -> StoredRecord {
        StoredRecord {
            id: record.id(),
            kind: record.record().kind(),
            author: record.record().author,
            patient: None,
            report: None,
            time: record.record().time,
            standing,
            bytes: record.encode(),
        }
    }

    /// The id of the report that a record adds.
    #[must_use]
    pub fn report_of(record: &SignedRecord) -> ReportId {
        ReportId::derive(&record.record().author, &record.record().nonce)
    }

    /// The id of the grant that a record gives.
    #[must_use]
    pub fn grant_of(record: &SignedRecord) -> GrantId {
        GrantId::derive(&record.record().author, &record.record().nonce)
    }

    /// Member ids of hospital, doctor and patient.
    #[must_use]
    pub fn ids(&self) -> [MemberId; 3] {
        [self.hospital.id(), self.doctor.id(), self.patient.id()]
    }

    /// One step of ordering that is expected to fail.
    pub fn order_error(&self, engine: &dyn Engine, store: &dyn Store) -> OrderError {
        engine.order(store, &self.job(true)).expect_err("a step that fails")
    }
}
