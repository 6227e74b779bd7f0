//! Reading ranges: the right bytes, and no more blocks than needed.

use crate::{KINDS, bytes, in_memory, small};
use medledger_ipfs::{
    Block, BlockRead, BlockStore, Cid, MemoryStore, StoreError,
    unixfs::{CidVersion, FileReader, Leaves, Profile},
};
use proptest::prelude::*;
use std::{
    io::{Read, Seek, SeekFrom},
    sync::{Arc, Mutex},
};

/// Notes which blocks are asked for.
struct Counting {
    store: MemoryStore,
    asked: Mutex<Vec<Cid>>,
}

impl BlockRead for Counting {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.asked.lock().unwrap().push(*cid);
        self.store.get(cid)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.has(cid)
    }
}

#[test]
fn every_range_of_small_files_is_right() {
    for (version, leaves) in KINDS {
        for len in [0, 1, 3, 4, 5, 23, 24, 25, 49] {
            let data = bytes(len);
            let (store, root) = in_memory(&data, small(version, leaves, 3, 2));
            let reader = FileReader::open(&store, root.cid, Some(len as u64)).unwrap();
            assert_eq!(reader.size(), len as u64);
            for from in 0..len + 2 {
                for to in from..len + 3 {
                    let mut buffer = vec![0xaa; to - from];
                    let n = reader.read_at(from as u64, &mut buffer).unwrap();
                    let expected = &data[from.min(len)..to.min(len)];
                    assert_eq!(&buffer[..n], expected, "{from}..{to} of {len}");
                }
            }
            assert_eq!(reader.read_at(u64::MAX, &mut [0; 8]).unwrap(), 0);
        }
    }
}

#[test]
fn small_steps_fetch_each_leaf_once_and_a_range_only_its_path() {
    let data = bytes(8 * 1000);
    // 1000 leaves of 8 bytes under 100 + 10 + 1 nodes.
    let (store, root) = in_memory(&data, small(CidVersion::V1, Leaves::Raw, 8, 10));
    let store = Arc::new(Counting { store, asked: Mutex::default() });
    let mut reader =
        FileReader::open(Arc::clone(&store) as Arc<dyn BlockRead>, root.cid, None).unwrap();
    let mut out = Vec::new();
    let mut piece = [0; 3];
    while let n @ 1.. = reader.read(&mut piece).unwrap() {
        out.extend_from_slice(&piece[..n]);
    }
    assert_eq!(out, data);
    assert_eq!(store.asked.lock().unwrap().len(), 1 + 10 + 100 + 1000);

    let reader = FileReader::open(Arc::clone(&store), root.cid, None).unwrap();
    store.asked.lock().unwrap().clear();
    // Two leaves below the same node: the path of two nodes, and they.
    reader.read_at(4096 + 7, &mut [0; 2]).unwrap();
    assert_eq!(store.asked.lock().unwrap().len(), 2 + 2);
    reader.read_at(4096 + 9, &mut [0; 7]).unwrap();
    assert_eq!(store.asked.lock().unwrap().len(), 2 + 2, "the leaf is at hand");
    reader.read_at(0, &mut [0; 1]).unwrap();
    assert_eq!(store.asked.lock().unwrap().len(), 4 + 3, "another path from the root");
}

#[test]
fn one_reader_serves_several_threads() {
    let data = bytes(5000);
    let (store, root) = in_memory(&data, small(CidVersion::V0, Leaves::DagPb, 64, 3));
    let reader = FileReader::open(&store, root.cid, None).unwrap();
    std::thread::scope(|scope| {
        for step in [7usize, 64, 65, 900] {
            let (reader, data) = (&reader, &data);
            scope.spawn(move || {
                for from in (0..5000).step_by(step) {
                    let mut buffer = vec![0; step];
                    let n = reader.read_at(from as u64, &mut buffer).unwrap();
                    assert_eq!(&buffer[..n], &data[from..(from + step).min(5000)]);
                }
            });
        }
    });
}

#[test]
fn seeking_goes_where_it_says() {
    let data = bytes(100);
    let (store, root) = in_memory(&data, small(CidVersion::V1, Leaves::Raw, 7, 3));
    let mut reader = FileReader::open(&store, root.cid, None).unwrap();
    assert_eq!(reader.seek(SeekFrom::End(-10)).unwrap(), 90);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, &data[90..]);
    assert_eq!(reader.seek(SeekFrom::Current(-50)).unwrap(), 50);
    assert!(reader.seek(SeekFrom::Current(-51)).is_err());
    assert_eq!(reader.stream_position().unwrap(), 50);
    assert_eq!(reader.seek(SeekFrom::Start(1000)).unwrap(), 1000);
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_default_profile_reads_back() {
    let data = bytes(3 * (1 << 20) + 12345);
    for name in Profile::names() {
        let (store, root) = in_memory(&data, name.parse().unwrap());
        let mut out = Vec::new();
        FileReader::open(&store, root.cid, None).unwrap().read_to_end(&mut out).unwrap();
        assert!(out == data, "{name}");
    }
}

proptest! {
    #[test]
    fn any_range_of_any_file_is_right(
        len in 0..3000usize, kind in 0..4usize, chunk in 1..200usize, width in 2..9usize,
        ranges in proptest::collection::vec((0..3100usize, 0..500usize), 1..10),
    ) {
        let data = bytes(len);
        let (version, leaves) = KINDS[kind];
        let (store, root) = in_memory(&data, small(version, leaves, chunk, width));
        let reader = FileReader::open(&store, root.cid, None).unwrap();
        for (from, want) in ranges {
            let mut buffer = vec![0; want];
            let n = reader.read_at(from as u64, &mut buffer).unwrap();
            prop_assert_eq!(&buffer[..n], &data[from.min(len)..(from + want).min(len)]);
        }
    }
}

#[test]
fn a_mebibyte_of_a_sealed_report_costs_two_leaves_or_three() {
    use medledger_core::{
        cid::Codec,
        dek::Dek,
        padding::Padding,
        seal::{Backend, UnsealReader},
    };
    use medledger_ipfs::{
        BlockStore, Processor,
        pipeline::{SealJob, seal_file},
    };
    const MIB: usize = 1 << 20;
    let report = bytes(9 * MIB);
    let dek = Dek::from_bytes([7; 16]);
    let job = SealJob {
        backend: Backend::best(),
        dek: &dek,
        context: b"context",
        padding: Padding::None,
        profile: Profile::default(),
    };
    let store = MemoryStore::new();
    let session = store.begin().unwrap();
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let body = seal_file(
        &job,
        &mut &report[..],
        session.as_ref(),
        &Processor::default(),
        &mut rng,
        &mut |_| {},
    )
    .unwrap();
    session.commit(&body.root).unwrap();
    let counting = Counting { store, asked: Mutex::default() };
    for offset in [4 * MIB, 4 * MIB + 1, 5 * MIB - 1, 5 * MIB - 12_345, 3 * MIB + 777_777] {
        counting.asked.lock().unwrap().clear();
        let file = FileReader::open(&counting, body.root, Some(body.size)).unwrap();
        let mut reader =
            UnsealReader::with_head(job.backend, &dek, &body.head, b"context", file).unwrap();
        assert_eq!(reader.read_range(offset as u64, MIB).unwrap(), report[offset..][..MIB]);
        let asked = counting.asked.lock().unwrap();
        let leaves = asked.iter().filter(|cid| cid.codec() == Codec::Raw).count();
        assert!((2..=3).contains(&leaves), "{leaves} leaves for a MiB from {offset}");
        assert_eq!(asked.len(), leaves + 1, "and the root");
    }
}

/// A store that is asked for several blocks at once, and notes how many.
struct Together {
    store: MemoryStore,
    asked: Mutex<Vec<usize>>,
}

impl BlockRead for Together {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.asked.lock().unwrap().push(1);
        self.store.get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.asked.lock().unwrap().push(cids.len());
        cids.iter().map(|cid| self.store.get(cid)).collect()
    }

    fn read_ahead(&self) -> usize {
        4
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.has(cid)
    }
}

#[test]
fn a_stream_is_read_ahead_and_a_range_no_further_than_it_goes() {
    let data = bytes(95);
    let (store, root) = in_memory(&data, small(CidVersion::V1, Leaves::Raw, 3, 8));
    let together = Together { store, asked: Mutex::default() };
    let mut reader = FileReader::open(&together, root.cid, None).unwrap();
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all, data);
    let asked = std::mem::take(&mut *together.asked.lock().unwrap());
    assert!(asked.contains(&4) && asked.len() < 20, "32 leaves and 5 nodes: {asked:?}");

    // Two leaves: two are asked for, and their node.
    let reader = FileReader::open(&together, root.cid, None).unwrap();
    let mut range = [0; 6];
    assert_eq!(reader.read_at(30, &mut range).unwrap(), 6);
    assert_eq!(range, data[30..36]);
    let asked = std::mem::take(&mut *together.asked.lock().unwrap());
    assert_eq!(asked, [1, 1, 2], "the root, a node, two leaves together");
    // Every range, in whatever order.
    for (from, to) in [(50, 80), (0, 95), (94, 95), (10, 11), (11, 40), (3, 3)] {
        let mut range = vec![0; to - from];
        assert_eq!(reader.read_at(from as u64, &mut range).unwrap(), to - from);
        assert_eq!(range, data[from..to]);
    }
}

/// What lies before a hole comes out, wherever reading ahead met it.
#[test]
fn a_hole_ahead_does_not_keep_back_what_is_before_it() {
    let data = bytes(60);
    let (store, root) = in_memory(&data, small(CidVersion::V1, Leaves::Raw, 3, 20));
    store.unpin(&root.cid).unwrap();
    let gone = Cid::of(medledger_ipfs::cid::Codec::Raw, &data[21..24]);
    assert!(store.delete(&gone).unwrap());
    let together = Together { store, asked: Mutex::default() };
    let mut reader = FileReader::open(&together, root.cid, None).unwrap();
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(read, data[..21]);
}

/// A store that sends whole files, each block once, and notes what is asked for by itself. After so many blocks
/// the stream breaks off.
struct Streaming {
    counting: Counting,
    streams: Mutex<usize>,
    breaks_after: usize,
}

impl Streaming {
    fn new(store: MemoryStore, breaks_after: usize) -> Self {
        let counting = Counting { store, asked: Mutex::default() };
        Self { counting, streams: Mutex::default(), breaks_after }
    }

    fn asked(&self) -> usize {
        std::mem::take(&mut *self.counting.asked.lock().unwrap()).len()
    }
}

impl BlockRead for Streaming {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.counting.get(cid)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.counting.has(cid)
    }

    fn stream(&self, root: &Cid) -> Option<medledger_ipfs::store::BlockStream> {
        *self.streams.lock().unwrap() += 1;
        let (mut due, mut met, mut all) = (vec![*root], std::collections::HashSet::new(), vec![]);
        while let Some(cid) = due.pop() {
            if met.insert(cid) {
                let block = self.counting.store.get(&cid).unwrap().unwrap();
                let links = medledger_ipfs::links::links_of(cid.codec(), &block).unwrap();
                due.extend(links.into_iter().rev());
                all.push(Ok((cid, block)));
            }
        }
        if all.len() > self.breaks_after {
            all.truncate(self.breaks_after);
            all.push(Err(StoreError::SessionFailed));
        }
        Some(Box::new(all.into_iter()))
    }
}

#[test]
fn a_long_file_that_is_read_from_its_beginning_comes_as_one_stream() {
    let data = bytes(9 << 20);
    // 72 leaves below nodes of ten.
    let profile = small(CidVersion::V1, Leaves::Raw, 128 << 10, 10);
    let (store, root) = in_memory(&data, profile);
    let streaming = Streaming::new(store, usize::MAX);
    let mut all = Vec::new();
    FileReader::open(&streaming, root.cid, None).unwrap().read_to_end(&mut all).unwrap();
    assert!(all == data);
    // The root, a node and the first leaf, before it was clear how it would go on.
    assert_eq!((streaming.asked(), *streaming.streams.lock().unwrap()), (3, 1));
    // In steps by place, as a report is opened.
    let reader = FileReader::open(&streaming, root.cid, None).unwrap();
    let mut step = vec![0; 100_000];
    for (at, expected) in data.chunks(step.len()).enumerate() {
        let n = reader.read_at((at * 100_000) as u64, &mut step).unwrap();
        assert!(step[..n] == *expected);
    }
    assert_eq!((streaming.asked(), *streaming.streams.lock().unwrap()), (3, 2));
    // A jump ends it, and ranges never begin one.
    let mut reader = FileReader::open(&streaming, root.cid, None).unwrap();
    for from in [5 << 20, 6 << 20, 1 << 20] {
        reader.seek(SeekFrom::Start(from)).unwrap();
        let mut some = vec![0; 300_000];
        reader.read_exact(&mut some).unwrap();
        assert!(some == data[from as usize..][..300_000]);
    }
    assert_eq!(*streaming.streams.lock().unwrap(), 2);
}

#[test]
fn what_a_stream_does_not_give_is_asked_for() {
    let profile = small(CidVersion::V1, Leaves::Raw, 128 << 10, 10);
    // Broken off anywhere, and with leaves that stand in the file more than once and come once.
    let same = [bytes(1 << 20), vec![7; 3 << 20], bytes(1 << 20), bytes(2 << 20)].concat();
    for (data, breaks_after) in [(bytes(7 << 20), 2), (bytes(7 << 20), 40), (same, usize::MAX)] {
        let (store, root) = in_memory(&data, profile);
        let streaming = Streaming::new(store, breaks_after);
        let mut all = Vec::new();
        FileReader::open(&streaming, root.cid, None).unwrap().read_to_end(&mut all).unwrap();
        assert!(all == data, "{breaks_after}");
    }
}
