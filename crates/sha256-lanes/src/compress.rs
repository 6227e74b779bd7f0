//! Work of unequal length shared out over the lanes of a kernel.

use crate::many::double_group;
use crate::{Digest, Kernel, portable};

/// Whole blocks waiting to go into a state.
pub(crate) struct Job<'a> {
    pub(crate) state: &'a mut [u32; 8],
    /// A multiple of 64 bytes.
    pub(crate) data: &'a [u8],
}

/// How many lanes must have work for a wide kernel to be worth it: with fewer, the SHA instructions do
/// the same sooner, or plain code where there are none.
pub(crate) fn least_active(kernel: Kernel) -> usize {
    match (kernel, Kernel::ShaNi.is_available()) {
        (Kernel::Avx512, true) => 12,
        (Kernel::Avx2, true) => 8,
        (Kernel::Avx2 | Kernel::Avx512, false) => 3,
        _ => 1,
    }
}

/// Takes all blocks of all jobs.
///
/// # Panics
/// When this machine has not got the kernel.
pub(crate) fn compress_all(kernel: Kernel, jobs: &mut [Job<'_>]) {
    kernel.assert_available();
    #[cfg(target_arch = "x86_64")]
    {
        use crate::x86::{avx2, avx512};
        let least = least_active(kernel);
        match kernel {
            // SAFETY: the kernel is available, so the features of its functions are there.
            Kernel::Avx512 => run_lanes(jobs, least, |s, d| unsafe { avx512::compress(s, d) }),
            // SAFETY: as above.
            Kernel::Avx2 => run_lanes(jobs, least, |s, d| unsafe { avx2::compress(s, d) }),
            Kernel::ShaNi | Kernel::Portable => {}
        }
        if kernel != Kernel::Portable && Kernel::ShaNi.is_available() {
            run_lanes(jobs, 4, compress_sha::<4>);
            run_lanes(jobs, 2, compress_sha::<2>);
        }
    }
    for job in jobs {
        match kernel {
            Kernel::Portable => portable::compress(job.state, job.data),
            _ => compress_one(job.state, job.data),
        }
        job.data = &[];
    }
}

/// Appends the double digests of buffers of one length: whole groups by the kernel, what is left of them by
/// narrower ones.
///
/// # Panics
/// When this machine has not got the kernel.
pub(crate) fn compress_groups<const LEN: usize>(
    kernel: Kernel,
    inputs: &[[u8; LEN]],
    digests: &mut Vec<Digest>,
) {
    kernel.assert_available();
    let mut rest = inputs;
    #[cfg(target_arch = "x86_64")]
    {
        use crate::x86::{avx2, avx512};
        match kernel {
            Kernel::Avx512 => {
                // SAFETY: the kernel is available, so the features of its functions are there.
                rest = whole_groups(rest, digests, |s, d| unsafe { avx512::compress(s, d) });
            }
            Kernel::Avx2 => {
                // SAFETY: as above.
                rest = whole_groups(rest, digests, |s, d| unsafe { avx2::compress(s, d) });
            }
            Kernel::ShaNi | Kernel::Portable => {}
        }
        if kernel != Kernel::Portable && Kernel::ShaNi.is_available() {
            rest = whole_groups(rest, digests, compress_sha::<4>);
        }
    }
    whole_groups(rest, digests, |states: &mut [[u32; 8]; 1], data: &[&[u8]; 1]| match kernel {
        Kernel::Portable => portable::compress(&mut states[0], data[0]),
        _ => compress_one(&mut states[0], data[0]),
    });
}

/// Appends the double digests of as many groups of `L` buffers as there are; gives what is left.
fn whole_groups<'a, const L: usize, const LEN: usize>(
    inputs: &'a [[u8; LEN]],
    digests: &mut Vec<Digest>,
    compress: impl Fn(&mut [[u32; 8]; L], &[&[u8]; L]),
) -> &'a [[u8; LEN]] {
    let (groups, rest) = inputs.as_chunks::<L>();
    for group in groups {
        digests.extend(double_group(group, &compress));
    }
    rest
}

/// Takes the blocks of one buffer, with the SHA instructions where they are.
pub(crate) fn compress_one(state: &mut [u32; 8], data: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if Kernel::ShaNi.is_available() {
        return compress_sha::<1>(std::array::from_mut(state), &[data]);
    }
    portable::compress(state, data);
}

/// # Panics
/// When this machine has no SHA instructions.
#[cfg(target_arch = "x86_64")]
fn compress_sha<const N: usize>(states: &mut [[u32; 8]; N], data: &[&[u8]; N]) {
    use crate::x86::shani;
    Kernel::ShaNi.assert_available();
    if is_x86_feature_detected!("avx") {
        // SAFETY: the SHA instructions are there, and AVX is.
        unsafe { shani::compress_avx(states, data) }
    } else {
        // SAFETY: the SHA instructions are there.
        unsafe { shani::compress(states, data) }
    }
}

/// Runs jobs side by side while at least `least` of them have work; what is left stays in the jobs.
/// `compress` is given as many blocks of every lane as all of them have.
#[cfg(target_arch = "x86_64")]
fn run_lanes<const L: usize>(
    jobs: &mut [Job<'_>],
    least: usize,
    compress: impl Fn(&mut [[u32; 8]; L], &[&[u8]; L]),
) {
    let mut waiting: Vec<usize> = (0..jobs.len()).filter(|i| !jobs[*i].data.is_empty()).collect();
    // From the end, the longest first: what starts late is short, and all lanes end together.
    waiting.sort_by_key(|i| jobs[*i].data.len());
    let mut states = [[0; 8]; L];
    let mut lanes: [Option<usize>; L] = [None; L];
    loop {
        for (lane, state) in lanes.iter_mut().zip(&mut states) {
            if lane.is_none()
                && let Some(job) = waiting.pop()
            {
                *lane = Some(job);
                *state = *jobs[job].state;
            }
        }
        let working = lanes.iter().flatten();
        if working.clone().count() < least.max(1) {
            break;
        }
        let shortest = working.map(|job| jobs[*job].data).min_by_key(|data| data.len());
        let Some(shortest) = shortest else { break };
        let len = shortest.len();
        // A lane without a job goes along with another's data, for nothing.
        let data = lanes.map(|lane| lane.map_or(shortest, |job| &jobs[job].data[..len]));
        compress(&mut states, &data);
        for (lane, state) in lanes.iter_mut().zip(&states) {
            let Some(job) = *lane else { continue };
            let job = &mut jobs[job];
            job.data = &job.data[len..];
            *job.state = *state;
            if job.data.is_empty() {
                *lane = None;
            }
        }
    }
}
