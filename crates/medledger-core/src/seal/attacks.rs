//! What somebody who holds the ciphertext may try, each through every door.

use super::*;
use crate::dek::Dek;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};

const CONTEXT: &[u8] = b"context";

fn dek() -> Dek {
    Dek::from_bytes([1; 16])
}

/// Two full chunks that differ, and a short one.
fn plain() -> Vec<u8> {
    (0..2 * CHUNK_LEN + 100).map(|i| (i % 251) as u8).collect()
}

fn sealed() -> Vec<u8> {
    seal_with(Backend::best(), &dek(), &Salt::from_bytes([2; 24]), CONTEXT, &plain()).unwrap()
}

/// The chunks of a ciphertext, tags included.
fn chunks(sealed: &[u8]) -> Vec<&[u8]> {
    sealed[HEAD_LEN..].chunks(SEALED_CHUNK_LEN).collect()
}

fn join(head: &[u8], chunks: &[&[u8]]) -> Vec<u8> {
    let mut sealed = head[..HEAD_LEN].to_vec();
    chunks.iter().for_each(|chunk| sealed.extend_from_slice(chunk));
    sealed
}

/// Tries every backend and every door; the refusal must be the wanted one each time, and what a
/// stream gave out before must be a true beginning of the report.
#[track_caller]
fn refused(sealed: &[u8], wanted: impl Fn(&UnsealError) -> bool) {
    for backend in Backend::all() {
        let error = unseal_with(*backend, &dek(), CONTEXT, sealed).unwrap_err();
        assert!(wanted(&error), "one-shot, {}: {error:?}", backend.name());

        let mut out = Vec::new();
        let error = unseal_stream_with(*backend, &dek(), CONTEXT, sealed, &mut out).unwrap_err();
        assert!(wanted(&error), "stream, {}: {error:?}", backend.name());
        assert!(plain().starts_with(&out), "a stream released what was not sealed");

        let error = UnsealReader::new(*backend, &dek(), CONTEXT, sealed).and_then(|mut reader| {
            let mut all = Vec::new();
            let result = reader.read_to_end(&mut all);
            assert!(plain().starts_with(&all), "a reader released what was not sealed");
            result.map_err(|e| e.downcast::<UnsealError>().unwrap_or_else(UnsealError::Io))
        });
        let error = error.unwrap_err();
        assert!(wanted(&error), "reader, {}: {error:?}", backend.name());
    }
}

#[track_caller]
fn damaged(sealed: &[u8], at: u64) {
    refused(sealed, |e| matches!(e, UnsealError::Damaged { chunk } if *chunk == at));
}

#[track_caller]
fn wrong_key(sealed: &[u8]) {
    refused(sealed, |e| matches!(e, UnsealError::WrongKeyOrContext));
}

#[track_caller]
fn truncated(sealed: &[u8]) {
    refused(sealed, |e| matches!(e, UnsealError::Truncated));
}

#[test]
fn pitfall_05_another_key_is_refused_before_anything_is_decrypted() {
    let sealed = sealed();
    for backend in Backend::all() {
        let other = Dek::from_bytes([3; 16]);
        let error = unseal_with(*backend, &other, CONTEXT, &sealed).unwrap_err();
        assert!(matches!(error, UnsealError::WrongKeyOrContext));
        // The head alone is enough to know.
        let head = Head::try_from(&sealed[..HEAD_LEN]).unwrap();
        assert!(Unsealer::new(*backend, &other, &head, CONTEXT).is_err());
        assert!(Unsealer::new(*backend, &dek(), &head, b"other").is_err());
        assert!(Unsealer::new(*backend, &dek(), &head, CONTEXT).is_ok());
    }
}

#[test]
fn pitfall_05_every_bit_of_salt_and_commitment_counts() {
    let sealed = sealed();
    let mut head: [u8; HEAD_LEN] = sealed[..HEAD_LEN].try_into().unwrap();
    for bit in 0..HEAD_LEN * 8 {
        head[bit / 8] ^= 1 << (bit % 8);
        let result = Unsealer::new(Backend::best(), &dek(), &Head::from_bytes(head), CONTEXT);
        assert!(matches!(result, Err(UnsealError::WrongKeyOrContext)), "bit {bit}");
        head[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn pitfall_05_chunks_under_the_head_of_another_sealing_do_not_open() {
    let (a, dek_b) = (sealed(), Dek::from_bytes([3; 16]));
    let b = seal_with(Backend::best(), &dek_b, &Salt::from_bytes([2; 24]), CONTEXT, &plain());
    let b = b.unwrap();
    // The victim's head with the attacker's chunks, and the other way round.
    damaged(&join(&a, &chunks(&b)), 0);
    wrong_key(&join(&b, &chunks(&a)));
    // Same key, another salt: keys differ all the same.
    let c = seal_with(Backend::best(), &dek(), &Salt::from_bytes([4; 24]), CONTEXT, &plain());
    damaged(&join(&a, &chunks(&c.unwrap())), 0);
}

#[test]
fn pitfall_06_truncation_at_every_kind_of_place() {
    let sealed = sealed();
    for len in [0, 1, 23, 24, 55] {
        refused(&sealed[..len], |e| matches!(e, UnsealError::InvalidLength { .. }));
    }
    // Nothing after the head, or after a full chunk.
    for chunks in 0..=2 {
        truncated(&sealed[..HEAD_LEN + chunks * SEALED_CHUNK_LEN]);
    }
    // Inside a chunk: not enough for a tag, just enough, and more.
    for chunk in 0..=2u64 {
        let start = HEAD_LEN + chunk as usize * SEALED_CHUNK_LEN;
        for len in [16, 17, 60, 115] {
            damaged(&sealed[..start + len], chunk);
        }
        for backend in Backend::all() {
            for len in [1, 15] {
                let result = unseal_with(*backend, &dek(), CONTEXT, &sealed[..start + len]);
                assert!(matches!(result, Err(UnsealError::InvalidLength { .. })));
                let mut out = Vec::new();
                let cut = &sealed[..start + len];
                let result = unseal_stream_with(*backend, &dek(), CONTEXT, cut, &mut out);
                assert!(
                    matches!(result, Err(UnsealError::InvalidChunk { chunk: c, .. }) if c == chunk)
                );
            }
        }
    }
}

#[test]
fn pitfall_06_extension() {
    let sealed = sealed();
    for extra in [1, 16, 100, SEALED_CHUNK_LEN - 117] {
        damaged(&[&sealed[..], &vec![0; extra]].concat(), 2);
    }
    let c = chunks(&sealed);
    damaged(&join(&sealed, &[c[0], c[1], c[2], c[2]]), 2);
    // A message that ends with an empty chunk, and a second empty chunk behind it.
    let full = seal_with(
        Backend::best(),
        &dek(),
        &Salt::from_bytes([2; 24]),
        CONTEXT,
        &plain()[..CHUNK_LEN],
    );
    let full = full.unwrap();
    let c = chunks(&full);
    damaged(&join(&full, &[c[0], c[1], c[1]]), 1);
}

#[test]
fn pitfall_06_reorder_duplication_and_removal_of_chunks() {
    let sealed = sealed();
    let c = chunks(&sealed);
    damaged(&join(&sealed, &[c[1], c[0], c[2]]), 0);
    damaged(&join(&sealed, &[c[0], c[0], c[2]]), 1);
    damaged(&join(&sealed, &[c[0], c[0], c[1], c[2]]), 1);
    damaged(&join(&sealed, &[c[1], c[2]]), 0);
    damaged(&join(&sealed, &[c[0], c[2]]), 1);
    damaged(&join(&sealed, &[c[2]]), 0);
}

#[test]
fn pitfall_06_a_flipped_bit_in_every_region() {
    let original = sealed();
    let second = HEAD_LEN + SEALED_CHUNK_LEN;
    let third = HEAD_LEN + 2 * SEALED_CHUNK_LEN;
    for (at, chunk) in [
        (HEAD_LEN, 0),
        (HEAD_LEN + CHUNK_LEN - 1, 0),
        (HEAD_LEN + CHUNK_LEN, 0), // tag
        (second - 1, 0),
        (second, 1),
        (second + 8000, 1),
        (third - 1, 1),
        (third, 2),
        (third + 99, 2),
        (third + 100, 2), // tag
        (original.len() - 1, 2),
    ] {
        for bit in [0, 7] {
            let mut sealed = original.clone();
            sealed[at] ^= 1 << bit;
            damaged(&sealed, chunk);
        }
    }
    for at in [0, 23, 24, 55] {
        let mut sealed = original.clone();
        sealed[at] ^= 0x80;
        wrong_key(&sealed);
    }
}

#[test]
fn pitfall_06_a_range_far_from_the_damage_still_opens_but_no_length_is_vouched_for() {
    let mut sealed = sealed();
    sealed.truncate(HEAD_LEN + SEALED_CHUNK_LEN + 500);
    for backend in Backend::all() {
        let mut reader = UnsealReader::new(*backend, &dek(), CONTEXT, &sealed).unwrap();
        assert_eq!(reader.read_range(5, 1000).unwrap(), &plain()[5..1005]);
        let damaged = |e| matches!(e, UnsealError::Damaged { chunk: 1 });
        assert!(damaged(reader.len().unwrap_err()));
        assert!(damaged(reader.read_range(0, 1 << 40).unwrap_err()));
        let error = reader.seek(SeekFrom::End(0)).unwrap_err();
        assert!(damaged(error.downcast::<UnsealError>().unwrap()));
        let mut all = vec![0x33; CHUNK_LEN + 10];
        assert!(damaged(reader.read_into(0, &mut all).unwrap_err()));
        assert_eq!(all, vec![0; CHUNK_LEN + 10], "nothing is left of a failed read");
    }
}

#[test]
fn pitfall_06_the_end_is_proved_even_when_the_last_chunk_is_empty() {
    let plain = &plain()[..CHUNK_LEN];
    let salt = Salt::from_bytes([2; 24]);
    let mut sealed = seal_with(Backend::best(), &dek(), &salt, CONTEXT, plain).unwrap();
    *sealed.last_mut().unwrap() ^= 1;
    let mut reader = UnsealReader::new(Backend::best(), &dek(), CONTEXT, &sealed).unwrap();
    let mut buf = vec![0; CHUNK_LEN];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(buf, plain);
    let error = reader.read(&mut buf).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn pitfall_08_what_was_verified_is_what_is_given_even_if_the_source_changes() {
    /// Gives the true bytes at first and zeros later.
    struct Turncoat(Vec<u8>, AtomicUsize);
    impl ReadAt for Turncoat {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
            self.0.read_at(offset, buf)?;
            if self.1.fetch_add(1, Ordering::SeqCst) >= 2 {
                buf.fill(0);
            }
            Ok(())
        }
    }
    let source = Turncoat(sealed(), AtomicUsize::new(0));
    let mut reader = UnsealReader::new(Backend::best(), &dek(), CONTEXT, source).unwrap();
    assert_eq!(reader.read_range(10, 10).unwrap(), &plain()[10..20]);
    assert_eq!(reader.read_range(20, 10).unwrap(), &plain()[20..30], "from the verified chunk");
    let error = reader.read_range(CHUNK_LEN as u64, 1).unwrap_err();
    assert!(matches!(error, UnsealError::Damaged { chunk: 1 }));
}

/// Something sealed that claims any length: its end is true, in between there is nothing.
struct Hollow {
    size: u64,
    tail: Vec<u8>,
}

impl ReadAt for Hollow {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let tail = self.size - self.tail.len() as u64;
        let at = offset.checked_sub(tail).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.tail.read_at(at, buf)
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn a_lying_length_allocates_nothing_before_the_end_is_proved() {
    // 1 PiB of plaintext, claimed by who has the key: only the last chunk exists, if that.
    let last = 1 << 36;
    let size = HEAD_LEN as u64 + last * SEALED_CHUNK_LEN as u64 + 1 + TAG_LEN as u64;
    let salt = Salt::from_bytes([2; 24]);
    let mut sealer = ChunkSealer::new(Backend::best(), &dek(), &salt, CONTEXT);
    let head = *sealer.head();
    sealer.skip_to(last);
    let mut tail = vec![0; 1 + TAG_LEN];
    sealer.finish(b"x", &mut tail).unwrap();
    let open = |tail: Vec<u8>| {
        let source = Hollow { size, tail };
        UnsealReader::with_head(Backend::best(), &dek(), &head, CONTEXT, source).unwrap()
    };
    let whole = usize::try_from(last * CHUNK_LEN as u64 + 1).unwrap();
    let error = open(vec![0; 1 + TAG_LEN]).read_range(0, whole).unwrap_err();
    assert!(matches!(error, UnsealError::Damaged { chunk } if chunk == last), "{error}");
    let error = open(tail.clone()).read_range(0, whole).unwrap_err();
    assert!(matches!(error, UnsealError::NoMemory { .. } | UnsealError::Io(_)), "{error}");
    // Claimed lengths that fit the address space only: nothing is touched that was not verified.
    let error = open(tail).read_range(0, 1 << 33).unwrap_err();
    assert!(matches!(error, UnsealError::NoMemory { .. } | UnsealError::Io(_)), "{error}");
}

#[test]
fn ranges_and_seeks_beyond_the_end() {
    let (plain, sealed) = (plain(), sealed());
    let len = plain.len() as u64;
    let mut reader = UnsealReader::new(Backend::best(), &dek(), CONTEXT, &sealed).unwrap();
    assert_eq!(reader.read_range(len, 0).unwrap(), b"");
    for (offset, n) in
        [(len, 1), (len + 1, 0), (0, plain.len() + 1), (u64::MAX, 1), (1, usize::MAX)]
    {
        let result = reader.read_range(offset, n);
        assert!(
            matches!(result, Err(UnsealError::OutOfRange { plain_len, .. }) if plain_len == len)
        );
    }
    assert_eq!(reader.seek(SeekFrom::End(-3)).unwrap(), len - 3);
    let mut tail = Vec::new();
    reader.read_to_end(&mut tail).unwrap();
    assert_eq!(tail, plain[plain.len() - 3..]);
    assert_eq!(reader.seek(SeekFrom::Current(-1)).unwrap(), len - 1);
    assert!(reader.seek(SeekFrom::Current(i64::MIN)).is_err());
    assert_eq!(reader.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
}

#[test]
fn padding_is_not_seen_when_the_true_length_is_known() {
    use crate::padding::{PaddedReader, Padding};
    let plain = plain();
    let mut padded = PaddedReader::new(&plain[..], Padding::Padme);
    let mut sealed = Vec::new();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    seal_stream(&dek(), CONTEXT, &mut padded, &mut sealed, &mut rng).unwrap();
    let padded_len = Padding::Padme.padded_len(plain.len() as u64).unwrap();
    assert_eq!(plain_len(sealed.len() as u64).unwrap(), padded_len);
    assert!(padded_len > plain.len() as u64);

    let open = || UnsealReader::new(Backend::best(), &dek(), CONTEXT, &sealed).unwrap();
    let mut reader = open().with_true_len(padded.true_len()).unwrap();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, plain);
    assert_eq!(reader.len().unwrap(), plain.len() as u64);
    assert_eq!(reader.seek(SeekFrom::End(0)).unwrap(), plain.len() as u64);
    assert!(reader.read_range(plain.len() as u64, 1).is_err());
    assert!(matches!(open().with_true_len(padded_len + 1), Err(UnsealError::OutOfRange { .. })));
}

#[test]
fn public_types_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<ChunkSealer>();
    check::<Segment>();
    check::<Sealer>();
    check::<SealingReader<std::io::Empty>>();
    check::<Unsealer>();
    check::<UnsealReader<Vec<u8>>>();
    check::<Box<dyn ReadAt>>();
    check::<UnsealError>();
    check::<SealError>();
}
