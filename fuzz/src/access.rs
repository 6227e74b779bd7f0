//! Oracles for what passes between hospitals about slots, for wrapped keys, and for the audit log; and seeds written by
//! their own encoders.

use crate::oracle::dag_cbor;
use crate::structures::{Sevens, author};
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, OpModeS, Serializable};
use ipld_core::ipld::Ipld;
use medledger_core::access_key::AccessKey;
use medledger_core::audit::{AuditEvent, Entry, start};
use medledger_core::cbor;
use medledger_core::clock::Timestamp;
use medledger_core::identity::Identity;
use medledger_core::ids::{
    AuditHash, BlockId, ChainId, GrantId, GroupId, MemberId, RecordId, RecordNonce, ReportId,
};
use medledger_core::key_slot::{KeyOwner, KeySlot, KeySlotContext, KeySlotRole};
use medledger_core::keys::{HpkeAlgorithm, HpkePublicKey, HpkeSecretKey, SigningKey};
use medledger_core::record::{AuditDigest, Body, Read, Record};
use medledger_core::registry::{FORMAT_VERSION, domain};
use medledger_core::release::{ReleaseError, SlotRelease, SlotRequest};
use medledger_core::slot::SlotSuite;
use medledger_core::token::Token;
use serde_bytes::{ByteArray, ByteBuf, Bytes};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

fn chain() -> ChainId {
    ChainId::from_bytes([9; 32])
}

fn secret(byte: u8) -> HpkeSecretKey {
    HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[byte; 32])
}

static CUSTODIAN: LazyLock<Identity> =
    LazyLock::new(|| Identity::from_keys(SigningKey::from_seed(&[3; 32]), secret(4)));
static READER: LazyLock<Identity> = LazyLock::new(author);

/// An entry of the audit log: written back alike, and its hash is what the document says.
pub fn audit_entry(data: &[u8]) {
    dag_cbor::<Entry>(data);
    let Ok(entry) = Entry::decode(data) else { return };
    assert_eq!(entry.encode(), data);
    let hash = Sha256::new_with_prefix(domain::AUDIT).chain_update(data).finalize();
    assert_eq!(entry.hash().as_bytes()[..], hash[..]);
    // A reader that knows no entries finds the same.
    let value: Ipld = cbor::decode(data, 512).expect("DAG-CBOR");
    let field = |name: &str| value.get(name).ok().flatten().expect("a field").clone();
    assert_eq!(field("v"), Ipld::Integer(FORMAT_VERSION.into()));
    assert_eq!(field("number"), Ipld::Integer(entry.number.into()));
    assert_eq!(field("event"), Ipld::String(entry.event.name().into()));
    assert_eq!(field("before"), Ipld::Bytes(entry.before.as_bytes().to_vec()));
}

/// Seeds of [`audit_entry`].
pub fn audit_entry_seeds() -> Vec<Vec<u8>> {
    let (member, at) = (author().id(), Timestamp::from_secs(1_800_000_000));
    let first = Entry::new(0, at, AuditEvent::WrongKey, member, start(&chain(), &member));
    let mut second = Entry::new(1, at, AuditEvent::KeyPickedUp, member, first.hash());
    second.report = Some(ReportId::from_bytes([1; 16]));
    second.request = Some(RecordId::from_bytes([2; 32]));
    second.grant = Some(GrantId::from_bytes([3; 16]));
    vec![first.encode(), second.encode()]
}

/// The record of an audit digest: written back alike, and a reader that knows no records finds the same range.
pub fn audit_digest(data: &[u8]) {
    let Ok(record) = Record::decode(data) else { return };
    assert_eq!(record.encode(), data);
    let Body::AuditDigest(digest) = &record.body else { return };
    let value: Ipld = cbor::decode(data, 1 << 20).expect("DAG-CBOR");
    let body = value.get("body").ok().flatten().expect("a body");
    let field = |name: &str| body.get(name).ok().flatten().expect("a field").clone();
    assert_eq!(field("first"), Ipld::Integer(digest.first.into()));
    assert_eq!(field("size"), Ipld::Integer(digest.size.into()));
    assert_eq!(field("root"), Ipld::Bytes(digest.root.as_bytes().to_vec()));
}

/// Seeds of [`audit_digest`].
pub fn audit_digest_seeds() -> Vec<Vec<u8>> {
    let root = AuditHash::from_bytes([8; 32]);
    [(0, 1), (2, u64::MAX)]
        .map(|(first, size)| record(AuditDigest { first, size, root }.into()).encode())
        .to_vec()
}

fn record(body: Body) -> Record {
    Record {
        chain: chain(),
        nonce: RecordNonce::from_bytes([7; 16]),
        author: READER.id(),
        time: Timestamp::from_secs(1_800_000_000),
        body,
    }
}

/// What a wrapped key of the seeds is about: a collection's key, and a reader's access key.
fn context(role: KeySlotRole) -> KeySlotContext {
    let wrapped = (role != KeySlotRole::AccessKey).then(|| secret(6).public_key());
    let (patient, hospital) = (MemberId::from_bytes([1; 16]), MemberId::from_bytes([2; 16]));
    let owner = if role == KeySlotRole::Member {
        KeyOwner::Group(GroupId::from_bytes([5; 16]))
    } else {
        KeyOwner::Collection { patient, hospital }
    };
    let (grant, reader) = (Some(GrantId::from_bytes([3; 16])), Some(READER.id()));
    KeySlotContext { chain: chain(), owner, epoch: 1, role, grant, reader, wrapped }
}

fn typed() -> AccessKey {
    AccessKey::from_bytes([5; 16])
}

/// A stored key slot: written back alike; and none opens but those that were wrapped.
pub fn key_slot(data: &[u8]) {
    let Ok(slot) = KeySlot::from_bytes(data) else { return };
    assert_eq!(slot.to_bytes(), data);
    let opens = match slot.suite() {
        SlotSuite::AccessKey => {
            slot.unwrap_with_access_key(&typed(), &context(KeySlotRole::Collection)).is_ok()
        }
        _ => {
            slot.unwrap(&secret(2), &context(KeySlotRole::Member)).is_ok()
                || slot.unwrap_access_key(&secret(2), &context(KeySlotRole::AccessKey)).is_ok()
        }
    };
    assert_eq!(opens, KEY_SLOTS.iter().any(|seed| seed == data), "a key slot that nobody wrapped");
}

static KEY_SLOTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(key_slot_seeds);

/// Seeds of [`key_slot`].
pub fn key_slot_seeds() -> Vec<Vec<u8>> {
    let to = secret(2).public_key();
    let access = context(KeySlotRole::AccessKey);
    let (collection, member) = (context(KeySlotRole::Collection), context(KeySlotRole::Member));
    vec![
        KeySlot::wrap_with_access_key(&secret(6), &typed(), &collection).to_bytes(),
        KeySlot::wrap(&secret(6), &to, &member, &mut Sevens).to_bytes(),
        KeySlot::wrap_access_key(&typed(), &to, &access, &mut Sevens).to_bytes(),
    ]
}

/// What is inside a message about a slot, sealed as `docs/format.md` says, by an implementation of HPKE alone.
fn sealed(domain: &[u8], to: &Identity, plain: &[u8]) -> Vec<u8> {
    let key: HpkePublicKey = to.public().hpke_key();
    let (suite, member) = (SlotSuite::of(&key).code(), to.id());
    let info = [domain, &cbor::encode(&(suite, chain(), member, &key))].concat();
    let public = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(key.as_bytes());
    let (enc, text) = hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public.expect("a key"),
        &info,
        plain,
        b"",
        &mut Sevens,
    )
    .expect("it is short");
    let sealed = [enc.to_bytes().as_slice(), &text].concat();
    cbor::encode(&(FORMAT_VERSION, suite, chain(), member, Bytes::new(&sealed)))
}

/// How many items a list has: what is not as long as what is inside a message is not worth the sealing.
fn items(data: &[u8]) -> Option<usize> {
    match cbor::decode::<Ipld>(data, 1 << 20) {
        Ok(Ipld::List(items)) => Some(items.len()),
        _ => None,
    }
}

/// A request for a slot, twice: as the message, which opens only if the reader made it; and as what is inside one,
/// where what is read is written back alike.
pub fn slot_request(data: &[u8]) {
    let opened = SlotRequest::open(data, &chain(), &CUSTODIAN).is_ok();
    assert!(!opened || REQUESTS.iter().any(|seed| seed == data), "a forged request");
    if items(data) != Some(2) {
        return;
    }
    match SlotRequest::open(&sealed(domain::SLOT_REQUEST, &CUSTODIAN, data), &chain(), &CUSTODIAN) {
        Ok(request) => assert_eq!(asked(&request), data),
        Err(error) => assert!(
            !matches!(error, ReleaseError::NotOpened | ReleaseError::NotForYou { .. }),
            "{error}"
        ),
    }
}

fn asked(request: &SlotRequest) -> Vec<u8> {
    let token = request.token.as_ref().map(|token| ByteArray::new(*token.expose()));
    cbor::encode(&(Bytes::new(&request.read.encode()), token))
}

static REQUESTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(slot_request_seeds);

/// Seeds of [`slot_request`]: messages, and what is inside them.
pub fn slot_request_seeds() -> Vec<Vec<u8>> {
    let read = Read {
        grant: Some(GrantId::from_bytes([3; 16])),
        report: ReportId::from_bytes([4; 16]),
        version: 1,
        head: BlockId::from_bytes([5; 32]),
    };
    let read = record(read.into()).sign(&READER);
    let (to, key) = (CUSTODIAN.id(), CUSTODIAN.public().hpke_key());
    [None, Some(Token::from_bytes([8; 32]))]
        .into_iter()
        .flat_map(|token| {
            let request = SlotRequest { read: read.clone(), token };
            [request.seal(&to, &key, &mut Sevens), asked(&request)]
        })
        .collect()
}

/// A release of slots, three times: as the message, which opens only if the custodian made it; as what is inside one,
/// which nobody else can sign; and as rows that the custodian signs, which arrive as they were.
pub fn slot_release(data: &[u8]) {
    let (chain, to) = (chain(), &*READER);
    let signer = CUSTODIAN.public().signing_key();
    let open = |bytes: &[u8]| SlotRelease::open(bytes, &chain, to, &signer);
    let known = RELEASES.iter().any(|seed| seed == data);
    assert_eq!(open(data).is_ok(), known, "a forged release");
    if !matches!(items(data), Some(2 | 3)) {
        return;
    }
    let inside = open(&sealed(domain::SLOT_RELEASE, to, data));
    assert!(
        !matches!(inside, Ok(_) | Err(ReleaseError::NotOpened)),
        "signed by nobody: {inside:?}"
    );
    let Ok((read, rows)) = cbor::decode::<(RecordId, Vec<(ByteBuf, ByteBuf)>)>(data, 1 << 16)
    else {
        return;
    };
    let rows = rows.into_iter().map(|(key, row)| (key.into_vec(), row.into_vec())).collect();
    let release = SlotRelease { read, rows };
    let bytes = release.seal(&chain, &CUSTODIAN, &to.id(), &to.public().hpke_key(), &mut Sevens);
    assert_eq!(open(&bytes).as_ref(), Ok(&release));
}

static RELEASES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| releases().into_iter().map(|(message, _)| message).collect());

/// Messages, and the rows in them.
fn releases() -> Vec<(Vec<u8>, Vec<u8>)> {
    let (chain, to) = (chain(), &*READER);
    let read = RecordId::from_bytes([5; 32]);
    [vec![], vec![(vec![1; 57], vec![2; 80]), (vec![3; 57], vec![])]]
        .into_iter()
        .map(|rows| {
            let wire: Vec<(ByteBuf, ByteBuf)> =
                rows.iter().cloned().map(|(key, row)| (key.into(), row.into())).collect();
            let release = SlotRelease { read, rows };
            let key = to.public().hpke_key();
            let message = release.seal(&chain, &CUSTODIAN, &to.id(), &key, &mut Sevens);
            (message, cbor::encode(&(read, wire)))
        })
        .collect()
}

/// Seeds of [`slot_release`]; the last is what is inside a message, signed by somebody else.
pub fn slot_release_seeds() -> Vec<Vec<u8>> {
    let none: Vec<(ByteBuf, ByteBuf)> = Vec::new();
    let signature = READER.sign(domain::SLOT_RELEASE, b"");
    let other = cbor::encode(&(RecordId::from_bytes([5; 32]), none, signature));
    releases().into_iter().flat_map(|(message, rows)| [message, rows]).chain([other]).collect()
}
