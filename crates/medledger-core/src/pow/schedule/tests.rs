use super::*;
use crate::cbor::{decode, encode};
use crate::pow::BITCOIN_HEADERS;
use proptest::prelude::*;
use std::convert::Infallible;

const fn bits(bits: u32) -> Bits {
    Bits::from_u32(bits)
}

fn fixed() -> Schedule {
    Schedule::Fixed { bits: bits(0x207f_ffff) }
}

/// Tiny windows of a minute.
fn windows() -> Schedule {
    Schedule::Bitcoin { bits: bits(0x200f_ffff), floor: bits(0x207f_ffff), window: 5, spacing: 12 }
}

/// Bitcoin Cash's pace from an easier start.
fn asert() -> Schedule {
    let (spacing, half_life) = (600, 172_800);
    Schedule::Asert { bits: bits(0x1c00_ffff), floor: bits(0x1d00_ffff), spacing, half_life }
}

/// The bits that a chain of blocks with these times must bear, genesis first, and those of the next.
fn run(schedule: &Schedule, times: &[u32]) -> Vec<Bits> {
    let blank: Header = BITCOIN_HEADERS[0].1.parse().unwrap();
    let mut chain: Vec<Header> = Vec::new();
    let mut next = schedule.genesis_bits();
    let mut all = vec![next];
    for time in times {
        let parent = Header { time: *time, bits: next, ..blank };
        chain.push(parent);
        let below = |height: u64| Ok::<_, Infallible>(chain[height as usize]);
        let Ok(bits) = schedule.next_bits(&parent, chain.len() as u64 - 1, &below);
        next = bits;
        all.push(next);
    }
    all
}

fn target(bits: Bits) -> Target {
    Target::from_bits(bits).unwrap()
}

#[test]
fn fixed_bits_are_demanded_whatever_the_parent_bears() {
    let parent: Header = BITCOIN_HEADERS[4].1.parse().unwrap();
    let never = |_: u64| Err("not asked for");
    assert_eq!(fixed().next_bits(&parent, 100_000, &never), Ok(fixed().genesis_bits()));
    assert_eq!(fixed().genesis_bits().to_u32(), 0x207f_ffff);
}

#[test]
fn only_the_header_that_is_needed_is_asked_for_and_its_absence_is_told() {
    let parent: Header = BITCOIN_HEADERS[4].1.parse().unwrap();
    let absent = |height: u64| Err(height);
    // In the middle of a window, nothing; at its end its first.
    assert_eq!(windows().next_bits(&parent, 13, &absent), Ok(parent.bits));
    assert_eq!(windows().next_bits(&parent, 14, &absent), Err(10));
    assert_eq!(asert().next_bits(&parent, 14, &absent), Err(0));
    assert_eq!(asert().next_bits(&parent, 0, &absent), Ok(parent.bits), "the anchor itself");
    assert_eq!(
        [fixed(), windows(), asert()].map(|s| s.looks_back_to(14)),
        [None, Some(10), Some(0)]
    );
}

#[test]
fn a_schedule_is_a_map_named_for_its_kind() {
    let bytes = encode(&fixed());
    assert_eq!(bytes, b"\xa1\x65fixed\xa1\x64bits\x1a\x20\x7f\xff\xff");
    let bytes = encode(&windows());
    let start = b"\xa1\x67bitcoin\xa4\x64bits\x1a\x20\x0f\xff\xff\x65floor\x1a\x20\x7f\xff\xff";
    assert_eq!(bytes, [&start[..], b"\x66window\x05\x67spacing\x0c"].concat());
    let bytes = encode(&asert());
    let start = b"\xa1\x65asert\xa4\x64bits\x1a\x1c\x00\xff\xff\x65floor\x1a\x1d\x00\xff\xff";
    let end = b"\x67spacing\x19\x02\x58\x69half_life\x1a\x00\x02\xa3\x00";
    assert_eq!(bytes, [&start[..], end].concat());
    for schedule in [fixed(), windows(), asert(), Schedule::BITCOIN_MAINNET] {
        assert_eq!(decode(&encode(&schedule), 128), Ok(schedule));
    }
    // A field missing, of another kind, too many; another kind; bits that are no u32.
    assert!(decode::<Schedule>(b"\xa1\x65asert\xa1\x64bits\x1a\x20\x7f\xff\xff", 128).is_err());
    let mixed = encode(&asert());
    let mixed = [&b"\xa1\x67bitcoin"[..], &mixed[7..]].concat();
    assert!(decode::<Schedule>(&mixed, 128).is_err());
    assert!(decode::<Schedule>(b"\xa1\x64lwma\xa1\x64bits\x1a\x20\x7f\xff\xff", 128).is_err());
    assert!(decode::<Schedule>(b"\xa1\x65fixed\xa2\x64bits\x01\x64more\x01", 128).is_err());
    assert!(decode::<Schedule>(b"\xa1\x65fixed\xa1\x64bits\x20", 128).is_err());
}

#[test]
fn parameters_that_no_chain_can_run_by_are_refused() {
    for schedule in [fixed(), windows(), asert(), Schedule::BITCOIN_MAINNET] {
        assert_eq!(schedule.check(), Ok(()));
    }
    assert_eq!(Schedule::fixed(Target::DIFFICULTY_1).check(), Ok(()));
    type Change = fn(&mut Bits, &mut Bits, &mut u32, &mut u32);
    let changed = |change: Change| {
        let mut both = [windows(), asert()];
        for schedule in &mut both {
            match schedule {
                Schedule::Bitcoin { bits, floor, window: other, spacing }
                | Schedule::Asert { bits, floor, half_life: other, spacing } => {
                    change(bits, floor, other, spacing);
                }
                Schedule::Fixed { .. } => unreachable!(),
            }
        }
        both.map(|schedule| schedule.check().unwrap_err())
    };
    for wrong in [0, 0x1d80_ffff, 0xff00_ffff].map(bits) {
        let error = Target::from_bits(wrong).unwrap_err();
        let refused = ScheduleError::Bits { field: "bits", error };
        assert_eq!(Schedule::Fixed { bits: wrong }.check(), Err(refused));
    }
    let negative = BitsError::Negative { bits: bits(0x1d80_ffff) };
    for found in changed(|b, _, _, _| *b = Bits::from_u32(0x1d80_ffff)) {
        assert_eq!(found, ScheduleError::Bits { field: "bits", error: negative });
    }
    for found in changed(|_, floor, _, _| *floor = Bits::from_u32(0x1d80_ffff)) {
        assert_eq!(found, ScheduleError::Bits { field: "floor", error: negative });
    }
    for error in changed(|b, _, _, _| *b = Bits::from_u32(0x1b00_00ff)) {
        let (found, canonical) = (bits(0x1b00_00ff), bits(0x1a00_ff00));
        assert_eq!(error, ScheduleError::NotCanonical { field: "bits", found, canonical });
    }
    for found in changed(|b, floor, _, _| {
        (*b, *floor) = (Bits::from_u32(0x1d00_ffff), Bits::from_u32(0x1d00_fffe));
    }) {
        let (bits, floor) = (bits(0x1d00_ffff), bits(0x1d00_fffe));
        assert_eq!(found, ScheduleError::AboveFloor { bits, floor });
    }
    let small = |field, found, min| ScheduleError::TooSmall { field, found, min };
    let spacing = changed(|_, _, _, spacing| *spacing = 0);
    assert_eq!(spacing, [small("spacing", 0, 1); 2]);
    let other = changed(|_, _, other, _| *other = 0);
    assert_eq!(other, [small("window", 0, 2), small("half_life", 0, 1)]);
    let Schedule::Bitcoin { bits, floor, .. } = windows() else { unreachable!() };
    let short = Schedule::Bitcoin { bits, floor, window: 3, spacing: 1 };
    assert_eq!(short.check(), Err(small("window * spacing", 3, 4)));
    assert_eq!(Schedule::Bitcoin { bits, floor, window: 2, spacing: 2 }.check(), Ok(()));
    assert!(short.check().unwrap_err().to_string().contains("at least 4, found 3"));
}

#[test]
fn bits_that_no_block_may_ever_bear_are_told_without_ancestors() {
    assert!(fixed().may_demand(fixed().genesis_bits()));
    assert!(!fixed().may_demand(bits(0x207f_fffe)));
    assert_eq!(
        [windows().floor(), asert().floor(), fixed().floor()].map(Bits::to_u32),
        [0x207f_ffff, 0x1d00_ffff, 0x207f_ffff]
    );
    for schedule in [windows(), asert()] {
        assert!(schedule.may_demand(schedule.floor()) && schedule.may_demand(bits(0x0101_0000)));
        let easier = Target(target(schedule.floor()).0 + (primitive_types::U256::one() << 248));
        assert!(!schedule.may_demand(easier.to_bits()));
        // Zero, negative, beyond 256 bits, and a second spelling.
        for wrong in [0, 0x1d80_ffff, 0xff00_ffff, 0x1b00_00ff] {
            assert!(!schedule.may_demand(bits(wrong)));
        }
    }
}

#[test]
fn pitfall_26_a_window_takes_the_target_along_by_four_at_most() {
    let start = windows().genesis_bits();
    let [same, harder, easier, held] = [
        [0, 10, 20, 30, 60],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1_000_000],
        // The last block before the first: as if no time had passed.
        [1000, 10, 20, 30, 40],
    ]
    .map(|times| run(&windows(), &times));
    assert_eq!(same, [start; 6]);
    assert_eq!(harder[4..], [start, bits(0x2003_ffff)]);
    assert_eq!(easier[4..], [start, bits(0x203f_fffc)]);
    assert_eq!(held[5], bits(0x2003_ffff));
    // At the ideal spacing the off-by-one of Bitcoin makes it harder by 1/5 each window: kept bit for bit.
    let ideal: Vec<u32> = (0..10).map(|i| 12 * i).collect();
    let ideal = run(&windows(), &ideal);
    assert_eq!((ideal[5], ideal[10]), (bits(0x200c_cccc), bits(0x200a_3d70)));
}

#[test]
fn pitfall_26_asert_keeps_its_bits_on_plan_and_doubles_them_each_half_life() {
    let plan: Vec<u32> = (0..300).map(|i| 1_600_000_000 + 600 * i).collect();
    assert_eq!(run(&asert(), &plan), vec![asert().genesis_bits(); 301]);
    let late = |by: u32| *run(&asert(), &[0, 600 + by]).last().unwrap();
    assert_eq!(late(172_800), bits(0x1c01_fffe));
    assert_eq!(late(7 * 172_800), bits(0x1c7f_ff80));
    assert_eq!(late(8 * 172_800), bits(0x1d00_ffff), "the floor exactly");
    assert_eq!(late(9 * 172_800), bits(0x1d00_ffff), "and no easier");
    assert_eq!(late(u32::MAX - 600), bits(0x1d00_ffff));
    // 288 blocks at one moment are a half-life ahead.
    assert_eq!(*run(&asert(), &[7; 289]).last().unwrap(), bits(0x1b7f_ff80));
}

fn any_schedule() -> impl Strategy<Value = Schedule> {
    let range = (any::<[u8; 32]>(), 0usize..31, any::<[u8; 32]>(), 0usize..31);
    let range = range.prop_filter_map("zero", |(mut a, zeros_a, mut b, zeros_b)| {
        a[..zeros_a].fill(0);
        b[..zeros_b].fill(0);
        let (a, b) = (Target::from_be_bytes(&a)?.to_bits(), Target::from_be_bytes(&b)?.to_bits());
        Some(if target(a) < target(b) { (a, b) } else { (b, a) })
    });
    (range, any::<bool>(), 1u32..=20_000, 2u32..12, 1u32..1_000_000).prop_map(
        |((bits, floor), is_asert, spacing, window, half_life)| match is_asert {
            true => Schedule::Asert { bits, floor, spacing, half_life },
            false => Schedule::Bitcoin { bits, floor, spacing: spacing.max(2), window },
        },
    )
}

proptest! {
    #[test]
    fn pitfall_26_no_times_make_a_target_zero_or_easier_than_the_floor(
        schedule in any_schedule(), times in proptest::collection::vec(any::<u32>(), 1..40),
    ) {
        prop_assert_eq!(schedule.check(), Ok(()));
        for bits in run(&schedule, &times) {
            prop_assert!(schedule.may_demand(bits), "{bits}");
        }
    }

    #[test]
    fn pitfall_26_a_later_parent_never_makes_the_next_block_harder(
        schedule in any_schedule(), mut times in proptest::collection::vec(any::<u32>(), 2..40), later in any::<u32>(),
    ) {
        let before = *run(&schedule, &times).last().unwrap();
        let last = times.last_mut().unwrap();
        *last = last.saturating_add(later);
        let after = *run(&schedule, &times).last().unwrap();
        prop_assert!(target(after) >= target(before), "{before} then {after}");
    }

    #[test]
    fn asert_at_the_ideal_spacing_keeps_any_bits(schedule in any_schedule(), start in 0u32..1 << 31, count in 1u32..60) {
        if let Schedule::Asert { spacing, bits, .. } = schedule {
            let times: Vec<u32> = (0..count).map(|i| start + i * spacing).collect();
            prop_assert_eq!(run(&schedule, &times), vec![bits; count as usize + 1]);
        }
    }

    #[test]
    fn asert_forgets_all_times_but_the_last(
        schedule in any_schedule(), mut times in proptest::collection::vec(any::<u32>(), 3..40), other in any::<u32>(),
    ) {
        if let Schedule::Asert { .. } = schedule {
            let before = *run(&schedule, &times).last().unwrap();
            let middle = times.len() / 2;
            times[middle] = other;
            prop_assert_eq!(*run(&schedule, &times).last().unwrap(), before);
        }
    }

    /// Of the real number that the specification approximates: rounding to compact bits loses one part in 2^15.
    #[test]
    fn asert_is_the_exponential_it_approximates(ahead in -3_000_000i32..3_000_000) {
        let (spacing, half_life) = (600, 172_800);
        let bits = bits(0x1700_ffff);
        let pace = super::asert::Pace { spacing, half_life };
        let next = super::asert::next(bits, &pace, i64::from(ahead) + 600, 0, Bits::from_u32(0x207f_ffff));
        let exact = f64::from(ahead) / f64::from(half_life);
        let found = (target(bits).difficulty() / target(next).difficulty()).log2();
        prop_assert!((found - exact).abs() < 0.0003, "{found} for {exact}");
    }
}
