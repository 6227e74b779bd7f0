//! The scan in plain Rust, a nonce at a time.

use super::scan_lanes;
use crate::portable::{add, big_sigma0, big_sigma1, ch, maj, small_sigma0, small_sigma1, splat};

const LANES: usize = 1;

scan_lanes!(u32,);

fn nonces(first: u32) -> u32 {
    first.swap_bytes()
}

fn not_above(last_word: u32, limit: u32) -> u32 {
    u32::from(last_word.swap_bytes() <= limit)
}
