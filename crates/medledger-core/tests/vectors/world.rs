//! A small chain from fixed seeds.

use medledger_core::cid::Codec;
use medledger_core::clock::{Clock, FixedClock, Timestamp};
use medledger_core::engine::{Engine, Mined, MiningKey, OrderJob, PowEngine};
use medledger_core::genesis::{Consensus, Founder, Genesis};
use medledger_core::identity::Identity;
use medledger_core::ids::{ChainId, RecordNonce, ReportId};
use medledger_core::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use medledger_core::memory::MemoryStore;
use medledger_core::pow::{Header, Inline, Outcome, Schedule, Target, mine};
use medledger_core::record::{
    AddReport, Body, Enrol, Grant, Grantee, Read, Record, Refuse, Register, RequestAccess, Revoke,
    Scope, SignedRecord,
};
use medledger_core::registry::{Custody, Purpose, Role};
use medledger_core::store::Store;
use medledger_core::{Cid, chain::Rules, finality};
use std::sync::atomic::{AtomicBool, AtomicU64};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const HOSPITAL: u8 = 1;
pub(crate) const DOCTOR: u8 = 2;
pub(crate) const PATIENT: u8 = 3;

pub(crate) fn member(number: u8) -> Identity {
    let hpke = HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[number ^ 0x80; 32]);
    Identity::from_keys(SigningKey::from_seed(&[number; 32]), hpke)
}

/// The mining key of the hospital with this number.
pub(crate) fn mining(hospital: u8) -> SigningKey {
    SigningKey::from_seed(&[0xbf_u8.wrapping_add(hospital); 32])
}

pub(crate) fn nonce(number: u8) -> RecordNonce {
    RecordNonce::from_bytes([number; 16])
}

pub(crate) fn record(chain: ChainId, author: u8, number: u8, body: impl Into<Body>) -> Record {
    let time = Timestamp::from_secs(NOW + u64::from(number));
    let author = member(author).id();
    Record { chain, nonce: nonce(number), author, time, body: body.into() }
}

/// One record of every kind in force, in an order in which all but the last take effect together.
pub(crate) fn records(chain: ChainId) -> Vec<(&'static str, SignedRecord)> {
    let hospital = member(HOSPITAL).id();
    let register = |number: u8, role| {
        let new = member(number);
        let proof = new.prove_possession(&chain, &hospital);
        Register { member: new.public().clone(), role, custody: Custody::Own, proof }
    };
    let enrol = Enrol {
        hospital,
        epoch: 1,
        key: member(PATIENT).collection_key(&hospital, 1).public_key(),
    };
    let envelope = Cid::of(Codec::DagCbor, b"envelope");
    let report = ReportId::derive(&member(DOCTOR).id(), &nonce(4));
    let until = Timestamp::from_secs(NOW + 86_400);
    let purpose = Purpose::Treatment;
    let sign =
        |author, number, body: Body| record(chain, author, number, body).sign(&member(author));
    let asked = sign(DOCTOR, 5, RequestAccess { report, purpose, until }.into());
    let grant = |request, number| {
        let reader = Grantee::Member(member(DOCTOR).id());
        let scope = Scope::Report(report);
        let (custodian, token, delegate) = (hospital, None, 0);
        let body = Grant { scope, reader, purpose, until, custodian, token, request, delegate };
        sign(PATIENT, number, body.into())
    };
    let given = grant(Some(asked.id()), 6);
    let id = medledger_core::ids::GrantId::derive(&member(PATIENT).id(), &nonce(6));
    let head = chain.as_bytes();
    let read = Read {
        grant: Some(id),
        report,
        version: 1,
        head: medledger_core::ids::BlockId::from_bytes(*head),
    };
    let again = sign(DOCTOR, 8, RequestAccess { report, purpose, until }.into());
    let refuse = Refuse { request: again.id() };
    vec![
        ("register_doctor", sign(HOSPITAL, 1, register(DOCTOR, Role::Doctor).into())),
        ("register_patient", sign(HOSPITAL, 2, register(PATIENT, Role::Patient).into())),
        ("enrol", sign(PATIENT, 3, enrol.into())),
        ("add_report", {
            let body = AddReport { patient: member(PATIENT).id(), envelope, collection: 1 };
            sign(DOCTOR, 4, body.into())
        }),
        ("request_access", asked),
        ("grant", given),
        ("read", sign(DOCTOR, 7, read.into())),
        ("request_again", again),
        ("refuse", sign(PATIENT, 9, refuse.into())),
        ("revoke", sign(PATIENT, 10, Revoke { grant: id }.into())),
    ]
}

pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) genesis_header: Header,
    pub(crate) store: MemoryStore,
    pub(crate) records: Vec<(&'static str, SignedRecord)>,
    pub(crate) blocks: Vec<Mined>,
}

/// Three blocks: people, what they do, and nothing.
pub(crate) fn world() -> World {
    world_of(&[HOSPITAL])
}

/// The same on a chain of these hospitals; the first one mines. Several have cosigned nothing yet.
pub(crate) fn world_of(hospitals: &[u8]) -> World {
    let founder = |number: &u8| Founder {
        identity: member(*number).public().clone(),
        mining: mining(*number).verifying_key(),
    };
    let schedule = Schedule::fixed(Target::from_expected_tries(16));
    let mut genesis = Genesis::single(founder(&HOSPITAL), Consensus::Work(schedule));
    genesis.founders = hospitals.iter().map(founder).collect();
    let template = Rules::genesis_header(&genesis, Timestamp::from_secs(NOW));
    let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
    let found = mine(&template, &mut |_| template, &Inline, &cancel, &tried).unwrap();
    let Outcome::Found { header: genesis_header, .. } = found else { unreachable!() };
    let rules = Rules::new(&genesis_header, genesis).unwrap();
    let store = MemoryStore::new();
    let mut unit = store.unit().unwrap();
    let stored = rules.stored_genesis(&genesis_header);
    unit.append_block(&stored).unwrap();
    for change in rules.genesis.state() {
        unit.set_state(&change.key, change.value.as_deref()).unwrap();
    }
    finality::extend_tree(unit.as_mut(), &stored).unwrap();
    unit.commit().unwrap();

    let key = MiningKey { hospital: member(HOSPITAL).id(), key: mining(HOSPITAL) };
    let engine = PowEngine::new(rules.clone(), Some(key));
    let records = records(rules.chain);
    let clock = FixedClock::new(Timestamp::from_secs(NOW));
    let mut blocks = Vec::new();
    for part in [&records[..3], &records[3..], &[]] {
        clock.set(clock.now().plus(60));
        let signed: Vec<_> = part.iter().map(|(_, record)| record.clone()).collect();
        let mut unit = store.unit().unwrap();
        engine.submit(unit.as_mut(), &signed).unwrap();
        unit.commit().unwrap();
        let (clock, workers) = (&clock, &Inline);
        let job = OrderJob { clock, workers, cancel: &cancel, tried: &tried, empty: true };
        blocks.push(engine.order(&store, &job).unwrap().unwrap());
    }
    World { rules, genesis_header, store, records, blocks }
}
