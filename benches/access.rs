//! Grants at scale: whether a reader has access, and what granting, sharing, cutting off and new keys cost.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work};
use medledger::core::access_key::AccessKey;
use medledger::core::genesis::{Consensus, Founder, Genesis};
use medledger::core::identity::LockParams;
use medledger::core::ids::{ChainId, GrantId, RecordNonce};
use medledger::core::keys::SigningKey;
use medledger::core::memory::MemoryStore;
use medledger::core::rand_core::UnwrapErr;
use medledger::core::record::{AddReport, Body, Enrol, Grant, Grantee, Record, Register, Scope};
use medledger::core::registry::Custody;
use medledger::core::state::{At, Changes, GrantStanding, SignatureCheck, State, apply};
use medledger::core::store::{Store, StoreError};
use medledger::core::token::Token;
use medledger::core::{Cid, cid::Codec, clock::Timestamp};
use medledger::sqlite::SqliteStore;
use medledger::{
    Approved, Contact, CreateOptions, EngineChoice, Identity, Key, Ledger, MemberId, Permission,
    Purpose, ReaderKey, ReportId, Role, Upload,
};
use std::hint::black_box;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn main() {
    let mut bench = Bench::start(
        "access",
        "whether a reader has access, among many grants in SQLite; one grant, end to end and durable; an upload beside few and \
         many standing readers; the next epoch of a collection; reports under a new key. A ledger with a single-writer log, without mail",
    );
    let million = std::env::var_os("MEDLEDGER_BENCH_MILLION").is_some();
    let all = match (bench.measuring(), million) {
        (false, _) => vec![100],
        (true, false) => vec![1000, 100_000],
        (true, true) => vec![1000, 100_000, 1_000_000],
    };
    for grants in all {
        check(&mut bench, grants);
    }
    Service::new().run(&mut bench, million);
    bench.end();
}

/// A state with many grants, half of them on collections, and nothing else that is large.
struct Crowd {
    changes: Changes,
    at: At,
    chain: ChainId,
    nonce: u64,
}

struct Nothing;

impl medledger::core::state::StateRead for Nothing {
    fn state(&self, _: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn state_scan(
        &self,
        _: &[u8],
        _: Option<&[u8]>,
        _: usize,
    ) -> Result<Vec<medledger::core::store::Row>, StoreError> {
        Ok(Vec::new())
    }
}

impl Crowd {
    fn put(&mut self, author: &Identity, body: impl Into<Body>) -> RecordNonce {
        self.nonce += 1;
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        let nonce = RecordNonce::from_bytes(nonce);
        let (author_id, body) = (author.id(), body.into());
        let record = Record { chain: self.chain, nonce, author: author_id, time: NOW, body };
        let record = record.sign(author);
        let state = self.changes.over(&Nothing);
        let changes = apply(&state, &record, &self.at, &mut SignatureCheck::Done).unwrap();
        self.changes.extend(changes);
        nonce
    }
}

fn someone() -> Identity {
    Identity::generate(&mut UnwrapErr(getrandom::SysRng))
}

fn check(bench: &mut Bench, grants: usize) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let (hospital, doctor) = (someone(), someone());
    let mining = SigningKey::generate(&mut rng).verifying_key();
    let founder = Founder { identity: hospital.public().clone(), mining };
    let genesis = Genesis::single(founder, Consensus::Log);
    let chain = ChainId::from_bytes([7; 32]);
    let at = At { chain, height: 1, median_time: NOW, max_grant_seconds: 1 << 30 };
    let mut crowd = Crowd { changes: Changes::default(), at, chain, nonce: 0 };
    crowd.changes.extend(genesis.state());
    let join = |crowd: &mut Crowd, member: &Identity, role| {
        let proof = member.prove_possession(&chain, &hospital.id());
        let member = member.public().clone();
        crowd.put(&hospital, Register { member, role, custody: Custody::Own, proof });
    };
    join(&mut crowd, &doctor, Role::Doctor);
    // As many patients as readers of each: the square root of the number of grants.
    let side = (1..).find(|side| side * side >= grants).unwrap();
    let readers: Vec<Identity> = (0..side).map(|_| someone()).collect();
    readers.iter().for_each(|reader| join(&mut crowd, reader, Role::Doctor));
    let mut keys = Vec::new();
    let mut given = 0;
    'all: for _ in 0..side {
        let patient = someone();
        join(&mut crowd, &patient, Role::Patient);
        let key = patient.collection_key(&hospital.id(), 1).public_key();
        crowd.put(&patient, Enrol { hospital: hospital.id(), epoch: 1, key });
        let envelope = Cid::of(Codec::DagCbor, b"envelope");
        let report = AddReport { patient: patient.id(), envelope, collection: 1 };
        let nonce = crowd.put(&doctor, report);
        let report = ReportId::derive(&doctor.id(), &nonce);
        for (n, reader) in readers.iter().enumerate() {
            if given == grants {
                break 'all;
            }
            given += 1;
            let mut next = [0; 16];
            next[..8].copy_from_slice(&(crowd.nonce + 1).to_be_bytes());
            let id = GrantId::derive(&patient.id(), &RecordNonce::from_bytes(next));
            let access_key = AccessKey::generate(&mut rng);
            let body = Grant {
                scope: if n % 2 == 0 { report.into() } else { Scope::Collection(hospital.id()) },
                reader: Grantee::Member(reader.id()),
                purpose: Purpose::Treatment,
                until: NOW.plus(1000),
                custodian: hospital.id(),
                token: Some(Token::derive(&access_key, &id).hash(&chain, &id)),
                request: None,
                delegate: 0,
            };
            crowd.put(&patient, body);
            keys.push((reader.id(), report, access_key));
        }
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let on_disk = SqliteStore::create(&folder.path().join("ledger")).unwrap();
    let in_memory = MemoryStore::default();
    let stores: [(&dyn Store, _); 2] = [(&on_disk, "in SQLite"), (&in_memory, "in memory")];
    for (store, _) in stores {
        let mut unit = store.unit().unwrap();
        for (key, value) in crowd.changes.iter() {
            unit.set_state(key, value).unwrap();
        }
        unit.commit().unwrap();
    }
    drop(crowd);
    for (store, place) in stores {
        let mut turn = 0;
        let name = format!("a reader's access, {given} grants {place}");
        bench.case(name.clone(), Work::Each(1, "checks"), || {
            // Another reader and report each time, so that no page is at hand by itself.
            turn = (turn + 7919) % keys.len();
            let (reader, report, key) = &keys[turn];
            assert!(black_box(has_access(store, &chain, reader, report, key)));
        });
        // Below 20 microseconds.
        bench.goal(&name, 50_000.0);
    }
}

/// Whether this key opens this report for this reader: what is asked before a reading is recorded.
fn has_access(
    store: &dyn Store,
    chain: &ChainId,
    reader: &MemberId,
    report: &ReportId,
    key: &AccessKey,
) -> bool {
    let view = store.view().unwrap();
    let state = State::new(view.as_ref());
    let member = state.member(reader).unwrap().unwrap();
    let entry = state.report(report).unwrap().unwrap();
    state.grants_reaching(reader, &member, report, &entry).unwrap().iter().any(|(id, grant)| {
        grant.token.is_some_and(|hash| Token::derive(key, id).matches(chain, id, &hash))
            && state.standing(grant, NOW).unwrap() == GrantStanding::Live
    })
}

/// A whole ledger in a folder.
struct Service {
    ledger: Ledger,
    hospital: Identity,
    doctor: Identity,
    patient: Identity,
    _dir: TempDir,
}

impl Service {
    fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut options = CreateOptions::new("Hospital");
        options.engine = EngineChoice::Log;
        options.lock_params = LockParams::weak_for_tests();
        let (ledger, hospital) =
            Ledger::create(dir.path().join("ledger"), options, "password").unwrap();
        let (doctor, patient) = (someone(), someone());
        for (member, role) in [(&doctor, Role::Doctor), (&patient, Role::Patient)] {
            ledger.register(&hospital, member, role, &Contact::named("somebody")).unwrap();
        }
        ledger.mine().unwrap();
        Self { ledger, hospital, doctor, patient, _dir: dir }
    }

    fn upload(&self, bytes: &[u8], count: usize) -> Vec<ReportId> {
        let uploads = (0..count).map(|_| Upload::new(self.patient.id(), bytes));
        let results = self.ledger.upload_many(&self.doctor, uploads);
        while self.ledger.mine().unwrap().is_some() {}
        results.into_iter().map(|result| result.unwrap().report).collect()
    }

    fn share(&self, scope: impl Into<Scope>, reader: &Identity, key: ReaderKey) -> Approved {
        let until = self.ledger.now().plus(86_400);
        let permission = Permission::new(scope, reader.id(), Purpose::Treatment, until);
        self.ledger.share(&self.patient, permission, &Key::Identity, key).unwrap()
    }

    fn run(&self, bench: &mut Bench, million: bool) {
        let measuring = bench.measuring();
        bench.time = Duration::from_millis(1000);
        let report = self.upload(b"a report", 1)[0];
        let grants = Work::Each(1, "grants");
        bench.case("a report for a reader with an access key", grants, || {
            black_box(self.share(report, &self.doctor, ReaderKey::Access));
        });
        // Below 5 milliseconds.
        bench.goal("a report for a reader with an access key", 200.0);
        let collection = Scope::Collection(self.hospital.id());
        bench.case("a whole collection for a reader", grants, || {
            black_box(self.share(collection.clone(), &self.doctor, ReaderKey::Identity));
        });
        while self.ledger.mine().unwrap().is_some() {}
        self.uploads(bench, &collection, if measuring { 10_000 } else { 10 });
        Self::rotations(match (measuring, million) {
            (false, _) => 4,
            (true, false) => 10_000,
            (true, true) => 100_000,
        });
    }

    fn uploads(&self, bench: &mut Bench, collection: &Scope, readers: usize) {
        let one = Self::new();
        one.share(Scope::Collection(one.hospital.id()), &one.doctor, ReaderKey::Identity);
        for _ in 0..readers {
            self.share(collection.clone(), &self.doctor, ReaderKey::Identity);
        }
        while self.ledger.mine().unwrap().is_some() {}
        let work = Work::Each(1, "uploads");
        let few = "an upload of 4 KiB, 1 standing reader".to_owned();
        let many = format!("an upload of 4 KiB, {readers} standing readers");
        for (name, service) in [(&few, &one), (&many, self)] {
            bench.case(name.clone(), work, || drop(black_box(service.upload(&[7; 4096], 1))));
        }
        let rate = bench.rate(&few);
        bench.ratio(&many, &few, rate, Some(0.9));
        let begin = Instant::now();
        self.ledger.renew_collection(&self.patient, &self.hospital.id()).unwrap();
        println!(
            "the next epoch of a collection with {readers} standing readers: {:.2?}",
            begin.elapsed()
        );
        while self.ledger.mine().unwrap().is_some() {}
    }

    /// What cutting off the past costs: each report is read, sealed anew, compared and confirmed.
    fn rotations(most: usize) {
        let mut count = 1;
        while count <= most {
            let service = Self::new();
            let reports = service.upload(&[7; 4096], count);
            let scope = Scope::Collection(service.hospital.id());
            service.ledger.mark_for_rotation(&service.patient, &scope).unwrap();
            let begin = Instant::now();
            let done = service.ledger.rotate_marked(&service.patient, usize::MAX).unwrap();
            let rotated = begin.elapsed();
            let confirmed = service.ledger.confirm_rotations(&service.hospital).unwrap();
            let done = done.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!((done, confirmed.len()), (reports.len(), count));
            let confirmed = begin.elapsed() - rotated;
            println!(
                "{count} reports of 4 KiB under new keys: sealed anew in {rotated:.2?}, compared and confirmed in {confirmed:.2?}"
            );
            count *= 10;
        }
    }
}
