//! Which instructions hash.

use crate::{BLOCK_LEN, Streams};
use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Instructions that SHA-256 can be computed with. All give the same digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kernel {
    /// Plain Rust, one buffer after the other. Always there.
    Portable,
    /// The SHA instructions of x86, four buffers interleaved.
    ShaNi,
    /// AVX2: eight buffers side by side.
    Avx2,
    /// AVX-512 (F and BW): sixteen buffers side by side.
    Avx512,
}

impl Kernel {
    /// Every kernel there is, whether or not this machine has it.
    pub const ALL: [Self; 4] = [Self::Portable, Self::ShaNi, Self::Avx2, Self::Avx512];

    /// The kernels this machine has.
    ///
    /// ```
    /// use sha256_lanes::Kernel;
    /// assert!(Kernel::available().any(|kernel| kernel == Kernel::Portable));
    /// ```
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// The fastest kernel of this machine for many buffers of one length.
    ///
    /// Measured once in each process, in less than a millisecond, because processors with the same
    /// instructions differ in how many of them they have under way at once.
    #[must_use]
    pub fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| {
            // All are timed in turn, several times: a pause of one round cannot decide.
            let kernels: Vec<Self> = Self::available().filter(|k| *k != Self::Portable).collect();
            let mut best = vec![Duration::MAX; kernels.len()];
            for _ in 0..5 {
                for (kernel, best) in kernels.iter().zip(&mut best) {
                    *best = kernel.time_of_sample().min(*best);
                }
            }
            let fastest = kernels.into_iter().zip(best).min_by_key(|(_, time)| *time);
            fastest.map_or(Self::Portable, |(kernel, _)| kernel)
        })
    }

    /// Time for sixteen buffers of 1 KiB.
    fn time_of_sample(self) -> Duration {
        let sample = [0x5a; 16 * BLOCK_LEN];
        let mut streams = Streams::with_kernel(self, 16);
        let begin = Instant::now();
        streams.update(&[&sample[..]; 16]);
        let time = begin.elapsed();
        std::hint::black_box(streams);
        time
    }

    /// Whether this machine has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi => {
                is_x86_feature_detected!("sha")
                    && is_x86_feature_detected!("ssse3")
                    && is_x86_feature_detected!("sse4.1")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Buffers hashed at a time: give multiples of it, of equal lengths, and no lane idles.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            Self::Portable => 1,
            Self::ShaNi => 4,
            Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// A short name: `portable`, `sha-ni`, `avx2`, `avx512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// What this kernel does on this machine, for a log or the head of a measurement.
    ///
    /// ```
    /// # use sha256_lanes::Kernel;
    /// assert_eq!(Kernel::Portable.path(), "portable, one buffer at a time");
    /// ```
    #[must_use]
    pub fn path(self) -> String {
        let few = || {
            let narrow = if Self::ShaNi.is_available() { Self::ShaNi } else { Self::Portable };
            format!("{} for fewer than {}", narrow.name(), crate::compress::least_active(self))
        };
        match self {
            Self::Portable => "portable, one buffer at a time".to_owned(),
            Self::ShaNi => "sha-ni, four buffers at a time".to_owned(),
            Self::Avx2 | Self::Avx512 => {
                format!("{}, {} buffers at a time; {}", self.name(), self.lanes(), few())
            }
        }
    }

    /// # Panics
    /// When this machine has not got the instructions.
    pub(crate) fn assert_available(self) {
        assert!(self.is_available(), "this machine has no {self}");
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKernel(String);

impl fmt::Display for UnknownKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown kernel {:?}; known are portable, sha-ni, avx2 and avx512", self.0)
    }
}

impl std::error::Error for UnknownKernel {}

impl std::str::FromStr for Kernel {
    type Err = UnknownKernel;

    fn from_str(name: &str) -> Result<Self, UnknownKernel> {
        let found = Self::ALL.into_iter().find(|kernel| kernel.name() == name);
        found.ok_or_else(|| UnknownKernel(name.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_the_best_is_available() {
        for kernel in Kernel::ALL {
            assert_eq!(kernel.to_string().parse(), Ok(kernel));
        }
        assert!("sse".parse::<Kernel>().unwrap_err().to_string().contains("\"sse\""));
        assert!(Kernel::best().is_available());
        assert_eq!(Kernel::best(), Kernel::best());
    }

    #[test]
    fn paths_tell_what_runs() {
        for kernel in Kernel::available() {
            assert!(kernel.path().starts_with(kernel.name()), "{}", kernel.path());
        }
    }
}
