//! Fields of each DAG-CBOR map: the document lists exactly those that are written.

use crate::document::names;
use crate::example::{Example, hospital, patient, rng};
use medledger_core::clock::Timestamp;
use medledger_core::context::BodyContext;
use medledger_core::dek::Dek;
use medledger_core::envelope::{Envelope, Metadata, seal_meta};
use medledger_core::ids::{AuditHash, GrantId, LossHash, RecordId, ReportId, TokenHash};
use medledger_core::keys::SigningKey;
use medledger_core::pow::{Bits, Schedule};
use medledger_core::record::{
    AddReport, AuditDigest, Body, Confirm, Delegate, Enrol, Grant, Grantee, Group, HospitalChange,
    Read, Record, Refuse, RequestAccess, Revoke, Rotate, Scope, Succeed, Suspend,
};
use medledger_core::registry::{CipherSuite, Kind, Purpose, Role};
use medledger_core::state::{
    AuditState, Enrolment, GrantEntry, GroupEntry, MemberEntry, ReportEntry, RequestEntry,
    RequestStatus, RotationEntry, Succession,
};
use medledger_core::vote::{Ballot, Evidence, Phase, Vote, VoterState};
use medledger_core::{Cid, cbor, cid::Codec, identity, seal};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

type Map = BTreeMap<String, IgnoredAny>;

/// Whether the table below `heading` has exactly these fields, in the order of the bytes.
fn expect_fields(heading: &str, map: Map) {
    let mut written: Vec<String> = map.into_keys().collect();
    written.sort_by_key(|name| (name.len(), name.clone()));
    assert_eq!(names(heading), written, "fields below {heading:?} in docs/format.md");
}

fn fields(bytes: &[u8]) -> Map {
    serde_ipld_dagcbor::from_slice(bytes).expect("a map")
}

fn body_of(bytes: &[u8]) -> Map {
    #[derive(serde::Deserialize)]
    struct Outer {
        body: Map,
    }
    serde_ipld_dagcbor::from_slice::<Outer>(bytes).unwrap().body
}

fn report() -> ReportId {
    ReportId::from_bytes([1; 16])
}

fn bodies(example: &Example) -> Vec<Body> {
    let until = Timestamp::from_secs(1);
    let grant = GrantId::from_bytes([2; 16]);
    let request = RecordId::from_bytes([3; 32]);
    let key = patient().collection_key(&hospital().id(), 1).public_key();
    vec![
        example.record.record().body.clone(),
        Succeed {
            member: patient().id(),
            next: patient().public().clone(),
            proof: patient().prove_succession(&example.record.record().chain),
            consent: None,
        }
        .into(),
        Suspend { member: patient().id() }.into(),
        example.admission.record().body.clone(),
        Enrol { hospital: hospital().id(), epoch: 1, key: key.clone() }.into(),
        AddReport {
            patient: patient().id(),
            envelope: Cid::of(Codec::DagCbor, b""),
            collection: 2,
        }
        .into(),
        Rotate {
            report: report(),
            version: 1,
            epoch: 2,
            envelope: Cid::of(Codec::DagCbor, b""),
            collection: 1,
        }
        .into(),
        RequestAccess { report: report(), purpose: Purpose::Treatment, until }.into(),
        Grant {
            scope: Scope::Report(report()),
            reader: Grantee::Member(hospital().id()),
            purpose: Purpose::Treatment,
            until,
            custodian: hospital().id(),
            token: Some(TokenHash::from_bytes([4; 32])),
            request: None,
            delegate: 1,
        }
        .into(),
        Refuse { request }.into(),
        Revoke { grant }.into(),
        Delegate {
            grant,
            scope: Scope::Report(report()),
            reader: Grantee::Member(hospital().id()),
            until,
            token: None,
            delegate: 1,
        }
        .into(),
        Read { grant: None, report: report(), version: 1, head: example.header.id() }.into(),
        Confirm { record: request }.into(),
        AuditDigest { first: 0, size: 1, root: AuditHash::from_bytes([5; 32]) }.into(),
        Group {
            group: None,
            role: None,
            epoch: 1,
            key,
            add: vec![],
            remove: vec![],
            losses: Some(LossHash::from_bytes([1; 32])),
        }
        .into(),
    ]
}

#[test]
fn records_and_their_bodies_are_documented() {
    let example = Example::new();
    let bodies = bodies(&example);
    assert_eq!(bodies.len(), Kind::ALL.iter().filter(|kind| kind.in_force()).count());
    for body in bodies {
        let kind = body.kind();
        let record = Record { body, ..example.record.record().clone() };
        let bytes = record.encode();
        expect_fields("Record", fields(&bytes));
        expect_fields(&format!("Body of {kind}"), body_of(&bytes));
    }
}

#[test]
fn genesis_block_node_and_receipt_are_documented() {
    let example = Example::new();
    expect_fields("Genesis configuration", fields(&example.genesis.encode()));
    let limits = cbor::encode(&example.genesis.limits);
    expect_fields("Genesis limits", fields(&limits));
    expect_fields("Founder", fields(&cbor::encode(&example.genesis.founders[0])));
    expect_fields("Block node", fields(&example.block.to_nodes().root.1));
    // Left out where hospitals have not changed.
    let mut receipt = fields(&example.receipt.encode());
    receipt.insert("handovers".into(), IgnoredAny);
    expect_fields("Receipt", receipt);
    expect_fields("Handover", fields(&cbor::encode(&example.handover)));
    let proof = medledger_core::merkle::InclusionProof { index: 0, size: 1, path: vec![] };
    expect_fields("Inclusion proof", fields(&cbor::encode(&proof)));
    expect_fields("Evidence of conflicting checkpoints", fields(&evidence().encode()));
}

#[test]
fn cards_and_news_are_documented() {
    use medledger_core::hospital::{Application, HospitalCard, HospitalSet, Proposal};
    use medledger_core::ids::ChainId;
    let mining = medledger_core::keys::SigningKey::from_seed(&[1; 32]);
    let application = Application::new(None, &hospital(), &mining);
    expect_fields("Application of a hospital", fields(&cbor::encode(&application)));
    let card = HospitalCard::new("A".into(), application);
    expect_fields("Card of a hospital", fields(&card.encode()));
    let set = HospitalSet::founders(&Example::new().genesis);
    expect_fields("Set of hospitals", fields(&cbor::encode(&set)));
    let expulsion = HospitalChange::Expel(hospital().id());
    let proposal = Proposal::new(ChainId::from_bytes([1; 32]), &set, String::new(), expulsion);
    expect_fields("Proposal", fields(&proposal.unwrap().encode()));
    let news = medledger_core::news::News::new(ChainId::from_bytes([1; 32]));
    expect_fields("News of a hospital", fields(&news.encode()));
}

#[test]
fn a_consent_to_new_keys_is_documented() {
    let chain = medledger_core::ids::ChainId::from_bytes([1; 32]);
    let (_, consent) = patient().consent_to_next(&chain, &mut rng()).expect("no former keys");
    expect_fields("Consent to new keys", fields(&consent.encode()));
}

/// Evidence against a hospital that signed two roots of one size.
fn evidence() -> medledger_core::checkpoint::Evidence {
    use medledger_core::checkpoint::{Checkpoint, Evidence, NoteKey, SignedNote};
    use medledger_core::ids::{ChainId, TreeHash};
    use medledger_core::log_tree::{LogTree, MemoryNodes};
    let secret = ed25519_zebra::SigningKey::from([1; 32]);
    let key = NoteKey::cosigner("hospital", secret.verification_key().into()).unwrap();
    let chain = ChainId::from_bytes([2; 32]);
    let note = |root| {
        let checkpoint = Checkpoint::new(&chain, 3, TreeHash::from_bytes([root; 32]));
        let mut note = SignedNote::new(checkpoint.to_string()).unwrap();
        note.cosign(&key, Timestamp::from_secs(4), &mut |m| secret.sign(m).to_bytes()).unwrap();
        note
    };
    let nodes = MemoryNodes::default();
    let keys = [key.clone()];
    let found = Evidence::between(&note(5), &note(6), LogTree::new(&nodes), &chain, &keys);
    found.unwrap().unwrap()
}

#[test]
fn schedules_are_documented() {
    let (bits, floor) = (Bits::from_u32(0x1c00_ffff), Bits::from_u32(0x1d00_ffff));
    let schedules = [
        Schedule::Fixed { bits },
        Schedule::BITCOIN_MAINNET,
        Schedule::Asert { bits, floor, spacing: 600, half_life: 172_800 },
    ];
    for schedule in schedules {
        let bytes = cbor::encode(&schedule);
        let kinds: BTreeMap<String, Map> = serde_ipld_dagcbor::from_slice(&bytes).unwrap();
        let (kind, fields) = kinds.into_iter().next().unwrap();
        expect_fields(&format!("Schedule {kind}"), fields);
    }
}

#[test]
fn votes_and_what_is_made_of_them_are_documented() {
    let genesis = Example::new().header.id();
    let voter = hospital().id();
    let ballot = Ballot::from((1, 1, genesis));
    let phase = Phase::Precommit;
    let vote = Vote { chain: genesis.into(), set: genesis, voter, phase, ballot };
    expect_fields("Vote", fields(&vote.encode()));
    expect_fields("Voter state", fields(&VoterState::new(genesis, 0).encode()));
    let signed = vote.sign(&SigningKey::from_seed(&[1; 32]));
    expect_fields("Evidence", fields(&Evidence::double(signed, signed).encode()));
}

#[test]
fn state_entries_are_documented() {
    let record = RecordId::from_bytes([3; 32]);
    let until = Timestamp::from_secs(1);
    let key = patient().collection_key(&hospital().id(), 1).public_key();
    let member = MemberEntry {
        identity: patient().public().clone(),
        role: Role::Patient,
        hospital: hospital().id(),
        custody: medledger_core::registry::Custody::Own,
        mining: vec![],
        height: 1,
        suspended: Some(1),
        succession: Some(Succession { count: 1, since: 1 }),
    };
    expect_fields("Member entry", fields(&cbor::encode(&member)));
    expect_fields("Succession", fields(&cbor::encode(&member.succession)));
    expect_fields("Enrolment entry", fields(&cbor::encode(&Enrolment { epoch: 1, key })));
    let entry = ReportEntry {
        patient: patient().id(),
        author: hospital().id(),
        hospital: hospital().id(),
        version: 1,
        epoch: 1,
        envelope: Cid::of(Codec::DagCbor, b""),
        collection: 2,
        record,
        height: 1,
    };
    expect_fields("Report entry", fields(&cbor::encode(&entry)));
    let entry = RotationEntry {
        record,
        version: 1,
        epoch: 2,
        envelope: Cid::of(Codec::DagCbor, b""),
        collection: 1,
    };
    expect_fields("Rotation entry", fields(&cbor::encode(&entry)));
    let key = patient().collection_key(&hospital().id(), 1).public_key();
    let losses = Some(LossHash::after(None, &record));
    let entry =
        GroupEntry { hospital: hospital().id(), role: None, epoch: 1, key, height: 1, losses };
    expect_fields("Group entry", fields(&cbor::encode(&entry)));
    let entry = RequestEntry {
        report: report(),
        reader: hospital().id(),
        purpose: Purpose::Treatment,
        until,
        status: RequestStatus::Waiting,
    };
    expect_fields("Request entry", fields(&cbor::encode(&entry)));
    let entry = GrantEntry {
        patient: patient().id(),
        scope: Scope::Report(report()),
        reader: Grantee::Member(hospital().id()),
        purpose: Purpose::Treatment,
        until,
        custodian: hospital().id(),
        token: None,
        record,
        revoked: None,
        delegate: 1,
        parent: Some(GrantId::from_bytes([2; 16])),
    };
    expect_fields("Grant entry", fields(&cbor::encode(&entry)));
    let entry = AuditState { size: 1, root: AuditHash::from_bytes([5; 32]), record };
    expect_fields("Audit state", fields(&cbor::encode(&entry)));
}

#[test]
fn envelope_and_metadata_are_documented() {
    let mut rng = rng();
    let dek = Dek::from_bytes([1; 16]);
    let (author, patient) = (hospital().id(), patient().id());
    let context = BodyContext { report: report(), version: 1, epoch: 1, patient, author };
    let sealed = seal::seal(&dek, &context.to_bytes(), b"report", &mut rng).unwrap();
    let body = Cid::of(Codec::Raw, &sealed);
    let metadata = Metadata::new("a.pdf", "application/pdf", 6).unwrap();
    let meta = seal_meta(&dek, &context.meta(body), &metadata, &mut rng).unwrap();
    let plain = seal::unseal(&dek, &context.meta(body).to_bytes(), &meta).unwrap();
    let (length, rest) = plain.split_first_chunk::<4>().unwrap();
    expect_fields("Metadata", fields(&rest[..u32::from_be_bytes(*length) as usize]));
    let envelope = Envelope {
        suite: CipherSuite::Cobblestone128,
        body,
        size: sealed.len() as u64,
        head: sealed[..seal::HEAD_LEN].try_into().unwrap(),
        meta,
    };
    expect_fields("Envelope", fields(&envelope.encode()));
}

#[test]
fn the_locked_identity_file_is_documented() {
    #[derive(serde::Deserialize)]
    struct File(Map, #[allow(dead_code)] IgnoredAny);
    let params = identity::LockParams::weak_for_tests();
    let file = identity::lock(&patient(), "password", &params, &mut rng()).unwrap();
    let File(header, _) = serde_ipld_dagcbor::from_slice(&file).unwrap();
    // The parts of `kdf` have rows of their own.
    let documented: Vec<_> = names("Locked identity file")
        .into_iter()
        .filter(|name| !name.starts_with("kdf."))
        .collect();
    let mut written: Vec<_> = header.into_keys().collect();
    written.sort_by_key(|name| (name.len(), name.clone()));
    assert_eq!(documented, written);
}
