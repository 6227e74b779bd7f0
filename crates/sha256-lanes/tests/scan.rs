//! Every kernel of this machine scans real Bitcoin headers, and agrees with `sha2` on headers of any kind.
#![allow(missing_docs)]

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use sha256_lanes::{Kernel, Scan};

/// Headers of Bitcoin's blocks 0, 1, 100,000, 125,552 and 840,000, with their hashes as Bitcoin prints them.
const HEADERS: [(&str, &str); 5] = [
    (
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c",
        "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
    ),
    (
        "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
        "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048",
    ),
    (
        "0100000050120119172a610421a6c3011dd330d9df07b63616c2cc1f1cd00200000000006657a9252aacd5c0b2940996ecff952228c3067cc38d4885efb5a4ac4247e9f337221b4d4c86041b0f2b5710",
        "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506",
    ),
    (
        "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
        "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d",
    ),
    (
        "00e05f2aab948491071265ad552351d0ad625745668da54b0172010000000000000000004f89a5d73bd4d4887f25981fe81892ccafda10c27f52d6f3dd28183a7c411b03b7072366194203177d9863ea",
        "0000000000000000000320283a032748cef8227873ff4872689bf23f1cda83a5",
    ),
];

fn real_headers() -> impl Iterator<Item = ([u8; 80], u32, [u8; 32])> {
    HEADERS.into_iter().map(|(header, hash)| {
        let decode = |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        let header: [u8; 80] = decode(header).try_into().unwrap();
        let nonce = u32::from_le_bytes(*header.last_chunk().unwrap());
        (header, nonce, decode(hash).try_into().unwrap())
    })
}

/// The hash as a number, most significant byte first, by `sha2` alone.
fn oracle(mut header: [u8; 80], nonce: u32) -> [u8; 32] {
    header[76..].copy_from_slice(&nonce.to_le_bytes());
    let mut hash: [u8; 32] = Sha256::digest(Sha256::digest(header)).into();
    hash.reverse();
    hash
}

/// The target of so many zero bits.
fn target(zero_bits: usize) -> [u8; 32] {
    std::array::from_fn(|i| match zero_bits.saturating_sub(8 * i) {
        bits @ 0..8 => 0xff >> bits,
        _ => 0,
    })
}

#[test]
fn real_headers_are_found_in_every_lane_and_at_every_end_of_a_range() {
    for kernel in Kernel::available() {
        for (header, nonce, hash) in real_headers() {
            let scan = Scan::with_kernel(&header, kernel);
            assert_eq!(scan.kernel(), kernel);
            let mut number = scan.hash(nonce);
            number.reverse();
            assert_eq!(number, hash, "{kernel}");
            for before in 0..70 {
                for after in [0, 1, 2, 7, 31] {
                    let range = nonce - before..=nonce.saturating_add(after);
                    // The hash itself is the hardest target it meets.
                    assert_eq!(scan.first(range.clone(), &hash), Some(nonce), "{kernel} {range:?}");
                    assert_eq!(scan.first(range, &target(32)), Some(nonce), "{kernel}");
                }
            }
            for before in 1..70 {
                assert_eq!(
                    scan.first(nonce - before..=nonce - 1, &hash),
                    None,
                    "{kernel} {before}"
                );
                assert_eq!(
                    scan.first(nonce + 1..=nonce + before, &hash),
                    None,
                    "{kernel} {before}"
                );
            }
        }
    }
}

#[test]
fn one_less_than_the_hash_is_a_target_not_met() {
    for kernel in Kernel::available() {
        for (header, nonce, mut hash) in real_headers() {
            let last = hash.iter().rposition(|byte| *byte != 0).unwrap();
            hash[last] -= 1;
            hash[last + 1..].fill(0xff);
            // The last word of the hash, which is looked at first, is the target's.
            let scan = Scan::with_kernel(&header, kernel);
            assert_eq!(scan.first(nonce - 40..=nonce + 40, &hash), None, "{kernel}");
        }
    }
}

#[test]
fn every_hit_of_easy_targets_is_found_in_order() {
    let (header, ..) = real_headers().next().unwrap();
    for kernel in Kernel::available() {
        let scan = Scan::with_kernel(&header, kernel);
        for zero_bits in [0, 1, 2, 3, 5, 8, 11] {
            let (target, end) = (target(zero_bits), 3000);
            let mut from = 0;
            let mut found = Vec::new();
            while let Some(nonce) = scan.first(from..=end, &target) {
                found.push(nonce);
                from = nonce + 1;
                if from > end {
                    break;
                }
            }
            let want: Vec<_> = (0..=end).filter(|n| oracle(header, *n) <= target).collect();
            assert_eq!(found, want, "{kernel}, {zero_bits} zero bits");
        }
    }
}

/// The kernels compare the last word only; where that is the target's own, the rest decides.
#[test]
fn last_words_that_are_the_targets_are_compared_further() {
    let (header, ..) = real_headers().nth(1).unwrap();
    for kernel in Kernel::available() {
        let scan = Scan::with_kernel(&header, kernel);
        for nonce in 0..100 {
            let hash = oracle(header, nonce);
            let mut harder = hash;
            harder[4..].fill(0);
            assert_eq!(scan.first(nonce..=nonce, &harder), None, "{kernel} {nonce}");
            assert_eq!(scan.first(nonce..=nonce, &hash), Some(nonce), "{kernel} {nonce}");
        }
    }
}

#[test]
fn ranges_end_at_the_last_nonce_and_may_be_empty() {
    let (header, ..) = real_headers().next().unwrap();
    for kernel in Kernel::available() {
        let scan = Scan::with_kernel(&header, kernel);
        for length in 1..50 {
            let first = u32::MAX - (length - 1);
            assert_eq!(scan.first(first..=u32::MAX, &[0; 32]), None, "{kernel}");
            // Past the end come nonces from 0 on again, which are not in the range.
            let want = (first..=u32::MAX).find(|nonce| oracle(header, *nonce) <= target(4));
            assert_eq!(scan.first(first..=u32::MAX, &target(4)), want, "{kernel} {length}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "an empty range is what is tested")]
        let empty = 5..=4;
        assert_eq!(scan.first(empty, &[0xff; 32]), None, "{kernel}");
        assert_eq!(scan.first(0..=u32::MAX, &[0xff; 32]), Some(0), "{kernel}");
    }
}

#[test]
fn the_best_kernel_is_one_of_this_machine() {
    assert!(Scan::best_kernel().is_available());
    assert_eq!(Scan::new(&[0; 80]).kernel(), Scan::best_kernel());
}

proptest! {
    #[test]
    fn any_header_agrees_with_sha2(
        header in proptest::collection::vec(any::<u8>(), 80),
        start in any::<u32>(), length in 0u32..200, zero_bits in 0usize..12, low in any::<[u8; 28]>(),
    ) {
        let header: [u8; 80] = header.try_into().unwrap();
        let end = start.saturating_add(length);
        let mut target = target(zero_bits);
        target[4..].copy_from_slice(&low);
        let want = (start..=end).find(|nonce| oracle(header, *nonce) <= target);
        for kernel in Kernel::available() {
            let scan = Scan::with_kernel(&header, kernel);
            prop_assert_eq!(scan.first(start..=end, &target), want, "{}", kernel);
            let mut hash = scan.hash(start);
            hash.reverse();
            prop_assert_eq!(hash, oracle(header, start));
        }
    }
}
