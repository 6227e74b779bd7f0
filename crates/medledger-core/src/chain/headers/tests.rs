use super::*;
use crate::pow::{BITCOIN_HEADERS, Schedule, median_time_past};
use bitcoin::CompactTarget;
use bitcoin::params::MAINNET;
use proptest::prelude::*;

/// Blocks 0 to 6063: see `tests/vectors/bitcoin/README.md`.
fn mainnet() -> &'static [[u8; 80]] {
    let bytes = include_bytes!("../../../../../tests/vectors/bitcoin/mainnet-0.bin");
    let (headers, rest) = bytes.as_chunks();
    assert_eq!((headers.len(), rest.len()), (6064, 0));
    headers
}

fn bitcoin() -> Consensus {
    Consensus::Work(Schedule::BITCOIN_MAINNET)
}

/// Long after every header here.
const LATER: Timestamp = Timestamp::from_secs(1_300_000_000);

fn genesis() -> HeaderChain {
    HeaderChain::from_genesis(bitcoin(), &Header::from_bytes(&mainnet()[0])).unwrap()
}

fn fault(headers: &[[u8; 80]], now: Timestamp) -> HeaderFault {
    genesis().extend(headers, now).unwrap_err()
}

#[test]
fn the_first_6063_blocks_of_bitcoin_pass_across_three_retargets() {
    let mut chain = genesis();
    assert_eq!(chain.tip_id().to_string(), BITCOIN_HEADERS[0].2);
    let mut work = bitcoin::Work::from_be_bytes(chain.chain_work().to_be_bytes());
    for window in mainnet()[1..].chunks(2016) {
        chain.extend(window, LATER).unwrap();
        for header in window {
            let header: bitcoin::block::Header = bitcoin::consensus::deserialize(header).unwrap();
            work = work + header.work();
        }
        // The second crate to say so, which has another header type, work and retarget.
        assert_eq!(chain.chain_work().to_be_bytes(), work.to_be_bytes());
    }
    assert_eq!(chain.height(), 6063);
    assert_eq!(chain.next_bits().to_u32(), 0x1d00_ffff);
    for height in [2016, 4032, 6048] {
        let read = |height: usize| -> bitcoin::block::Header {
            bitcoin::consensus::deserialize(&mainnet()[height]).unwrap()
        };
        let theirs = CompactTarget::from_next_work_required(
            read(height - 1).bits,
            u64::from(read(height - 1).time - read(height - 2016).time),
            &MAINNET,
        );
        assert_eq!(read(height).bits, theirs);
        // Held at the floor: it took longer than it should, and yet it gets no easier.
        assert!(read(height - 1).time - read(height - 2016).time > 2016 * 600);
    }
    let mut times = mainnet().iter().rev().map(|header| Header::from_bytes(header).time);
    let median = median_time_past(times.by_ref().take(11)).unwrap();
    assert_eq!(chain.median_time().as_secs(), u64::from(median));
    assert_eq!(*chain.tip(), Header::from_bytes(&mainnet()[6063]));
}

/// With a lower floor the same headers would have to be harder or easier: the retarget is really made.
#[test]
fn at_the_first_retarget_an_easier_floor_demands_easier_bits() {
    let easier = Schedule::Bitcoin {
        bits: Bits::from_u32(0x1d00_ffff),
        floor: Bits::from_u32(0x1d03_fffc),
        window: 2016,
        spacing: 600,
    };
    let header = Header::from_bytes(&mainnet()[0]);
    let mut chain = HeaderChain::from_genesis(Consensus::Work(easier), &header).unwrap();
    let found = chain.extend(&mainnet()[1..], LATER).unwrap_err();
    let error = HeaderError::Bits {
        expected: Bits::from_u32(0x1d01_b304),
        found: Bits::from_u32(0x1d00_ffff),
    };
    assert_eq!(found, HeaderFault { height: 2016, error });
    assert_eq!(chain.height(), 2015, "those before it are taken");
}

#[test]
fn a_chain_resumed_anywhere_goes_on_as_if_it_had_never_stopped() {
    let below = |height: u64| Ok::<_, Infallible>(Header::from_bytes(&mainnet()[height as usize]));
    for start in [0, 1, 9, 10, 11, 2014, 2015, 2016, 2017, 4031] {
        let mut whole = genesis();
        whole.extend(&mainnet()[1..=start], LATER).unwrap();
        let Ok(mut resumed) =
            HeaderChain::resume(bitcoin(), start as u64, whole.chain_work(), &below);
        assert_eq!(resumed.median_time(), whole.median_time(), "{start}");
        for chain in [&mut whole, &mut resumed] {
            chain.extend(&mainnet()[start + 1..], LATER).unwrap();
        }
        let said = [&whole, &resumed].map(|chain| {
            let sums = (chain.chain_work(), chain.median_time(), chain.next_bits());
            (chain.height(), chain.tip_id(), *chain.tip(), sums)
        });
        assert_eq!(said[0], said[1], "{start}");
    }
    // Each header is asked for, and its absence told.
    for missing in [2016, 2500, 2510] {
        let below = |height: u64| match height {
            _ if height == missing => Err(height),
            _ => Ok(Header::from_bytes(&mainnet()[height as usize])),
        };
        let chain = HeaderChain::resume(bitcoin(), 2510, Work::ZERO, &below);
        assert_eq!(chain.unwrap_err(), missing);
    }
}

#[test]
fn each_rule_has_its_error_with_the_height() {
    let headers = mainnet();
    // A header left out.
    let gap = [&headers[1..300], &headers[301..400]].concat();
    let [expected, found] = [299, 300].map(|at| Header::from_bytes(&headers[at]).id());
    let error = HeaderError::Previous { expected, found };
    assert_eq!(fault(&gap, LATER), HeaderFault { height: 300, error });
    // Another difficulty, at any place in a batch.
    let expected = Bits::from_u32(0x1d00_ffff);
    for height in [1, 255, 256, 257, 2016] {
        let mut headers = headers.to_vec();
        headers[height][72] ^= 1;
        let error = HeaderError::Bits { expected, found: Bits::from_u32(0x1d00_fffe) };
        assert_eq!(fault(&headers[1..], LATER), HeaderFault { height: height as u64, error });
    }
    // Another nonce: no work done.
    let mut nonce = headers.to_vec();
    nonce[5000][76] ^= 1;
    let id = Header::from_bytes(&nonce[5000]).id();
    let error = HeaderError::Work { id, bits: expected };
    assert_eq!(fault(&nonce[1..], LATER), HeaderFault { height: 5000, error });
    // The clock of the one who judges is behind.
    let found = u64::from(Header::from_bytes(&headers[1000]).time);
    let now = Timestamp::from_secs(found - 7201);
    let error = HeaderError::TooEarly { now, found: Timestamp::from_secs(found) };
    assert_eq!(fault(&headers[1..], now), HeaderFault { height: 1000, error });
    let mut chain = genesis();
    assert!(chain.extend(&headers[1..=1000], now.plus(1)).is_ok());
    // A genesis block that is none.
    let second = Header::from_bytes(&headers[1]);
    let error = HeaderChain::from_genesis(bitcoin(), &second).unwrap_err();
    assert!(matches!(error, HeaderError::Previous { .. }));
    for (change, bits) in [(1, 0x1d00_ffff), (0, 0x1d00_fffe)] {
        let first = Header::from_bytes(&headers[0]);
        let first = Header { nonce: first.nonce ^ change, bits: Bits::from_u32(bits), ..first };
        let error = HeaderChain::from_genesis(bitcoin(), &first).unwrap_err();
        let want = if change == 0 {
            HeaderError::Bits { expected, found: first.bits }
        } else {
            HeaderError::Work { id: first.id(), bits: expected }
        };
        assert_eq!(error, want);
    }
}

#[test]
fn pitfall_26_a_header_not_after_the_median_is_refused() {
    // Without work, so that times can be chosen.
    let blank = Header { bits: Bits::NO_WORK, time: 1000, ..Header::from_bytes(&mainnet()[0]) };
    let mut chain = HeaderChain::from_genesis(Consensus::Log, &blank).unwrap();
    assert_eq!(chain.chain_work(), Work::ZERO);
    let mut times = vec![1000];
    for time in [1001, 5000, 1002, 1003, 4000, 4001, 4002, 1004, 4003, 4004, 4005, 4006] {
        let median = median_time_past(times.iter().rev().copied()).unwrap();
        let header = |time| Header { previous: chain.tip_id(), time, ..blank };
        let old = header(median).to_bytes();
        let error = HeaderError::TooOld {
            median: Timestamp::from_secs(median.into()),
            found: Timestamp::from_secs(median.into()),
        };
        let height = chain.height() + 1;
        let good = header(time.max(median + 1));
        assert_eq!(chain.extend(&[old], LATER), Err(HeaderFault { height, error }));
        chain.extend(&[good.to_bytes()], LATER).unwrap();
        times.push(good.time);
    }
}

#[test]
fn pitfall_27_the_work_of_a_chain_saturates_and_never_wraps() {
    let below = |height: u64| Ok::<_, Infallible>(Header::from_bytes(&mainnet()[height as usize]));
    let Ok(mut chain) = HeaderChain::resume(bitcoin(), 5, Work::MAX, &below);
    chain.extend(&mainnet()[6..10], LATER).unwrap();
    assert_eq!(chain.chain_work(), Work::MAX);
}

proptest! {
    #[test]
    fn the_median_is_kept_as_the_plain_one_says(times in proptest::collection::vec(0u32..30, 1..60)) {
        let mut kept = Times::default();
        for (count, time) in times.iter().enumerate() {
            kept.push(*time);
            let plain = median_time_past(times[..=count].iter().rev().copied());
            prop_assert_eq!(Some(kept.median()), plain);
        }
    }
}
