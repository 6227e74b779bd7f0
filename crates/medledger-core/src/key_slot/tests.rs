use super::*;
use crate::keys::HpkeAlgorithm;
use rand_core::UnwrapErr;

fn rng() -> impl CryptoRng {
    UnwrapErr(getrandom::SysRng)
}

fn secret() -> HpkeSecretKey {
    HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[0x51; 32])
}

fn access_key() -> AccessKey {
    AccessKey::from_bytes([0x52; 16])
}

fn id(byte: u8) -> MemberId {
    MemberId::from_bytes([byte; 16])
}

fn context() -> KeySlotContext {
    KeySlotContext {
        chain: ChainId::from_bytes([1; 32]),
        owner: KeyOwner::Collection { patient: id(2), hospital: id(3) },
        epoch: 4,
        role: KeySlotRole::Collection,
        grant: Some(GrantId::from_bytes([5; 16])),
        reader: Some(id(6)),
        wrapped: Some(secret().public_key()),
    }
}

/// The secret wrapped in each way, opened in `context`.
fn opened(
    context: &KeySlotContext,
    moved: &KeySlotContext,
) -> [Result<HpkeSecretKey, SlotError>; 2] {
    let reader = HpkeSecretKey::generate(&mut rng());
    let key = AccessKey::generate(&mut rng());
    let to = reader.public_key();
    let by_identity = KeySlot::wrap(&secret(), &to, context, &mut rng());
    let by_access_key = KeySlot::wrap_with_access_key(&secret(), &key, context);
    for slot in [&by_identity, &by_access_key] {
        assert_eq!(&KeySlot::from_bytes(&slot.to_bytes()).unwrap(), slot);
    }
    let results =
        [by_identity.unwrap(&reader, moved), by_access_key.unwrap_with_access_key(&key, moved)];
    // Each wants its own kind of key, and exactly that one.
    let other = HpkeSecretKey::generate(&mut rng());
    assert_eq!(by_identity.unwrap(&other, context), Err(SlotError::WrongKeyOrMoved));
    let wrong = AccessKey::generate(&mut rng());
    let refused = by_access_key.unwrap_with_access_key(&wrong, context);
    assert_eq!(refused, Err(SlotError::WrongKeyOrMoved));
    assert!(matches!(by_access_key.unwrap(&reader, context), Err(SlotError::OtherSuite { .. })));
    let refused = by_identity.unwrap_with_access_key(&key, context);
    assert!(matches!(refused, Err(SlotError::OtherSuite { .. })));
    results
}

#[test]
fn what_is_wrapped_comes_out_again() {
    assert_eq!(opened(&context(), &context()), [Ok(secret()), Ok(secret())]);
}

#[test]
fn pitfall_07_19_50_a_key_slot_moved_to_any_other_place_does_not_open() {
    let group = KeyOwner::Group(GroupId::from_bytes([2; 16]));
    let collection = |patient, hospital| KeyOwner::Collection { patient, hospital };
    let another = HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[0x53; 32]).public_key();
    let moved = [
        KeySlotContext { chain: ChainId::from_bytes([9; 32]), ..context() },
        KeySlotContext { owner: group, ..context() },
        KeySlotContext { owner: collection(id(9), id(3)), ..context() },
        KeySlotContext { owner: collection(id(2), id(9)), ..context() },
        KeySlotContext { owner: collection(id(3), id(2)), ..context() },
        KeySlotContext { epoch: 5, ..context() },
        KeySlotContext { role: KeySlotRole::Before, ..context() },
        KeySlotContext { role: KeySlotRole::Member, ..context() },
        KeySlotContext { grant: None, ..context() },
        KeySlotContext { grant: Some(GrantId::from_bytes([9; 16])), ..context() },
        KeySlotContext { reader: None, ..context() },
        KeySlotContext { reader: Some(id(9)), ..context() },
        KeySlotContext { wrapped: Some(another), ..context() },
    ];
    for (case, moved) in moved.iter().enumerate() {
        let refused = [Err(SlotError::WrongKeyOrMoved), Err(SlotError::WrongKeyOrMoved)];
        assert_eq!(opened(&context(), moved), refused, "case {case}");
    }
}

#[test]
fn an_access_key_is_wrapped_for_the_patient() {
    let patient = HpkeSecretKey::generate(&mut rng());
    let context = KeySlotContext { role: KeySlotRole::AccessKey, wrapped: None, ..context() };
    let slot = KeySlot::wrap_access_key(&access_key(), &patient.public_key(), &context, &mut rng());
    assert_eq!(slot.unwrap_access_key(&patient, &context), Ok(access_key()));
    let other = KeySlotContext { reader: Some(id(9)), ..context.clone() };
    assert_eq!(slot.unwrap_access_key(&patient, &other), Err(SlotError::WrongKeyOrMoved));
    // Sixteen bytes are no secret key, whatever the context says.
    let other = KeySlotContext { wrapped: Some(secret().public_key()), ..context };
    assert_eq!(slot.unwrap(&patient, &other), Err(SlotError::WrongKeyOrMoved));
}

#[test]
fn pitfall_38_damaged_key_slots_are_refused() {
    let slot = KeySlot::wrap_with_access_key(&secret(), &access_key(), &context());
    let bytes = slot.to_bytes();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        let opened = KeySlot::from_bytes(&bad)
            .and_then(|slot| slot.unwrap_with_access_key(&access_key(), &context()));
        assert!(opened.is_err(), "byte {at}");
        assert!(KeySlot::from_bytes(&bytes[..at]).is_err());
    }
    assert!(KeySlot::from_bytes(&[bytes, vec![0]].concat()).is_err());
}

#[test]
fn pitfall_41_debug_shows_no_secret() {
    let slot = KeySlot::wrap_with_access_key(&secret(), &access_key(), &context());
    assert_eq!(format!("{slot:?}"), "KeySlot(suite 1, 40 bytes)");
}
