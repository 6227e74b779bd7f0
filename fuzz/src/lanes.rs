//! SHA-256 of many buffers: every kernel of the machine gives what `sha2` gives.

use medledger_ipfs::Kernel;
use sha2::{Digest, Sha256};
use sha256_lanes::{Streams, digest_many_with};

/// The first byte tells how many buffers, up to 40; two bytes for each tell where it begins and how long it
/// is, within the rest of the input; a last byte where each is cut in two.
pub fn lanes(data: &[u8]) {
    let Some((count, rest)) = data.split_first() else { return };
    let count = usize::from(count % 41);
    let Some((places, bytes)) = rest.split_at_checked(2 * count) else { return };
    let buffers: Vec<&[u8]> = places
        .chunks_exact(2)
        .map(|place| {
            let start = usize::from(place[0]).min(bytes.len());
            // Up to 1785 bytes: 28 blocks.
            let end = (start + 7 * usize::from(place[1])).min(bytes.len());
            &bytes[start..end]
        })
        .collect();
    let want: Vec<[u8; 32]> = buffers.iter().map(|buffer| Sha256::digest(buffer).into()).collect();
    let cut = usize::from(bytes.last().copied().unwrap_or(0));
    let (first, second): (Vec<_>, Vec<_>) =
        buffers.iter().map(|buffer| buffer.split_at(cut.min(buffer.len()))).unzip();
    for kernel in Kernel::available() {
        assert_eq!(digest_many_with(kernel, &buffers), want, "{kernel}");
        let mut streams = Streams::with_kernel(kernel, count);
        streams.update(&first);
        streams.update(&second);
        assert_eq!(streams.finish(), want, "{kernel}, in two pieces");
    }
}

/// No buffer, one, one for each lane, and many of unequal length.
pub fn lanes_seeds() -> Vec<Vec<u8>> {
    let seed = |places: &[[u8; 2]], len: usize| {
        let mut seed = vec![places.len() as u8];
        seed.extend_from_slice(places.as_flattened());
        seed.extend((0..len).map(|i| (i * 7) as u8));
        seed
    };
    let unequal: Vec<[u8; 2]> = (0..37).map(|i| [i, 7 * i]).collect();
    vec![seed(&[], 3), seed(&[[0, 9]], 64), seed(&[[1, 40]; 16], 400), seed(&unequal, 1900)]
}
