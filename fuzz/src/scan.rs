//! The nonce scan: every kernel of the machine finds what `sha2` finds.

use medledger_core::pow::{Kernel, Scan};
use sha2::{Digest, Sha256};

/// A header, the first nonce, one less than the number of nonces, leading zero bits of the target, its
/// other bytes; what is missing is zero.
pub fn nonce_scan(data: &[u8]) {
    let mut input = [0; 80 + 4 + 1 + 1 + 32];
    let length = data.len().min(input.len());
    input[..length].copy_from_slice(&data[..length]);
    let (header, rest) = input.split_first_chunk::<80>().expect("longer than that");
    let (start, rest) = rest.split_first_chunk::<4>().expect("longer than that");
    let start = u32::from_le_bytes(*start);
    let end = start.saturating_add(u32::from(rest[0] % 64));
    let mut target = [0; 32];
    target.copy_from_slice(&rest[2..]);
    for bit in 0..usize::from(rest[1] % 12) {
        target[bit / 8] &= !(0x80 >> (bit % 8));
    }

    let hash = |nonce: u32| {
        let mut header = *header;
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        let mut hash: [u8; 32] = Sha256::digest(Sha256::digest(header)).into();
        hash.reverse();
        hash
    };
    let want = (start..=end).find(|nonce| hash(*nonce) <= target);
    for kernel in Kernel::available() {
        let scan = Scan::with_kernel(header, kernel);
        assert_eq!(scan.first(start..=end, &target), want, "{kernel}");
        let mut found = scan.hash(start);
        found.reverse();
        assert_eq!(found, hash(start));
    }
}

/// A range in the middle, one at the end of the nonces, and a target that every hash meets.
pub fn nonce_scan_seeds() -> Vec<Vec<u8>> {
    let seed = |start: u32, length: u8, zero_bits: u8| {
        let mut seed = vec![7; 80];
        seed.extend_from_slice(&start.to_le_bytes());
        seed.extend_from_slice(&[length, zero_bits]);
        seed.extend_from_slice(&[0xff; 32]);
        seed
    };
    vec![seed(1_000_000, 40, 5), seed(u32::MAX - 20, 63, 8), seed(0, 0, 0)]
}
