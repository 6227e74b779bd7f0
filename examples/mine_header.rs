//! The miner alone: look for a nonce with which an 80-byte header meets a target.
//!
//! ```text
//! cargo run --release --example mine_header [EXPECTED_TRIES]
//! ```

use medledger::Threads;
use medledger::core::pow::{Header, Outcome, Scan, Target, mine};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Instant;

/// Bitcoin's first header; any 80 bytes will do.
const HEADER: &str = concat!(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd",
    "7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
);

fn main() -> Result<(), Box<dyn Error>> {
    let tries = std::env::args().nth(1).map_or(Ok(50_000_000), |text| text.parse())?;
    search(tries)
}

fn search(expected: u128) -> Result<(), Box<dyn Error>> {
    let mut header: Header = HEADER.parse()?;
    println!("as it is  {} (meets its target: {})", header.id(), header.meets_target());

    header.bits = Target::from_expected_tries(expected).to_bits();
    println!("bits      {}, about {expected} tries", header.bits);
    println!("kernel    {}", Scan::best_kernel());
    // When all nonces are used up, another header is asked for: here one second later.
    let mut later = |extra: u64| Header { time: header.time.wrapping_add(extra as u32), ..header };
    let (cancel, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Instant::now();
    let outcome = mine(&header, &mut later, &Threads::default(), &cancel, &progress)?;
    let seconds = begun.elapsed().as_secs_f64();

    let Outcome::Found { header, tries } = outcome else { unreachable!("nobody cancels") };
    println!("found     {} with nonce {}", header.id(), header.nonce);
    println!("in        {tries} tries, {seconds:.2} s, {:.1} MH/s", tries as f64 / seconds / 1e6);
    assert!(header.meets_target());
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn Error>> {
    search(10_000)
}
