//! What the state says of each thing.

use crate::Cid;
use crate::cbor::{Reader, Writer};
use crate::clock::Timestamp;
use crate::context::BodyContext;
use crate::identity::PublicIdentity;
use crate::ids::{GrantId, LossHash, MemberId, RecordId, ReportId, TokenHash};
use crate::keys::{HpkePublicKey, VerifyingKey};
use crate::record::{Grantee, Scope, first, is_first, is_zero};
use crate::registry::{Custody, Purpose, Role};
use serde::{Deserialize, Serialize};

/// A member as the chain knows them now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// Current public keys.
    pub identity: PublicIdentity,
    /// What the member may do.
    pub role: Role,
    /// The hospital that registered the member; a hospital names itself.
    pub hospital: MemberId,
    /// In whose hands the secret keys are.
    pub custody: Custody,
    /// Keys a hospital signs blocks with; empty for everyone else.
    pub mining: Vec<VerifyingKey>,
    /// Height at which the member was registered.
    pub height: u64,
    /// Height from which on the present keys are suspended, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<u64>,
    /// How the present keys came about, if they are not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succession: Option<Succession>,
}

/// Succession of a member's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// How often the keys changed.
    pub count: u32,
    /// Height since which the present keys are the member's.
    pub since: u64,
}

/// A patient's enrolment at a hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// Epoch of the collection key.
    pub epoch: u32,
    /// Public half of the collection key.
    pub key: HpkePublicKey,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportEntry {
    /// Whom it is about.
    pub patient: MemberId,
    /// Who wrote it.
    pub author: MemberId,
    /// Where it was written.
    pub hospital: MemberId,
    /// Counts contents.
    pub version: u32,
    /// Counts keys of this version.
    pub epoch: u32,
    /// The envelope of the current version and epoch.
    pub envelope: Cid,
    /// Epoch of the patient's collection key to which the key of this epoch is wrapped.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub collection: u32,
    /// The record that added it.
    pub record: RecordId,
    /// Height of that record's block.
    pub height: u64,
}

impl ReportEntry {
    /// The canonical bytes: as `cbor::encode` has them, more quickly, as most records add a report.
    pub(super) fn encode(&self) -> Vec<u8> {
        let left_out = is_first(&self.collection);
        let mut writer = Writer::with_capacity(224);
        writer.map(if left_out { 8 } else { 9 });
        writer.key("epoch").number(self.epoch.into());
        writer.key("author").bytes(self.author.as_bytes());
        writer.key("height").number(self.height);
        writer.key("record").bytes(self.record.as_bytes());
        writer.key("patient").bytes(self.patient.as_bytes());
        writer.key("version").number(self.version.into());
        writer.key("envelope").bytes(&self.envelope.to_bytes());
        writer.key("hospital").bytes(self.hospital.as_bytes());
        if !left_out {
            writer.key("collection").number(self.collection.into());
        }
        writer.into_bytes()
    }

    /// The entry in its canonical bytes, as `cbor::decode` reads it, more quickly: whoever may read a report is asked
    /// before each reading.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let entries = reader.map()?;
        let epoch = reader.key("epoch")?.small()?;
        let author = MemberId::from_bytes(reader.key("author")?.array()?);
        let height = reader.key("height")?.number()?;
        let record = RecordId::from_bytes(reader.key("record")?.array()?);
        let patient = MemberId::from_bytes(reader.key("patient")?.array()?);
        let version = reader.key("version")?.small()?;
        let written = reader.key("envelope")?.bytes()?;
        let envelope = Cid::from_bytes(written).ok().filter(|cid| cid.to_bytes() == written)?;
        let hospital = MemberId::from_bytes(reader.key("hospital")?.array()?);
        let collection = match entries {
            8 => first(),
            9 => Some(reader.key("collection")?.small()?).filter(|epoch| !is_first(epoch))?,
            _ => return None,
        };
        reader.end()?;
        Some(Self {
            patient,
            author,
            hospital,
            version,
            epoch,
            envelope,
            collection,
            record,
            height,
        })
    }

    /// What the body of this version and epoch is sealed under.
    #[must_use]
    pub const fn body_context(&self, report: &ReportId) -> BodyContext {
        let Self { patient, author, version, epoch, .. } = *self;
        BodyContext { report: *report, version, epoch, patient, author }
    }
}

/// A rotation that waits for its confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationEntry {
    /// The record that asks for it.
    pub record: RecordId,
    /// The version it is for.
    pub version: u32,
    /// The epoch that begins with it.
    pub epoch: u32,
    /// The new envelope.
    pub envelope: Cid,
    /// Epoch of the patient's collection key to which the new key is wrapped.
    pub collection: u32,
}

/// A group of readers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupEntry {
    /// The hospital that keeps it.
    pub hospital: MemberId,
    /// Everyone of this role at that hospital, if it is such a group.
    pub role: Option<Role>,
    /// Epoch of its key.
    pub epoch: u32,
    /// Public half of its key.
    pub key: HpkePublicKey,
    /// Height of the block with its last change.
    pub height: u64,
    /// Losses of keys among its members, as far as the key of this epoch was wrapped without those keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<LossHash>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequestStatus {
    /// Nobody has answered.
    Waiting,
    /// The patient gave a grant.
    Granted,
    /// The patient refused.
    Refused,
    /// Nobody answered in time, and the reader asked again.
    Lapsed,
}

/// A request for access.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestEntry {
    /// The report asked for.
    pub report: ReportId,
    /// Who asks.
    pub reader: MemberId,
    /// What for.
    pub purpose: Purpose,
    /// Until when.
    pub until: Timestamp,
    /// What became of it.
    pub status: RequestStatus,
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantEntry {
    /// The patient who gave it.
    pub patient: MemberId,
    /// What may be read.
    pub scope: Scope,
    /// Who may read.
    pub reader: Grantee,
    /// What for.
    pub purpose: Purpose,
    /// Until when.
    pub until: Timestamp,
    /// Who hands the slot out.
    pub custodian: MemberId,
    /// Hash of the token to present, if one is needed.
    pub token: Option<TokenHash>,
    /// The record that gave it.
    pub record: RecordId,
    /// Height of the block that revoked it.
    pub revoked: Option<u64>,
    /// How many times it may be passed on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delegate: u8,
    /// The grant that was passed on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<GrantId>,
}

impl GrantEntry {
    /// As [`ReportEntry::read`]; none for one on several reports, which is read in full.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let entries = reader.map()?;
        let scope = Scope::read(reader.key("scope")?)?;
        let token =
            reader.key("token")?.nullable(|token| token.array().map(TokenHash::from_bytes))?;
        let until = Timestamp::from_secs(reader.key("until")?.number()?);
        let (mut parent, mut delegate, mut more) = (None, 0, 9);
        // What is left out most of the time comes where the order of keys puts it.
        let mut next = reader;
        if let Some(found) = next.key("parent") {
            parent = Some(GrantId::from_bytes(found.array()?));
            (reader, more) = (next, more + 1);
        }
        let grantee = Grantee::read(reader.key("reader")?)?;
        let record = RecordId::from_bytes(reader.key("record")?.array()?);
        let patient = MemberId::from_bytes(reader.key("patient")?.array()?);
        let purpose = reader.key("purpose")?.text()?.parse().ok()?;
        let revoked = reader.key("revoked")?.nullable(Reader::number)?;
        let mut next = reader;
        if let Some(found) = next.key("delegate") {
            delegate = u8::try_from(found.number()?).ok().filter(|times| *times > 0)?;
            (reader, more) = (next, more + 1);
        }
        let custodian = MemberId::from_bytes(reader.key("custodian")?.array()?);
        reader.end()?;
        let read = Self {
            patient,
            scope,
            reader: grantee,
            purpose,
            until,
            custodian,
            token,
            record,
            revoked,
            delegate,
            parent,
        };
        (entries == more).then_some(read)
    }

    /// Whether this report lies in the scope of the grant.
    #[must_use]
    pub fn covers(&self, id: &ReportId, report: &ReportEntry) -> bool {
        self.patient == report.patient
            && match &self.scope {
                Scope::Collection(hospital) => report.hospital == *hospital,
                listed => listed.reports().contains(id),
            }
    }
}

/// What has become of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStanding {
    /// It can be used.
    Live,
    /// Its time, or that of one it was passed on from, has ended.
    Expired,
    /// It, or one it was passed on from, was taken back.
    Revoked,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor;
    use crate::cid::Codec;
    use crate::record::GroupAt;
    use crate::testing::World;
    use proptest::prelude::*;

    /// Reports and grants as the fold writes them.
    fn entries() -> Vec<Vec<u8>> {
        let mut world = World::peopled();
        let report = world.add_report();
        world.grant(report);
        let table = |table: &[u8]| world.state().rows(table).unwrap();
        let found: Vec<_> = [table(b"r"), table(b"g")].concat();
        assert!(found.len() >= 2, "nothing to change");
        found.into_iter().map(|(_, value)| value).collect()
    }

    proptest! {
        #[test]
        fn a_report_is_written_as_the_library_writes_it(
            ids in any::<[[u8; 16]; 3]>(), record in any::<[u8; 32]>(), numbers in any::<[u32; 3]>(),
            height in any::<u64>(), shifts in (0u32..32, 0u32..64),
        ) {
            let [patient, author, hospital] = ids.map(MemberId::from_bytes);
            for collection in [1, numbers[0] >> shifts.0] {
                let entry = ReportEntry {
                    patient,
                    author,
                    hospital,
                    version: numbers[1] >> shifts.0,
                    epoch: numbers[2] >> shifts.0,
                    envelope: Cid::of(Codec::DagCbor, &record),
                    collection,
                    record: RecordId::from_bytes(record),
                    height: height >> shifts.1,
                };
                let bytes = entry.encode();
                prop_assert_eq!(&bytes, &cbor::encode(&entry));
                prop_assert_eq!(ReportEntry::read(&bytes), Some(entry.clone()));
                prop_assert_eq!(cbor::decode::<ReportEntry>(&bytes, 4096), Ok(entry));
            }
        }

        #[test]
        fn a_grant_is_read_as_the_library_reads_it(
            ids in any::<[[u8; 16]; 6]>(), hashes in any::<[[u8; 32]; 2]>(), until in any::<u64>(),
            shift in 0u32..64, revoked in any::<Option<u32>>(), delegate in 0u8..3,
            chosen in any::<[bool; 4]>(), purpose in 0..Purpose::ALL.len(),
        ) {
            let [on_report, to_group, token, passed_on] = chosen;
            let entry = GrantEntry {
                patient: MemberId::from_bytes(ids[0]),
                scope: if on_report {
                    Scope::Report(ReportId::from_bytes(ids[1]))
                } else {
                    Scope::Collection(MemberId::from_bytes(ids[1]))
                },
                reader: if to_group {
                    let group = crate::ids::GroupId::from_bytes(ids[2]);
                    Grantee::Group(GroupAt { group, epoch: revoked.unwrap_or(7) })
                } else {
                    Grantee::Member(MemberId::from_bytes(ids[2]))
                },
                purpose: Purpose::ALL[purpose],
                until: Timestamp::from_secs(until >> shift),
                custodian: MemberId::from_bytes(ids[3]),
                token: token.then(|| TokenHash::from_bytes(hashes[0])),
                record: RecordId::from_bytes(hashes[1]),
                revoked: revoked.map(u64::from),
                delegate,
                parent: passed_on.then(|| GrantId::from_bytes(ids[4])),
            };
            let bytes = cbor::encode(&entry);
            prop_assert_eq!(GrantEntry::read(&bytes), Some(entry.clone()));
            prop_assert_eq!(cbor::decode::<GrantEntry>(&bytes, 4096), Ok(entry));
        }

        /// Whatever the quick way takes, the other way takes for the same: no byte can be changed so that only one does.
        #[test]
        fn changed_entries_are_read_by_both_ways_or_neither(
            at in any::<proptest::sample::Index>(), to in any::<u8>(), cut in 0usize..3,
        ) {
            for entry in entries() {
                let mut bytes = entry;
                let at = at.index(bytes.len());
                bytes[at] = to;
                bytes.truncate(bytes.len() - cut);
                if let Some(read) = ReportEntry::read(&bytes) {
                    prop_assert_eq!(cbor::decode(&bytes, 4096), Ok(read));
                }
                if let Some(read) = GrantEntry::read(&bytes) {
                    prop_assert_eq!(cbor::decode(&bytes, 4096), Ok(read));
                }
            }
        }
    }
}
