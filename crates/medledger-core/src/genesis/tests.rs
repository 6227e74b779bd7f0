use super::*;
use crate::keys::{KeyAlgorithm, KeyError};
use crate::testing::{founder, tiny_work};

fn founders(count: u8) -> Genesis {
    Genesis {
        founders: (1..=count).map(founder).collect(),
        ..Genesis::single(founder(1), tiny_work())
    }
}

/// What the check says, which must be what reading says.
fn judged(genesis: &Genesis) -> Result<(), GenesisError> {
    let judged = genesis.check();
    assert_eq!(Genesis::decode(&genesis.encode()).map(|read| assert_eq!(read, *genesis)), judged);
    judged
}

#[test]
fn valid_configurations_round_trip() {
    for genesis in [
        founders(1),
        founders(2),
        Genesis { diversity: 3, ..founders(4) },
        Genesis::single(founder(1), Consensus::Log),
    ] {
        assert_eq!(judged(&genesis), Ok(()));
    }
}

#[test]
fn other_versions_are_refused_by_name() {
    let genesis = Genesis { v: 2, ..founders(1) };
    assert_eq!(judged(&genesis), Err(GenesisError::UnknownVersion { found: 2 }));
    // Even when the rest cannot be read.
    let later = cbor::encode(&std::collections::BTreeMap::from([("v", 9), ("new", 1)]));
    assert_eq!(Genesis::decode(&later), Err(GenesisError::UnknownVersion { found: 9 }));
}

#[test]
fn there_is_a_founder_and_each_is_there_once() {
    let found = |found| Err(GenesisError::Founders { found });
    assert_eq!(judged(&Genesis { founders: vec![], ..founders(1) }), found(0));
    let twice = Genesis { founders: vec![founder(1), founder(2), founder(1)], ..founders(1) };
    assert_eq!(judged(&twice), found(3));
    // Two hospitals with one mining key would be one vote, or one could mine as the other.
    let shared = Founder { mining: founder(1).mining, ..founder(2) };
    assert_eq!(judged(&Genesis { founders: vec![founder(1), shared], ..founders(1) }), found(2));
}

#[test]
fn pitfall_51_a_mining_key_anyone_can_sign_with_is_refused() {
    let mut point = [0; 32];
    point[0] = 1;
    let mining = VerifyingKey::from_bytes(&point).unwrap();
    let weak = Genesis { founders: vec![Founder { mining, ..founder(1) }], ..founders(1) };
    let error = KeyError::SmallOrder(KeyAlgorithm::Ed25519);
    assert_eq!(judged(&weak), Err(GenesisError::MiningKey { index: 0, error }));
}

#[test]
fn a_log_has_one_writer() {
    let genesis = Genesis { consensus: Consensus::Log, ..founders(2) };
    assert_eq!(judged(&genesis), Err(GenesisError::LogFounders { found: 2 }));
}

#[test]
fn a_schedule_stands_for_a_target() {
    for bits in [0, 0x1d80_ffff, 0xff00_ffff].map(Bits::from_u32) {
        let consensus = Consensus::Work(Schedule::Fixed { bits });
        let genesis = Genesis { consensus, ..founders(1) };
        let Consensus::Work(schedule) = genesis.consensus else { unreachable!() };
        let error = schedule.check().unwrap_err();
        assert_eq!(judged(&genesis), Err(GenesisError::Schedule(error)));
    }
    let (bits, spacing, half_life) = (Bits::from_u32(0x207f_ffff), 0, 1);
    let schedule = Schedule::Asert { bits, floor: bits, spacing, half_life };
    let genesis = Genesis { consensus: Consensus::Work(schedule), ..founders(1) };
    assert_eq!(judged(&genesis), Err(GenesisError::Schedule(schedule.check().unwrap_err())));
}

#[test]
fn limits_are_above_zero_and_within_the_registry() {
    type Set = fn(&mut Limits, u64);
    let cases: [(Set, &str, u64); 3] = [
        (|l, n| l.block_records = n as u32, "block_records", limit::BLOCK_RECORDS as u64),
        (|l, n| l.block_bytes = n as u32, "block_bytes", limit::BLOCK_BYTES as u64),
        (|l, n| l.grant_seconds = n, "grant_seconds", u64::from(u32::MAX)),
    ];
    for (set, name, max) in cases {
        let with = |n| {
            let mut genesis = founders(1);
            set(&mut genesis.limits, n);
            judged(&genesis)
        };
        assert_eq!((with(1), with(max)), (Ok(()), Ok(())), "{name}");
        for found in [0, max + 1] {
            assert_eq!(with(found), Err(GenesisError::Limit { name, found, max }));
        }
    }
}

#[test]
fn pitfall_24_diversity_never_stops_a_chain() {
    for (count, diversity, fits) in
        [(1, 1, false), (3, 1, false), (4, 0, true), (4, 1, true), (4, 3, true), (4, 4, false)]
    {
        let hospitals = usize::from(count);
        let genesis = Genesis { diversity, ..founders(count) };
        let expected = if fits {
            Ok(())
        } else {
            Err(GenesisError::Diversity { found: diversity, hospitals })
        };
        assert_eq!(judged(&genesis), expected, "{count} {diversity}");
    }
}

#[test]
fn bytes_that_are_not_canonical_or_have_more_fields_are_refused() {
    let bytes = founders(1).encode();
    let cases = [&bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat(), b"", &[0xa0]];
    for case in cases {
        assert!(matches!(Genesis::decode(case), Err(GenesisError::Malformed(_))));
    }
    let mut more = bytes.clone();
    more[0] += 1;
    more.extend_from_slice(b"\x6adiversitz\x00\x00");
    assert!(matches!(Genesis::decode(&more), Err(GenesisError::Malformed(_))));
    let long = vec![0; limit::GENESIS_BYTES + 1];
    let error = DecodeError::TooLong { found: long.len(), limit: limit::GENESIS_BYTES };
    assert_eq!(Genesis::decode(&long), Err(GenesisError::Malformed(error)));
}

#[test]
fn every_bit_of_a_configuration_counts_in_its_root() {
    let genesis = founders(2);
    let bytes = genesis.encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Genesis::decode(&flipped) {
            assert_eq!(other.encode(), flipped);
            assert_ne!(other.root(), genesis.root());
        }
    }
}

#[test]
fn founders_are_the_first_hospitals() {
    let genesis = founders(2);
    let mut state = crate::testing::Map::default();
    state.write(genesis.state());
    let read = crate::state::State::new(&state);
    assert_eq!(read.genesis().unwrap().as_ref(), Some(&genesis));
    assert_eq!(read.members().unwrap().len(), 2);
    for (id, founder) in genesis.founder_ids().zip(&genesis.founders) {
        let member = read.member(&id).unwrap().unwrap();
        assert_eq!((member.role, member.hospital, member.height), (Role::Hospital, id, 0));
        assert_eq!((&member.identity, member.mining), (&founder.identity, vec![founder.mining]));
    }
}
