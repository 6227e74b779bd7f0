//! The nonce scan of an 80-byte header, as Bitcoin's miners do it.

mod plan;
pub(crate) mod portable;
pub(crate) mod rounds;

use crate::{Digest, Kernel};
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use plan::{FIRST, Plan, SECOND};
pub(crate) use rounds::scan_lanes;

/// Looks for the nonce with which the double SHA-256 of a header is small enough.
///
/// A header is 80 bytes, the last four of them the nonce, little-endian. What does not depend on the nonce
/// is computed once, here, so keep a `Scan` for as long as the other 76 bytes stay the same.
///
/// ```
/// use sha256_lanes::Scan;
/// // Bitcoin's first block, and the target of its time, 2^224.
/// let mut header = [0; 80];
/// header[0] = 1;
/// header[36..68].copy_from_slice(&[
///     0x3b, 0xa3, 0xed, 0xfd, 0x7a, 0x7b, 0x12, 0xb2, 0x7a, 0xc7, 0x2c, 0x3e, 0x67, 0x76, 0x8f, 0x61,
///     0x7f, 0xc8, 0x1b, 0xc3, 0x88, 0x8a, 0x51, 0x32, 0x3a, 0x9f, 0xb8, 0xaa, 0x4b, 0x1e, 0x5e, 0x4a,
/// ]);
/// header[68..72].copy_from_slice(&1_231_006_505_u32.to_le_bytes());
/// header[72..76].copy_from_slice(&0x1d00_ffff_u32.to_le_bytes());
/// let mut target = [0; 32];
/// target[4..6].fill(0xff);
///
/// let scan = Scan::new(&header);
/// assert_eq!(scan.first(2_083_230_000..=2_083_240_000, &target), Some(2_083_236_893));
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    kernel: Kernel,
    plan: Plan,
}

/// Groups of nonces that a kernel went through, and the lanes of the last of them in which the last word
/// of the hash is small enough; none only at the end.
pub(crate) type Hits = (u32, u32);

impl Scan {
    /// A scan with the kernel that is fastest on this machine; the nonce in `header` does not matter.
    #[must_use]
    pub fn new(header: &[u8; 80]) -> Self {
        Self { kernel: Self::best_kernel(), plan: Plan::new(header) }
    }

    /// A scan with a kernel of one's choice.
    ///
    /// # Panics
    /// When this machine has not got the kernel.
    #[must_use]
    pub fn with_kernel(header: &[u8; 80], kernel: Kernel) -> Self {
        kernel.assert_available();
        Self { kernel, plan: Plan::new(header) }
    }

    /// The kernel that scans.
    #[must_use]
    pub const fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The kernel that scans fastest on this machine, which need not be the one that hashes buffers fastest.
    ///
    /// Measured once in each process, in about a millisecond: processors with the same instructions differ
    /// in which wins, by a factor of two either way.
    #[must_use]
    pub fn best_kernel() -> Kernel {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| {
            let kernels: Vec<_> = Kernel::available().filter(|k| *k != Kernel::Portable).collect();
            let mut best = vec![Duration::MAX; kernels.len()];
            // In turn and several times, so that a pause of one round cannot decide.
            for _ in 0..7 {
                for (kernel, best) in kernels.iter().zip(&mut best) {
                    *best = time_of_sample(*kernel).min(*best);
                }
            }
            let fastest = kernels.into_iter().zip(best).min_by_key(|(_, time)| *time);
            fastest.map_or(Kernel::Portable, |(kernel, _)| kernel)
        })
    }

    /// The first of `nonces`, in their order, with which the hash of the header, read as a little-endian number,
    /// is not above `target`, whose most significant byte comes first.
    #[must_use]
    pub fn first(&self, nonces: RangeInclusive<u32>, target: &[u8; 32]) -> Option<u32> {
        let (mut next, last) = (*nonces.start(), *nonces.end());
        if nonces.is_empty() {
            return None;
        }
        let [b0, b1, b2, b3, ..] = *target;
        let limit = u32::from_be_bytes([b0, b1, b2, b3]);
        loop {
            let left = u64::from(last - next) + 1;
            let lanes = lanes(self.kernel);
            // In 32 bits: at least two lanes, or one group less than there are nonces.
            let groups = left.div_ceil(u64::from(lanes)).min(u64::from(u32::MAX)) as u32;
            let (done, mut hits) = self.groups(limit, next, groups);
            let group = next.wrapping_add((done - 1).wrapping_mul(lanes));
            // The last group may reach beyond the range.
            let inside = u64::from(last - group) + 1;
            while hits != 0 {
                let lane = hits.trailing_zeros();
                hits &= hits - 1;
                let nonce = group.wrapping_add(lane);
                if u64::from(lane) < inside && self.meets(nonce, limit, target) {
                    return Some(nonce);
                }
            }
            if inside <= u64::from(lanes) {
                return None;
            }
            next = group + lanes;
        }
    }

    /// The double SHA-256 of the header with this nonce.
    #[must_use]
    pub fn hash(&self, nonce: u32) -> Digest {
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.plan.hash(nonce)) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    fn meets(&self, nonce: u32, limit: u32, target: &[u8; 32]) -> bool {
        let mut hash = self.hash(nonce);
        hash.reverse();
        debug_assert!(hash[..4] <= limit.to_be_bytes()[..]);
        hash <= *target
    }

    /// Goes through `groups` groups of lanes from nonce `first` on, as far as the first with a hit.
    fn groups(&self, limit: u32, first: u32, groups: u32) -> Hits {
        match self.kernel {
            // SAFETY: whoever made this scan saw that the kernel, so what its functions need, is available.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => unsafe { crate::x86::avx512::scan(&self.plan, limit, first, groups) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => unsafe { crate::x86::avx2::scan(&self.plan, limit, first, groups) },
            // SAFETY: as above, and AVX was found just now.
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi if is_x86_feature_detected!("avx") => unsafe {
                crate::x86::shani_scan::scan_avx(&self.plan, limit, first, groups)
            },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi => unsafe {
                crate::x86::shani_scan::scan(&self.plan, limit, first, groups)
            },
            _ => portable::scan(&self.plan, limit, first, groups),
        }
    }
}

/// Nonces that a kernel tries at a time.
const fn lanes(kernel: Kernel) -> u32 {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        Kernel::ShaNi => crate::x86::shani_scan::STREAMS as u32,
        _ => kernel.lanes() as u32,
    }
}

/// Time for some hundred nonces.
fn time_of_sample(kernel: Kernel) -> Duration {
    let scan = Scan::with_kernel(&[0x5a; 80], kernel);
    let begin = Instant::now();
    std::hint::black_box(scan.groups(0, 0, 384 / lanes(kernel)));
    begin.elapsed()
}
