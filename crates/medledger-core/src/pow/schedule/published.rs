//! What is published of these schedules: `tests/vectors/bitcoin/`.

use super::asert::{Pace, next};
use super::bitcoin::retarget;
use crate::ids::sha256;
use crate::pow::{Bits, Header, Schedule, Target};
use bitcoin::CompactTarget;
use bitcoin::params::MAINNET;
use proptest::prelude::*;
use serde_json::Value;
use std::fmt::Write;

const FLOOR: Bits = Bits::from_u32(0x1d00_ffff);
const PACE: Pace = Pace { spacing: 600, half_life: 172_800 };

fn read(text: &str, list: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    file[list].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} of {value}"))
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("{field} of {value}"))
}

fn bits(value: &Value, field: &str) -> Bits {
    text(value, field).parse().unwrap()
}

/// The file that is published for a run, with the bits computed here.
fn asert_file(run: &Value) -> (String, Vec<Bits>) {
    let (height, time) =
        (text(run, "start_height").parse::<u64>().unwrap(), number(run, "start_time"));
    let anchor_height: u64 = text(run, "anchor_height").parse().unwrap();
    let anchor_time = number(run, "anchor_parent_time");
    let anchor = bits(run, "anchor_bits");
    let iterations = number(run, "iterations");
    let steps: Vec<i64> = match run["time_steps"].as_array() {
        Some(steps) => steps.iter().map(|step| step.as_i64().unwrap()).collect(),
        None => vec![run["time_step"].as_i64().unwrap(); iterations as usize - 1],
    };
    assert_eq!(steps.len() as u64 + 1, iterations);
    // The later files have the word that fits better.
    let parent = if steps.iter().any(|step| *step < 0) { "parent" } else { "ancestor" };
    let mut file = format!(
        "## description: {}\n##   anchor height: {anchor_height}\n##   anchor {parent} time: {anchor_time}\n\
         ##   anchor nBits: 0x{anchor}\n##   start height: {height}\n##   start time: {time}\n\
         ##   iterations: {iterations}\n# iteration,height,time,target\n",
        text(run, "description"),
    );
    let mut all = Vec::new();
    let mut time = time as i64;
    for i in 0..iterations {
        let height = height + i * number(run, "height_step");
        time += i.checked_sub(1).map_or(0, |before| steps[before as usize]);
        let bits = next(anchor, &PACE, time - anchor_time as i64, height - anchor_height, FLOOR);
        writeln!(file, "{} {height} {time} 0x{bits}", i + 1).unwrap();
        all.push(bits);
    }
    (file + "\n", all)
}

#[test]
fn asert_gives_the_published_vectors_to_the_byte() {
    let runs = read(include_str!("../../../../../tests/vectors/bitcoin/asert.json"), "runs");
    assert_eq!(runs.len(), 12);
    for run in &runs {
        let (file, found) = asert_file(run);
        let name = text(run, "description");
        assert_eq!(found[0], bits(run, "first"), "{name}");
        assert_eq!(*found.last().unwrap(), bits(run, "last"), "{name}");
        let hash = data_encoding::HEXLOWER.encode(&sha256(&[file.as_bytes()]));
        assert_eq!(hash, text(run, "sha256"), "{name}: {file}");
    }
}

#[test]
fn the_retargets_of_bitcoin_core_are_repeated() {
    let cases =
        read(include_str!("../../../../../tests/vectors/bitcoin/headers.json"), "retargets");
    assert_eq!(cases.len(), 4);
    for case in &cases {
        let times = (number(case, "first_time") as u32, number(case, "last_time") as u32);
        let found = retarget(bits(case, "bits"), times, 2016 * 600, FLOOR);
        assert_eq!(found, bits(case, "next"), "{}", text(case, "name"));
    }
}

/// Difficulty that went up in 2016 and down in 2018, with the first header of the window before.
#[test]
fn real_headers_around_a_change_bear_the_bits_the_schedule_demands() {
    let segments =
        read(include_str!("../../../../../tests/vectors/bitcoin/headers.json"), "segments");
    let mut changes = Vec::new();
    for segment in &segments {
        let first: Header = text(&segment["window_first"], "header").parse().unwrap();
        let first_height = number(&segment["window_first"], "height");
        assert!(first.meets_target());
        let headers: Vec<Header> = segment["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hex| hex.as_str().unwrap().parse().unwrap())
            .collect();
        let below = |height: u64| if height == first_height { Ok(first) } else { Err(height) };
        for (pair, height) in headers.windows(2).zip(number(segment, "from_height")..) {
            let [parent, child] = pair else { unreachable!() };
            assert_eq!(child.previous, parent.id());
            assert!(child.meets_target());
            // In the new window nothing is looked up, so nothing has to be there.
            let demanded = Schedule::BITCOIN_MAINNET.next_bits(parent, height, &below);
            assert_eq!(demanded, Ok(child.bits), "after {height}");
            if parent.bits != child.bits {
                changes.push((height + 1, parent.bits.to_u32(), child.bits.to_u32()));
            }
        }
        assert_eq!(headers.last().unwrap().id().to_string(), text(segment, "last_id"));
    }
    assert_eq!(changes, [(437_472, 0x1804_55d2, 0x1804_5174), (554_400, 0x1731_d97c, 0x1737_1ef4)]);
}

proptest! {
    #[test]
    fn a_window_is_followed_by_the_bits_the_bitcoin_crate_says(
        first in any::<u32>(), took in 0u32..6_000_000, mantissa in 0x8000u32..0x80_0000, size in 3u32..0x1d,
    ) {
        let before = Bits::from_u32(size << 24 | mantissa);
        prop_assume!(Target::from_bits(before).unwrap() <= Target::from_bits(FLOOR).unwrap());
        let last = first.saturating_add(took);
        let ours = retarget(before, (first, last), 2016 * 600, FLOOR);
        let last = CompactTarget::from_consensus(before.to_u32());
        let theirs = CompactTarget::from_next_work_required(last, u64::from(first.saturating_add(took) - first), &MAINNET);
        prop_assert_eq!(ours.to_u32(), theirs.to_consensus());
    }
}
