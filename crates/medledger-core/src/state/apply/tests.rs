//! A test for each rule that makes a record void.

/// Tests that take a world full of people and end with the code for which a record is void.
macro_rules! void_cases {
    ($($name:ident => $code:ident, $case:expr;)*) => {
        $(#[test]
        fn $name() {
            let case: fn(&mut World) -> VoidCode = $case;
            assert_eq!(case(&mut World::peopled()), VoidCode::$code);
        })*

        /// The codes that these tests produce.
        pub(super) const PRODUCED: &[VoidCode] = &[$(VoidCode::$code),*];
    };
}

mod access;
mod stories;
mod void_grants;
mod void_groups;
mod void_members;

use super::*;
use crate::Cid;
use crate::ids::{BlockId, GrantId, GroupId, RecordId};
use crate::keys::Signature;
use crate::record::*;
use crate::registry::{Purpose, limit};
use crate::testing::*;

#[test]
fn every_void_code_is_produced_by_some_test() {
    let produced = [void_members::PRODUCED, void_grants::PRODUCED, void_groups::PRODUCED].concat();
    for code in VoidCode::ALL {
        // No body of a kind that is not in force can be read, so the fold never meets one:
        // the codec refuses it. The code is for engines that cannot judge.
        // Those from 33 to 48, and 50, are produced by the tests of `members` and `succession`.
        let elsewhere = (33..49).contains(&code.code()) || *code == VoidCode::SuspendedReader;
        let here = *code != VoidCode::NotInForce && !elsewhere;
        assert_eq!(produced.contains(code), here, "{code:?}");
    }
}

#[test]
fn what_is_written_quickly_is_as_the_library_writes_it() {
    for height in [0, 23, 24, 255, 256, 1 << 20, u64::MAX] {
        assert_eq!(seen_at(height), cbor::encode(&height));
    }
    assert_eq!(null(), cbor::encode(&()));
}

fn read(report: ReportId, grant: Option<GrantId>) -> Read {
    Read { grant, report, version: 1, head: BlockId::from_bytes([0; 32]) }
}

fn absent() -> ReportId {
    ReportId::from_bytes([0xee; 16])
}

fn until(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// The other doctor asks for a report.
fn asked(world: &mut World) -> (ReportId, RecordId) {
    let report = world.add_report();
    (report, world.put(OTHER_DOCTOR, request(report)).id())
}

fn collection() -> Scope {
    Scope::Collection(id(HOSPITAL))
}

/// A grant to the other doctor that may be passed on once.
fn delegable(world: &mut World) -> (GrantId, ReportId) {
    let report = world.add_report();
    let body = Grant { delegate: 1, ..grant(report, OTHER_DOCTOR) };
    (grant_of(&world.put(PATIENT, body)), report)
}

fn delegate(parent: GrantId, report: ReportId, reader: u8) -> Delegate {
    Delegate {
        grant: parent,
        scope: Scope::Report(report),
        reader: Grantee::Member(id(reader)),
        until: until(NOW + 100),
        token: None,
        delegate: 0,
    }
}

fn group_key(epoch: u32) -> crate::keys::HpkePublicKey {
    member(HOSPITAL).group_key(&GroupId::from_bytes([0; 16]), epoch).public_key()
}

fn ids(members: &[u8]) -> Vec<MemberId> {
    let mut ids: Vec<_> = members.iter().map(|number| id(*number)).collect();
    ids.sort_unstable();
    ids
}

fn group(members: &[u8]) -> Group {
    let (add, remove) = (ids(members), Vec::new());
    Group { group: None, role: None, epoch: 1, key: group_key(1), add, remove, losses: None }
}

fn role_group(role: Role) -> Group {
    Group { role: Some(role), ..group(&[]) }
}

fn regroup(group: GroupId, epoch: u32, add: &[u8], remove: &[u8]) -> Group {
    let (add, remove) = (ids(add), ids(remove));
    Group {
        group: Some(group),
        role: None,
        epoch,
        key: group_key(epoch),
        add,
        remove,
        losses: None,
    }
}

fn group_of(record: &SignedRecord) -> GroupId {
    GroupId::derive(&record.record().author, &record.record().nonce)
}

/// A group with the nurse in it.
fn grouped(world: &mut World) -> GroupId {
    group_of(&world.put(HOSPITAL, group(&[NURSE])))
}

fn rotate(report: ReportId, epoch: u32) -> Rotate {
    Rotate { report, version: 1, epoch, envelope: envelope("anew"), collection: 1 }
}

fn digest(first: u64, size: u64, root: u8) -> AuditDigest {
    AuditDigest { first, size, root: crate::ids::AuditHash::from_bytes([root; 32]) }
}

/// The same record with another signature.
fn resigned(record: &SignedRecord, signature: Signature) -> SignedRecord {
    let mut bytes = record.encode();
    let at = bytes.len() - Signature::LEN;
    bytes[at..].copy_from_slice(signature.as_bytes());
    let resigned = SignedRecord::decode(&bytes).unwrap();
    assert_eq!((resigned.id(), resigned.signature()), (record.id(), &signature));
    resigned
}
