//! Kernels for x86-64. Functions here have target features: calling one is sound only where
//! [`Kernel::is_available`](crate::Kernel::is_available) said so.

pub(crate) mod avx2;
pub(crate) mod avx512;
pub(crate) mod shani;
pub(crate) mod shani_scan;

/// Bytes that are asked for ahead of their turn. The processor sees by itself where a buffer goes on, but not
/// beyond a page, and not for as many buffers at once.
const AHEAD: usize = 1024;

/// Asks for what lies some blocks behind this one.
#[inline]
pub(crate) fn prefetch(buffer: &[u8], block: usize) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    let at = buffer.as_ptr().wrapping_add(block * crate::BLOCK_LEN + AHEAD);
    // SAFETY: a prefetch changes nothing that a program sees and faults nowhere, so beyond the end of
    // the buffer it is harmless; every x86-64 has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
}

/// The compression function over all lanes of vectors of one kind.
///
/// To be used where `add`, `splat`, `big_sigma0` and so on are functions on `$vector`, and `load_states`,
/// `store_states` and `load_block` bring lanes into vectors and back.
macro_rules! compress_lanes {
    ($vector:ty, $lanes:literal, $features:literal) => {
        /// Compresses the blocks of every lane, as many as the lane with the fewest has.
        #[target_feature(enable = $features)]
        pub(crate) fn compress(states: &mut [[u32; 8]; $lanes], data: &[&[u8]; $lanes]) {
            let blocks = data.iter().map(|lane| lane.len() / crate::BLOCK_LEN).min().unwrap_or(0);
            let mut state = load_states(states);
            for block in 0..blocks {
                data.iter().for_each(|lane| $crate::x86::prefetch(lane, block));
                let mut w = load_block(data, block);
                let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
                for group in 0..4 {
                    let k = &crate::K.0[16 * group..][..16];
                    $crate::rounds::sixteen_rounds!(a b c d e f g h, w, k, group < 3);
                }
                for (word, add_to) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                    *word = add(*word, add_to);
                }
            }
            store_states(states, &state);
        }
    };
}

pub(crate) use compress_lanes;
