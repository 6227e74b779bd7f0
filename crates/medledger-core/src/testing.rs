//! Members, records and a state in memory, for the tests of this crate.

use crate::Cid;
use crate::cid::Codec;
use crate::clock::Timestamp;
use crate::genesis::{Consensus, Founder, Genesis};
use crate::identity::Identity;
use crate::ids::{ChainId, GrantId, MemberId, RecordNonce, ReportId};
use crate::keys::{HpkeAlgorithm, HpkeSecretKey, SigningKey};
use crate::pow::{Schedule, Target};
use crate::record::{
    AddReport, Body, Enrol, Grant, Grantee, Record, Register, RequestAccess, Scope, SignedRecord,
};
use crate::registry::{Custody, Purpose, Role, VoidCode};
use crate::state::{ApplyError, At, Change, SignatureCheck, State, StateRead, apply};
use crate::store::{Row, StoreError};
use std::collections::BTreeMap;

mod ledger;

pub(crate) use ledger::{Draft, Ledger};

/// Median time of the worlds made here.
pub(crate) const NOW: u64 = 1_800_000_000;

/// The same member for the same number, each time.
pub(crate) fn member(number: u8) -> Identity {
    let hpke = HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[number ^ 0x80; 32]);
    Identity::from_keys(SigningKey::from_seed(&[number; 32]), hpke)
}

/// The mining key of the founder with this number.
pub(crate) fn mining_key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number ^ 0xc0; 32])
}

pub(crate) const HOSPITAL: u8 = 1;
pub(crate) const OTHER_HOSPITAL: u8 = 2;
pub(crate) const DOCTOR: u8 = 3;
pub(crate) const OTHER_DOCTOR: u8 = 4;
pub(crate) const NURSE: u8 = 5;
pub(crate) const LAB: u8 = 6;
pub(crate) const PATIENT: u8 = 7;
pub(crate) const OTHER_PATIENT: u8 = 8;
/// Nobody has registered this one.
pub(crate) const STRANGER: u8 = 9;

pub(crate) fn id(number: u8) -> MemberId {
    member(number).id()
}

pub(crate) fn founder(number: u8) -> Founder {
    Founder {
        identity: member(number).public().clone(),
        mining: mining_key(number).verifying_key(),
    }
}

/// Work of two tries a block.
pub(crate) fn tiny_work() -> Consensus {
    Consensus::Work(Schedule::fixed(Target::from_expected_tries(2)))
}

pub(crate) fn envelope(text: &str) -> Cid {
    Cid::of(Codec::DagCbor, text.as_bytes())
}

/// Entries of a state in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Map(pub(crate) BTreeMap<Vec<u8>, Vec<u8>>);

impl Map {
    pub(crate) fn write(&mut self, changes: Vec<Change>) {
        for Change { key, value } in changes {
            match value {
                Some(value) => self.0.insert(key.to_vec(), value),
                None => self.0.remove(key.as_bytes()),
            };
        }
    }
}

impl StateRead for Map {
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.0.iter().filter(|(key, _)| {
            key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after)
        });
        Ok(rows.take(limit).map(|(k, v)| (k.clone(), v.clone())).collect())
    }
}

/// Two hospitals, their people, and the state they are in.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) state: Map,
    pub(crate) at: At,
    /// What took effect, in its order.
    pub(crate) log: Vec<SignedRecord>,
    nonces: u64,
}

impl World {
    /// Only the founders of `genesis`.
    pub(crate) fn of(genesis: &Genesis, chain: ChainId) -> Self {
        let mut state = Map::default();
        state.write(genesis.state());
        let at = At {
            chain,
            height: 5,
            median_time: Timestamp::from_secs(NOW),
            max_grant_seconds: 1000,
        };
        Self { state, at, log: Vec::new(), nonces: 0 }
    }

    /// Only the two hospitals.
    pub(crate) fn founded() -> Self {
        let mut genesis = Genesis::single(founder(HOSPITAL), tiny_work());
        genesis.founders.push(founder(OTHER_HOSPITAL));
        Self::of(&genesis, ChainId::from_bytes([0xcc; 32]))
    }

    /// Everyone is registered; the patients are enrolled at the first hospital.
    pub(crate) fn peopled() -> Self {
        Self::founded().with_people()
    }

    pub(crate) fn with_people(self) -> Self {
        let mut world = self;
        for (number, role) in [
            (DOCTOR, Role::Doctor),
            (OTHER_DOCTOR, Role::Doctor),
            (NURSE, Role::Nurse),
            (LAB, Role::Lab),
            (PATIENT, Role::Patient),
            (OTHER_PATIENT, Role::Patient),
        ] {
            let body = world.register(HOSPITAL, number, role);
            world.put(HOSPITAL, body);
        }
        for patient in [PATIENT, OTHER_PATIENT] {
            world.put(patient, enrol(patient, HOSPITAL, 1));
        }
        world
    }

    pub(crate) fn register(&self, registrar: u8, number: u8, role: Role) -> Register {
        let new = member(number);
        Register {
            member: new.public().clone(),
            role,
            custody: Custody::Own,
            proof: new.prove_possession(&self.at.chain, &id(registrar)),
        }
    }

    /// A statement nobody made before.
    pub(crate) fn record(&mut self, author: u8, body: impl Into<Body>) -> Record {
        self.nonces += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonces.to_be_bytes());
        Record {
            chain: self.at.chain,
            nonce: RecordNonce::from_bytes(nonce),
            author: id(author),
            time: Timestamp::from_secs(NOW),
            body: body.into(),
        }
    }

    pub(crate) fn sign(&mut self, author: u8, body: impl Into<Body>) -> SignedRecord {
        self.record(author, body).sign(&member(author))
    }

    pub(crate) fn judge(&self, record: &SignedRecord) -> Result<Vec<Change>, VoidCode> {
        match apply(&self.state, record, &self.at, &mut SignatureCheck::Now) {
            Ok(changes) => Ok(changes),
            Err(ApplyError::Void(code)) => Err(code),
            Err(ApplyError::Store(error)) => panic!("{error}"),
        }
    }

    /// Judges, and writes what changes.
    pub(crate) fn apply(&mut self, record: &SignedRecord) -> Result<(), VoidCode> {
        let changes = self.judge(record)?;
        self.state.write(changes);
        Ok(())
    }

    /// Signs and applies what must take effect.
    pub(crate) fn put(&mut self, author: u8, body: impl Into<Body>) -> SignedRecord {
        let record = self.sign(author, body);
        self.apply(&record).unwrap_or_else(|code| panic!("{code}: {record:?}"));
        self.log.push(record.clone());
        record
    }

    /// Signs and applies what must take none, and checks that nothing changed.
    pub(crate) fn void(&mut self, author: u8, body: impl Into<Body>) -> VoidCode {
        let record = self.sign(author, body);
        self.void_record(&record)
    }

    pub(crate) fn void_record(&mut self, record: &SignedRecord) -> VoidCode {
        let before = self.state.clone();
        let code = self.apply(record).expect_err("takes effect, but must not");
        assert_eq!(self.state, before, "a void record changed the state");
        code
    }

    pub(crate) fn state(&self) -> State<'_> {
        State::new(&self.state)
    }

    /// The doctor adds a report about the patient.
    pub(crate) fn add_report(&mut self) -> ReportId {
        let record = self.put(DOCTOR, add_report(PATIENT));
        report_of(&record)
    }

    /// The patient lets the other doctor read.
    pub(crate) fn grant(&mut self, report: ReportId) -> GrantId {
        let record = self.put(PATIENT, grant(report, OTHER_DOCTOR));
        grant_of(&record)
    }
}

pub(crate) fn report_of(record: &SignedRecord) -> ReportId {
    ReportId::derive(&record.record().author, &record.record().nonce)
}

pub(crate) fn grant_of(record: &SignedRecord) -> GrantId {
    GrantId::derive(&record.record().author, &record.record().nonce)
}

pub(crate) fn enrol(patient: u8, hospital: u8, epoch: u32) -> Enrol {
    let hospital = id(hospital);
    let key = member(patient).collection_key(&hospital, epoch).public_key();
    Enrol { hospital, epoch, key }
}

pub(crate) fn add_report(patient: u8) -> AddReport {
    AddReport { patient: id(patient), envelope: envelope("envelope"), collection: 1 }
}

pub(crate) fn request(report: ReportId) -> RequestAccess {
    RequestAccess { report, purpose: Purpose::Treatment, until: Timestamp::from_secs(NOW + 100) }
}

pub(crate) fn grant(report: ReportId, reader: u8) -> Grant {
    Grant {
        scope: Scope::Report(report),
        reader: Grantee::Member(id(reader)),
        purpose: Purpose::Treatment,
        until: Timestamp::from_secs(NOW + 100),
        custodian: id(HOSPITAL),
        token: None,
        request: None,
        delegate: 0,
    }
}
