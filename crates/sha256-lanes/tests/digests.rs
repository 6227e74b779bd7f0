//! Every kernel this machine has, against `sha2` and published vectors.
#![allow(missing_docs)]

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use sha256_lanes::{
    Digest, Kernel, Streams, digest, digest_many, digest_many_with, double_digest_many,
    double_digest_many_with,
};

fn oracle(input: &[u8]) -> Digest {
    Sha256::digest(input).into()
}

/// Bytes that differ from place to place.
fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|i| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8 ^ seed).collect()
}

#[test]
fn published_vectors() {
    // FIPS 180-4 examples and NIST's "million a" (CAVP), as printed there.
    let million = vec![b'a'; 1_000_000];
    let vectors: [(&[u8], &str); 4] = [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ];
    for kernel in Kernel::available() {
        for (input, hex) in vectors {
            for copies in [1, 2, 3, 8, 16, 17] {
                for found in digest_many_with(kernel, &vec![input; copies]) {
                    assert_eq!(data_encoding::HEXLOWER.encode(&found), hex, "{kernel}");
                }
            }
        }
    }
}

/// One to 33 buffers, so that every number of idle lanes occurs, of lengths around every boundary of a
/// block and of the padding, from addresses of every alignment.
#[test]
fn counts_lengths_and_alignments() {
    let lengths = [
        0, 1, 3, 4, 5, 54, 55, 56, 57, 63, 64, 65, 118, 119, 120, 127, 128, 129, 191, 192, 193, 320,
    ];
    let store = bytes(70_000, 7);
    for kernel in Kernel::available() {
        for count in 1..=33 {
            let inputs: Vec<&[u8]> = (0..count)
                .map(|i| &store[i * 129..][..lengths[(i * 5 + count) % lengths.len()]])
                .collect();
            let want: Vec<_> = inputs.iter().map(|input| oracle(input)).collect();
            assert_eq!(digest_many_with(kernel, &inputs), want, "{kernel}, {count} buffers");
        }
        for len in lengths {
            let inputs: Vec<&[u8]> = (0..16).map(|i| &store[i * 577..][..len]).collect();
            let want: Vec<_> = inputs.iter().map(|input| oracle(input)).collect();
            assert_eq!(digest_many_with(kernel, &inputs), want, "{kernel}, {len} bytes");
        }
    }
}

#[test]
fn long_and_short_buffers_together() {
    let inputs: Vec<Vec<u8>> = [300_000, 0, 64, 1 << 17, 100, 5_000, 70_001, 1 << 16]
        .iter()
        .map(|len| bytes(*len, *len as u8))
        .collect();
    let inputs: Vec<&Vec<u8>> = inputs.iter().cycle().take(37).collect();
    let want: Vec<_> = inputs.iter().map(|input| oracle(input)).collect();
    for kernel in Kernel::available() {
        assert_eq!(digest_many_with(kernel, &inputs), want, "{kernel}");
    }
    assert_eq!(digest_many(&inputs), want);
}

/// Lengths around the ends of blocks, and every number of buffers up to some groups of the widest kernel.
#[test]
fn double_digests_of_buffers_of_one_length() {
    fn check<const LEN: usize>() {
        let inputs: Vec<[u8; LEN]> =
            (0..50).map(|seed| bytes(LEN, seed).try_into().unwrap()).collect();
        let want: Vec<Digest> = inputs.iter().map(|input| oracle(&oracle(input))).collect();
        for kernel in Kernel::available() {
            for count in 0..=inputs.len() {
                let mut found = vec![[7; 32]];
                double_digest_many_with(kernel, &inputs[..count], &mut found);
                assert_eq!(found[0], [7; 32], "appended");
                assert_eq!(found[1..], want[..count], "{kernel}, {count} of {LEN} bytes");
            }
        }
        let mut found = Vec::new();
        double_digest_many(&inputs, &mut found);
        assert_eq!(found, want);
    }
    check::<0>();
    check::<1>();
    check::<55>();
    check::<56>();
    check::<63>();
    check::<64>();
    check::<65>();
    check::<80>();
    check::<119>();
    check::<120>();
    check::<200>();
}

#[test]
fn no_buffers_and_one() {
    assert!(digest_many::<&[u8]>(&[]).is_empty());
    assert!(Streams::new(0).finish().is_empty());
    for len in 0..300 {
        let input = bytes(len, 1);
        assert_eq!(digest(&input), oracle(&input), "{len}");
    }
}

#[test]
fn a_kernel_this_machine_has_not_got_is_refused_before_it_runs() {
    for kernel in Kernel::ALL.into_iter().filter(|kernel| !kernel.is_available()) {
        let refused = std::panic::catch_unwind(|| Streams::with_kernel(kernel, 1));
        let message = *refused.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(message, format!("this machine has no {kernel}"));
    }
}

#[test]
#[should_panic(expected = "a piece for each message")]
fn pieces_that_are_missing_are_refused() {
    Streams::new(2).update(&[b"only one"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn buffers_of_any_number_length_and_alignment(
        lengths in proptest::collection::vec(prop_oneof![0usize..400, 0usize..5000], 0..40),
        offsets in proptest::collection::vec(0usize..64, 40),
        seed in any::<u8>(),
    ) {
        let store = bytes(5_100, seed);
        let inputs: Vec<&[u8]> =
            lengths.iter().zip(&offsets).map(|(len, at)| &store[*at..][..*len]).collect();
        let want: Vec<_> = inputs.iter().map(|input| oracle(input)).collect();
        for kernel in Kernel::available() {
            prop_assert_eq!(&digest_many_with(kernel, &inputs), &want, "{}", kernel);
        }
    }

    #[test]
    fn pieces_of_any_length(
        pieces in proptest::collection::vec(proptest::collection::vec(0usize..300, 1..6), 1..20),
    ) {
        let rounds = pieces.iter().map(Vec::len).max().unwrap();
        let messages: Vec<Vec<u8>> =
            pieces.iter().zip(0..).map(|(cuts, i)| bytes(cuts.iter().sum(), i)).collect();
        let want: Vec<_> = messages.iter().map(|message| oracle(message)).collect();
        for kernel in Kernel::available() {
            let mut streams = Streams::with_kernel(kernel, messages.len());
            let mut at = vec![0; messages.len()];
            for round in 0..rounds {
                let next: Vec<&[u8]> = messages
                    .iter()
                    .zip(&pieces)
                    .zip(&mut at)
                    .map(|((message, cuts), at)| {
                        let len = cuts.get(round).copied().unwrap_or(0);
                        *at += len;
                        &message[*at - len..*at]
                    })
                    .collect();
                streams.update(&next);
            }
            prop_assert_eq!(&streams.finish(), &want, "{}", kernel);
        }
    }
}
