//! How fast each kernel of this machine hashes: `cargo run --release -p sha256-lanes --example rates`.

use sha2::{Digest, Sha256};
use sha256_lanes::{Kernel, digest_many_with};
use std::time::Instant;

/// Small enough to stay in the cache, and large.
const LENS: [usize; 2] = [64 << 10, 1 << 20];

fn main() {
    for len in LENS {
        let buffers: Vec<Vec<u8>> = (0..16).map(|i| vec![i; len]).collect();
        println!("sixteen buffers of {} KiB", len >> 10);
        let sha2 = best(&buffers, || {
            for buffer in &buffers {
                std::hint::black_box(Sha256::digest(buffer));
            }
        });
        println!("  sha2, one buffer at a time: {sha2:.2} GB/s");
        for kernel in Kernel::available() {
            let rate = best(&buffers, || {
                std::hint::black_box(digest_many_with(kernel, &buffers));
            });
            println!("  {}: {rate:.2} GB/s, {:.2} times sha2", kernel.path(), rate / sha2);
        }
    }
    println!("best: {}", Kernel::best());
}

/// The best of several runs over all buffers, in GB/s.
fn best(buffers: &[Vec<u8>], mut run: impl FnMut()) -> f64 {
    let bytes: usize = buffers.iter().map(Vec::len).sum();
    let times = (0..40).map(|_| {
        let begin = Instant::now();
        run();
        begin.elapsed().as_secs_f64()
    });
    bytes as f64 / times.fold(f64::MAX, f64::min) / 1e9
}
