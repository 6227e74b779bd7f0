//! What a scan computes once for a header.

use crate::portable::{
    big_sigma0, big_sigma1, ch, compress_words, maj, small_sigma0, small_sigma1,
};
use crate::{INITIAL, K};

/// The header's 80 bytes end in the middle of a second block. Of that block words 0 to 2 are the header's,
/// word 3 is the nonce, the others are padding.
///
/// Words 16 and 17 of its schedule and all that goes into rounds 0 to 2 are constant; words 18 and 19, and
/// the state after round 3, are a constant plus something simple of the nonce; and so on until round 33.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Plan {
    /// Constants of the rounds from 4 on, with the words of the schedule that are constant too added in.
    pub(crate) k: [u32; 64],
    /// The same for rounds 4 to 6, with `h`, still one of the words of `state`, added in as well.
    pub(crate) kh: [u32; 3],
    /// The state after round 3, without the nonce that is to be added to `a` and `e`.
    pub(crate) state: [u32; 8],
    /// The state after the first block.
    pub(crate) midstate: [u32; 8],
    /// Words 16 to 19 of the schedule, the latter two without the nonce.
    pub(crate) w16: [u32; 4],
    /// What is constant in words 30 to 33 of the schedule: words 14 to 17 and the sigmas of 15 to 17.
    pub(crate) w30: [u32; 4],
    /// The header's last words but the nonce.
    tail: [u32; 3],
}

/// Padding of the 80-byte header: words 4 and 15 of its second block.
const END: u32 = 0x8000_0000;
const HEADER_BITS: u32 = 640;
/// Word 15 of the block of the second hash.
const DIGEST_BITS: u32 = 256;

/// What is constant in the second block of every header.
pub(crate) struct FirstHash {
    /// Word 4: the mark of the end.
    pub(crate) w4: u32,
    /// Word 15: the length.
    pub(crate) w15: u32,
}

pub(crate) const FIRST: FirstHash = FirstHash { w4: END, w15: HEADER_BITS };

/// What is constant in every second hash.
pub(crate) struct SecondHash {
    /// Constants of the rounds, with the words of the schedule that are constant too added in.
    pub(crate) k: [u32; 64],
    /// The same for rounds 1 to 3, with `h`, still one of the initial words, added in as well.
    pub(crate) kh: [u32; 3],
    /// What word 0 is added to, to get `a` and `e` after round 0.
    pub(crate) a: u32,
    pub(crate) e: u32,
    /// Word 8: the mark of the end.
    pub(crate) w8: u32,
    /// Word 15: the length.
    pub(crate) w15: u32,
    /// Sigmas of these words.
    pub(crate) sigma0_w8: u32,
    pub(crate) sigma0_w15: u32,
    pub(crate) sigma1_w15: u32,
}

pub(crate) static SECOND: SecondHash = second_hash();

const fn second_hash() -> SecondHash {
    let [a, b, c, d, e, f, g, h] = INITIAL;
    let mut k = K.0;
    let t1 = h.wrapping_add(big_sigma1(e)).wrapping_add(ch(e, f, g)).wrapping_add(k[0]);
    let t2 = big_sigma0(a).wrapping_add(maj(a, b, c));
    let kh = [k[1].wrapping_add(g), k[2].wrapping_add(f), k[3].wrapping_add(e)];
    k[8] = k[8].wrapping_add(END);
    k[15] = k[15].wrapping_add(DIGEST_BITS);
    SecondHash {
        k,
        kh,
        a: t1.wrapping_add(t2),
        e: d.wrapping_add(t1),
        w8: END,
        w15: DIGEST_BITS,
        sigma0_w8: small_sigma0(END),
        sigma0_w15: small_sigma0(DIGEST_BITS),
        sigma1_w15: small_sigma1(DIGEST_BITS),
    }
}

impl Plan {
    pub(crate) fn new(header: &[u8; 80]) -> Self {
        let mut words = [0; 20];
        for (word, bytes) in words.iter_mut().zip(header.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        let (first, [w0, w1, w2, _]) = words.split_first_chunk::<16>().map_or_else(
            || unreachable!("20 words are 16 and 4"),
            |(first, rest)| (*first, [rest[0], rest[1], rest[2], rest[3]]),
        );
        let mut midstate = INITIAL;
        compress_words(&mut midstate, first);

        let w16 = w0.wrapping_add(small_sigma0(w1));
        let w17 = w1.wrapping_add(small_sigma0(w2)).wrapping_add(small_sigma1(HEADER_BITS));
        let w18 = w2.wrapping_add(small_sigma1(w16));
        let w19 = small_sigma0(END).wrapping_add(small_sigma1(w17));

        let mut state = midstate;
        for (round, word) in [w0, w1, w2, 0].into_iter().enumerate() {
            let [a, b, c, d, e, f, g, h] = state;
            let t1 = h.wrapping_add(big_sigma1(e)).wrapping_add(ch(e, f, g));
            let t1 = t1.wrapping_add(K.0[round]).wrapping_add(word);
            let t2 = big_sigma0(a).wrapping_add(maj(a, b, c));
            state = [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g];
        }

        let mut k = K.0;
        for (round, word) in [(4, END), (15, HEADER_BITS), (16, w16), (17, w17)] {
            k[round] = k[round].wrapping_add(word);
        }
        let [.., f, g, h] = state;
        let kh = [k[4].wrapping_add(h), k[5].wrapping_add(g), k[6].wrapping_add(f)];
        Self {
            k,
            kh,
            state,
            midstate,
            w16: [w16, w17, w18, w19],
            w30: [
                small_sigma0(HEADER_BITS),
                HEADER_BITS.wrapping_add(small_sigma0(w16)),
                w16.wrapping_add(small_sigma0(w17)),
                w17,
            ],
            tail: [w0, w1, w2],
        }
    }

    /// The words of the double SHA-256 of the header with this nonce, computed the plain way.
    pub(crate) fn hash(&self, nonce: u32) -> [u32; 8] {
        let [w0, w1, w2] = self.tail;
        let mut block =
            [w0, w1, w2, nonce.swap_bytes(), END, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, HEADER_BITS];
        let mut digest = self.midstate;
        compress_words(&mut digest, block);
        block[..8].copy_from_slice(&digest);
        block[8..].copy_from_slice(&[END, 0, 0, 0, 0, 0, 0, DIGEST_BITS]);
        let mut state = INITIAL;
        compress_words(&mut state, block);
        state
    }
}
