//! The model's places beside the contexts of the code.

use crate::symbols::{Member, Of, Place, Role};
use medledger_core::Cid;
use medledger_core::cid::Codec;
use medledger_core::ids::{ChainId, GrantId, MemberId, ReportId};
use medledger_core::key_slot::{KeyOwner, KeySlotContext, KeySlotRole};
use medledger_core::slot::{SlotContext, SlotRole, SlotSuite};
use std::collections::BTreeMap;

fn id(member: Member) -> MemberId {
    MemberId::from_bytes([member as u8 + 1; 16])
}

/// The bytes that the code binds a wrapped key in this place to; none where it has no such place.
fn bytes(at: &Place) -> Option<Vec<u8>> {
    let chain = ChainId::from_bytes([9; 32]);
    let grant = at.grant.map(|grant| GrantId::from_bytes([grant + 1; 16]));
    let suite = SlotSuite::AccessKey;
    match at.of {
        Of::Report(report, epoch) => {
            let role = match at.role {
                Role::Patient => SlotRole::Patient,
                Role::Collection => SlotRole::Collection,
                Role::Grant => SlotRole::Grant,
                Role::Kept => SlotRole::AccessKey,
                Role::Before => return None,
            };
            let context = SlotContext {
                chain,
                report: ReportId::from_bytes([report + 1; 16]),
                version: 1,
                epoch: epoch.into(),
                role,
                grant,
                reader: id(at.reader),
                // The same for all: nothing may hang on the envelope alone.
                envelope: Cid::of(Codec::DagCbor, b"envelope"),
            };
            Some(context.to_bytes(suite, None))
        }
        Of::Collection(epoch) => {
            let role = match at.role {
                Role::Grant => KeySlotRole::Collection,
                Role::Kept => KeySlotRole::AccessKey,
                Role::Before => KeySlotRole::Before,
                Role::Patient | Role::Collection => return None,
            };
            let context = KeySlotContext {
                chain,
                owner: KeyOwner::Collection {
                    patient: id(Member::Patient),
                    hospital: MemberId::from_bytes([8; 16]),
                },
                epoch: epoch.into(),
                role,
                grant,
                reader: Some(id(at.reader)),
                wrapped: None,
            };
            Some(context.to_bytes(suite, None))
        }
    }
}

#[test]
fn places_that_differ_in_the_model_differ_in_the_code() {
    let mut found = BTreeMap::new();
    let reports = [(0, 1), (0, 2), (1, 1), (1, 2)].map(|(report, epoch)| Of::Report(report, epoch));
    let subjects = reports.into_iter().chain([Of::Collection(1), Of::Collection(2)]);
    for of in subjects {
        for role in [Role::Patient, Role::Collection, Role::Grant, Role::Kept, Role::Before] {
            for grant in [None, Some(0), Some(1)] {
                for reader in [Member::Patient, Member::A, Member::B] {
                    let at = Place { of, role, grant, reader };
                    let Some(bytes) = bytes(&at) else { continue };
                    if let Some(other) = found.insert(bytes, at) {
                        panic!("{other:?} and {at:?} are bound to the same");
                    }
                }
            }
        }
    }
    assert_eq!(found.len(), (4 * 4 + 2 * 3) * 9);
}
