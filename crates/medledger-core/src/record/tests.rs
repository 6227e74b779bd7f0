use super::*;
use crate::Cid;
use crate::cid::Codec;
use crate::hospital::Application;
use crate::ids::{AuditHash, BlockId, GrantId, GroupId, LossHash, ReportId, SetHash, TokenHash};
use crate::registry::{Custody, Purpose, Role};
use crate::testing::{DOCTOR, OTHER_DOCTOR, World, enrol, id, member, mining_key};
use proptest::prelude::*;

fn time(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// One body of every kind in force, with every optional part there once and missing once.
fn bodies() -> Vec<Body> {
    let report = ReportId::from_bytes([1; 16]);
    let (scope, reader) = (Scope::Report(report), Grantee::Member(id(OTHER_DOCTOR)));
    let request = RecordId::from_bytes([2; 32]);
    let custodian = id(1);
    let (purpose, until) = (Purpose::Treatment, time(2_000_000_000));
    let token = Some(TokenHash::from_bytes([3; 32]));
    let envelope = Cid::of(Codec::DagCbor, b"x");
    let list = ReportList::new(vec![report, ReportId::from_bytes([9; 16])]).unwrap();
    let group = GroupId::from_bytes([8; 16]);
    let group_reader = Grantee::Group(GroupAt { group, epoch: 3 });
    let key = member(1).group_key(&group, 1).public_key();
    let plain = Grant {
        scope: scope.clone(),
        reader,
        purpose,
        until,
        custodian,
        token: None,
        request: None,
        delegate: 0,
    };
    let grant = GrantId::from_bytes([4; 16]);
    let head = BlockId::from_bytes([5; 32]);
    let set = SetHash::from_bytes([6; 32]);
    let application = Application::new(None, &member(DOCTOR), &mining_key(DOCTOR));
    let approval = Approval { hospital: id(1), signature: Signature::from_bytes([7; 64]) };
    vec![
        World::founded().register(1, DOCTOR, Role::Doctor).into(),
        succeed(None).into(),
        succeed(Some(Signature::from_bytes([8; 64]))).into(),
        Suspend { member: id(DOCTOR) }.into(),
        Admit { set, change: HospitalChange::from(application), approvals: vec![] }.into(),
        Admit { set, change: HospitalChange::Expel(id(7)), approvals: vec![approval, approval] }
            .into(),
        enrol(7, 1, 1).into(),
        AddReport { patient: id(7), envelope, collection: 1 }.into(),
        AddReport { patient: id(7), envelope, collection: 2 }.into(),
        Rotate { report, version: 1, epoch: 2, envelope, collection: 1 }.into(),
        RequestAccess { report, purpose, until }.into(),
        plain.clone().into(),
        Grant { token, request: Some(request), delegate: 2, ..plain.clone() }.into(),
        Grant { scope: Scope::Reports(list), reader: group_reader, ..plain.clone() }.into(),
        Grant { scope: Scope::Collection(custodian), ..plain }.into(),
        Refuse { request }.into(),
        Revoke { grant }.into(),
        Delegate { grant, scope: scope.clone(), reader, until, token: None, delegate: 0 }.into(),
        Delegate { grant, scope, reader: group_reader, until, token, delegate: 1 }.into(),
        Read { grant: None, report, version: 1, head }.into(),
        Read { grant: Some(grant), report, version: u32::MAX, head }.into(),
        Confirm { record: request }.into(),
        AuditDigest { first: 2, size: u64::MAX, root: AuditHash::from_bytes([8; 32]) }.into(),
        Group {
            group: None,
            role: Some(Role::Nurse),
            epoch: 1,
            key: key.clone(),
            add: vec![],
            remove: vec![],
            losses: None,
        }
        .into(),
        Group {
            group: Some(group),
            role: None,
            epoch: 2,
            key,
            add: vec![id(4)],
            remove: vec![id(5)],
            losses: Some(LossHash::from_bytes([9; 32])),
        }
        .into(),
    ]
}

fn succeed(consent: Option<Signature>) -> Succeed {
    let next = member(OTHER_DOCTOR);
    let proof = next.prove_succession(&ChainId::from_bytes([6; 32]));
    Succeed { member: id(DOCTOR), next: next.public().clone(), proof, consent }
}

fn record(body: Body) -> Record {
    Record {
        chain: ChainId::from_bytes([6; 32]),
        nonce: RecordNonce::from_bytes([7; 16]),
        author: id(DOCTOR),
        time: time(1_800_000_000),
        body,
    }
}

/// A map with these entries, in canonical order.
fn map(entries: &[(&str, &dyn ErasedEncode)]) -> Vec<u8> {
    let mut entries: Vec<_> = entries.iter().map(|(k, v)| (*k, v.bytes())).collect();
    entries.sort_by_key(|(key, _)| (key.len(), key.to_string()));
    let mut bytes = vec![0xa0 + entries.len() as u8];
    for (key, value) in entries {
        bytes.extend(cbor::encode(key));
        bytes.extend(value);
    }
    bytes
}

trait ErasedEncode {
    fn bytes(&self) -> Vec<u8>;
}

impl<T: Serialize> ErasedEncode for T {
    fn bytes(&self) -> Vec<u8> {
        cbor::encode(self)
    }
}

/// Bytes that stand for themselves.
struct Raw(Vec<u8>);

impl ErasedEncode for Raw {
    fn bytes(&self) -> Vec<u8> {
        self.0.clone()
    }
}

/// A record that says whatever is wanted of version, kind and body.
fn raw(v: u64, kind: u64, body: &dyn ErasedEncode) -> Vec<u8> {
    map(&[
        ("v", &v),
        ("chain", &ChainId::from_bytes([6; 32])),
        ("kind", &kind),
        ("nonce", &RecordNonce::from_bytes([7; 16])),
        ("author", &id(DOCTOR)),
        ("time", &1_800_000_000u64),
        ("body", &Raw(body.bytes())),
    ])
}

#[test]
fn every_kind_in_force_round_trips() {
    let mut kinds = Vec::new();
    for body in bodies() {
        let record = record(body);
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Ok(record.clone()));
        let signed = record.sign(&member(DOCTOR));
        assert_eq!(SignedRecord::decode(&signed.encode()), Ok(signed.clone()));
        assert_eq!(signed.id().as_bytes(), &sha256(&[domain::RECORD_ID, &bytes]));
        kinds.push(signed.record().kind());
    }
    kinds.dedup();
    let in_force: Vec<_> = Kind::ALL.iter().copied().filter(|kind| kind.in_force()).collect();
    assert_eq!(kinds, in_force);
}

#[test]
fn the_shape_is_the_documented_map() {
    let record = record(Revoke { grant: GrantId::from_bytes([4; 16]) }.into());
    assert_eq!(
        record.encode(),
        raw(1, 35, &std::collections::BTreeMap::from([("grant", GrantId::from_bytes([4; 16])),]))
    );
}

#[test]
fn reserved_kinds_are_told_from_unknown_ones_and_both_from_rubbish() {
    let empty = std::collections::BTreeMap::<&str, u8>::new();
    for code in 0..=200u16 {
        let result = Record::decode(&raw(1, u64::from(code), &empty));
        match Kind::from_code(code) {
            Some(kind) if kind.in_force() => {
                assert!(matches!(result, Err(RecordError::Malformed(_))), "{kind}");
            }
            Some(kind) => assert_eq!(result, Err(RecordError::NotInForce(kind))),
            None => assert_eq!(result, Err(RecordError::UnknownKind { found: code })),
        }
    }
    assert!(matches!(Record::decode(&raw(1, 65_536, &empty)), Err(RecordError::Malformed(_))));
}

#[test]
fn pitfall_50_later_versions_are_refused_by_name_whatever_else_they_hold() {
    let empty = std::collections::BTreeMap::<&str, u8>::new();
    for v in [0, 2, 65_535] {
        let result = Record::decode(&raw(v, 999, &empty));
        assert_eq!(result, Err(RecordError::UnknownVersion { found: v as u16 }));
    }
    let later = map(&[("v", &2), ("something", &"new")]);
    assert_eq!(Record::decode(&later), Err(RecordError::UnknownVersion { found: 2 }));
}

#[test]
fn a_body_of_another_kind_is_refused() {
    for body in bodies() {
        let bytes = record(body.clone()).encode();
        for other in bodies() {
            let (mine, theirs) = (body.kind().code(), other.kind().code());
            if mine == theirs {
                continue;
            }
            let at = bytes.windows(5).position(|w| w == b"\x64kind").unwrap() + 5;
            let (head, tail) = bytes.split_at(at);
            let tail = &tail[cbor::encode(&mine).len()..];
            let changed = [head, &cbor::encode(&theirs), tail].concat();
            assert!(
                matches!(Record::decode(&changed), Err(RecordError::Malformed(_))),
                "a {} as {}",
                body.kind(),
                other.kind()
            );
        }
    }
}

#[test]
fn unknown_missing_and_mistyped_fields_are_refused() {
    let malformed = |bytes: &[u8]| matches!(Record::decode(bytes), Err(RecordError::Malformed(_)));
    let grant = GrantId::from_bytes([4; 16]);
    for body in [
        map(&[("grant", &grant), ("more", &1)]),
        map(&[("grand", &grant)]),
        map(&[("grant", &"04040404040404040404040404040404")]),
        map(&[("grant", &RecordId::from_bytes([4; 32]))]),
        map(&[("grant", &None::<u8>)]),
        map(&[]),
        cbor::encode(&[grant]),
        vec![0xf6],
    ] {
        assert!(malformed(&raw(1, 35, &Raw(body.clone()))), "{body:02x?}");
    }
    let good = record(Revoke { grant }.into()).encode();
    let mut more = good.clone();
    more[0] += 1;
    more.extend_from_slice(b"\x67unknown\x00");
    assert!(malformed(&more));
    // The same fields in another order.
    let at = good.windows(5).position(|w| w == b"\x64kind").unwrap();
    let rest = good[3..at].to_vec();
    let mut swapped = vec![good[0]];
    swapped.extend_from_slice(&rest);
    swapped.extend_from_slice(&good[1..3]);
    swapped.extend_from_slice(&good[at..]);
    assert_eq!(swapped.len(), good.len());
    assert!(malformed(&swapped));
}

#[test]
fn text_in_records_comes_from_closed_sets() {
    // Names, purposes and custody are codes: no spelling but the table's is read, so no record
    // holds text that could have a second Unicode form.
    let report = ReportId::from_bytes([1; 16]);
    let ask = |purpose: &str| {
        let bytes = map(&[("report", &report), ("purpose", &purpose), ("until", &9)]);
        Record::decode(&raw(1, 32, &Raw(bytes)))
    };
    for purpose in Purpose::ALL {
        assert!(ask(purpose.name()).is_ok());
        for other in
            [purpose.name().to_lowercase(), format!("{purpose} "), format!("{purpose}\u{301}")]
        {
            assert!(matches!(ask(&other), Err(RecordError::Malformed(_))), "{other:?}");
        }
    }
    let names = Purpose::ALL.iter().map(|p| p.name());
    let names = names.chain(Role::ALL.iter().map(|r| r.name()));
    for name in names.chain(Custody::ALL.iter().map(|c| c.name())) {
        assert!(name.is_ascii());
    }
}

#[test]
fn pitfall_38_size_and_depth_are_bounded() {
    let long = vec![0; limit::RECORD_BYTES + 1];
    let error = DecodeError::TooLong { found: long.len(), limit: limit::RECORD_BYTES };
    assert_eq!(Record::decode(&long), Err(RecordError::Malformed(error.clone())));
    assert_eq!(SignedRecord::decode(&long), Err(RecordError::Malformed(error)));
    let mut nested = vec![0x81; 40];
    nested.push(0);
    let result = Record::decode(&raw(1, 35, &Raw(nested)));
    assert!(matches!(result, Err(RecordError::Malformed(DecodeError::TooDeep { .. }))));
}

#[test]
fn a_signature_is_by_one_key_over_one_record() {
    let signed = record(bodies().remove(0)).sign(&member(DOCTOR));
    let key = |number| member(number).public().signing_key();
    assert!(signed.verify(&key(DOCTOR)).is_ok());
    assert!(signed.verify(&key(OTHER_DOCTOR)).is_err());
    // Signed as something else than a record.
    let elsewhere = member(DOCTOR).sign(domain::BLOCK_SIGNATURE, signed.id().as_bytes());
    let moved = SignedRecord { signature: elsewhere, ..signed };
    assert!(moved.verify(&key(DOCTOR)).is_err());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let signed = record(bodies().remove(5)).sign(&member(DOCTOR));
    let key = member(DOCTOR).public().signing_key();
    let bytes = signed.encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let accepted = SignedRecord::decode(&flipped).is_ok_and(|r| r.verify(&key).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
#[should_panic(expected = "a record is signed by its author")]
fn nobody_signs_for_another() {
    let _ = record(bodies().remove(0)).sign(&member(OTHER_DOCTOR));
}

/// The record's own bytes within those that stand in a block.
fn statement(signed: &SignedRecord) -> Vec<u8> {
    let wire: SignedWire = cbor::decode(signed.as_bytes(), limit::RECORD_BYTES).unwrap();
    wire.0
}

#[test]
fn canonical_bytes_of_every_kind_are_read_piece_by_piece() {
    for body in bodies() {
        let signed = record(body).sign(&member(DOCTOR));
        let bytes = statement(&signed);
        assert_eq!(bytes, signed.record().encode());
        assert_eq!(Record::decode_plain(&bytes), Some(signed.record().clone()));
        assert_eq!(Record::decode_slowly(&bytes).as_ref(), Ok(signed.record()));
        assert_eq!(SignedRecord::decode_slowly(signed.as_bytes()), Ok(signed));
    }
}

#[test]
fn canonical_bytes_only_are_read_piece_by_piece() {
    let envelope = Cid::of(Codec::DagCbor, b"x");
    let body: [(&str, &dyn ErasedEncode); 2] = [("patient", &id(7)), ("envelope", &envelope)];
    let kind = u64::from(Kind::AddReport.code());
    let version = u64::from(FORMAT_VERSION);
    let good = raw(version, kind, &Raw(map(&body)));
    assert!(Record::decode_plain(&good).is_some());
    // The first epoch is left out; an epoch has 32 bits; no entry is more than once.
    for epoch in [1u64, 1 << 32] {
        let body = map(&[body[0], body[1], ("collection", &epoch)]);
        assert_eq!(Record::decode_plain(&raw(version, kind, &Raw(body))), None);
    }
    let twice = map(&[body[0], body[1], body[1]]);
    assert_eq!(Record::decode_plain(&raw(version, kind, &Raw(twice))), None);
    let more = map(&[body[0], body[1], ("collection", &2u64), ("v", &1u64)]);
    assert_eq!(Record::decode_plain(&raw(version, kind, &Raw(more))), None);
    // A byte more, a byte less, another version, no kind, entries in another order.
    assert_eq!(Record::decode_plain(&[good.as_slice(), &[0]].concat()), None);
    assert_eq!(Record::decode_plain(&good[..good.len() - 1]), None);
    assert_eq!(Record::decode_plain(&raw(version + 1, kind, &Raw(map(&body)))), None);
    assert_eq!(Record::decode_plain(&raw(version, 999, &Raw(map(&body)))), None);
    let swapped = [&[0xa2][..], &map(&body)[26..], &map(&body)[1..26]].concat();
    cbor::check_shape(&swapped, limit::RECORD_BYTES).unwrap();
    assert_eq!(Record::decode_plain(&raw(version, kind, &Raw(swapped.clone()))), None);
    assert!(Record::decode_slowly(&raw(version, kind, &Raw(swapped))).is_err());
}

proptest! {
    #[test]
    fn what_is_read_is_written_back_alike(
        pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let bodies = bodies();
        let signed = record(bodies[pick.index(bodies.len())].clone()).sign(&member(DOCTOR));
        let mut bytes = signed.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = SignedRecord::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
            prop_assert_eq!(read.record().encode(), statement(&read));
        }
    }

    #[test]
    fn reading_piece_by_piece_takes_nothing_that_reading_and_writing_again_refuses(
        pick in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 0..4),
    ) {
        let bodies = bodies();
        let signed = record(bodies[pick.index(bodies.len())].clone()).sign(&member(DOCTOR));
        let edit = |mut bytes: Vec<u8>| {
            for (at, byte, how) in &edits {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = *byte,
                    1 => bytes[at] ^= 1 << (byte % 8),
                    2 => bytes.insert(at, *byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        };
        let bytes = edit(signed.record().encode());
        let slowly = Record::decode_slowly(&bytes);
        if let Some(plain) = Record::decode_plain(&bytes) {
            prop_assert_eq!(slowly.as_ref(), Ok(&plain));
        }
        prop_assert_eq!(Record::decode(&bytes), slowly);
        let bytes = edit(signed.encode());
        prop_assert_eq!(SignedRecord::decode(&bytes), SignedRecord::decode_slowly(&bytes));
    }
}
