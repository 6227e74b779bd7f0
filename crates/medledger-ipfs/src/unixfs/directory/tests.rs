use super::*;
use crate::store::{BlockStore, MemoryStore};
use crate::unixfs::{Leaves, cid_of};
use proptest::prelude::*;

fn raw(text: &[u8]) -> Cid {
    Cid::of(Codec::Raw, text)
}

fn node(links: &[(&str, u64)], data: Option<&[u8]>) -> Vec<u8> {
    let links = links.iter().map(|(name, tsize)| PbLink { cid: raw(b"x"), name, tsize: *tsize });
    PbNode { links: links.collect(), data }.encode()
}

#[test]
fn known_folders_have_their_known_cids() {
    for (profile, empty) in [
        (Profile::V0_2015, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
        (Profile::V1_2025, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
    ] {
        let (root, block) = Directory::new(profile).encode();
        assert_eq!((root.cid.to_string().as_str(), root.tsize), (empty, block.len() as u64));
        assert_eq!(block, [0x0a, 2, 8, 1]);
        assert_eq!(Directory::decode(&block), Ok(vec![]));
    }
    let mut planets = Directory::new(Profile::V0_2015);
    for name in ["venus", "mars"] {
        let text = format!("Hello {}{}!\n", name[..1].to_uppercase(), &name[1..]);
        let file = cid_of(text.as_bytes(), Profile::V0_2015).unwrap();
        planets.insert(&format!("{name}.txt"), file.cid, file.dag_size).unwrap();
    }
    let expected = "QmWSgS32xQEcXMeqd3YPJLrNBLSdsfYCep2U7CFkyrjXwY";
    assert_eq!(planets.encode().0.cid.to_string(), expected);
}

#[test]
fn names_that_mislead_are_refused_on_the_way_in_and_out() {
    let mut folder = Directory::new(Profile::V1_2025);
    let long = "n".repeat(256);
    for name in ["", ".", "..", "a/b", "/", "a\0"] {
        let error = DirectoryError::Name(name.into());
        assert_eq!(folder.insert(name, raw(b"x"), 1), Err(error.clone()));
        assert_eq!(Directory::decode(&node(&[(name, 1)], Some(&MESSAGE))), Err(error));
    }
    let error = DirectoryError::NameTooLong { found: 256, limit: 255 };
    assert_eq!(folder.insert(&long, raw(b"x"), 1), Err(error));
    folder.insert(&long[1..], raw(b"x"), 1).unwrap();
    folder.insert("a", raw(b"x"), 1).unwrap();
    let twice = Err(DirectoryError::Duplicate("a".into()));
    assert_eq!(folder.insert("a", raw(b"y"), 1), twice);
    assert_eq!(Directory::decode(&node(&[("a", 1), ("a", 2)], Some(&MESSAGE))).map(drop), twice);
    assert_eq!(
        Directory::decode(&node(&[("b", 1), ("a", 2)], Some(&MESSAGE))),
        Err(DirectoryError::Order("a".into()))
    );
}

#[test]
fn other_things_are_no_folders() {
    use DirectoryError as E;
    for (data, error) in [
        (None, E::NotADirectory),
        (Some(&[8, 2, 0x18, 0][..]), E::NotADirectory),
        (Some(&[8, 1, 0x18, 0]), E::NotADirectory),
        (Some(&[8, 5, 0x12, 1, 1, 0x28, 0x22, 0x30, 0x80, 2]), E::Sharded),
    ] {
        assert_eq!(Directory::decode(&node(&[], data)), Err(error));
    }
    assert!(matches!(Directory::decode(b"noise"), Err(E::Pb(_))));
}

/// Where IPFS would shard, as IPIP-0499 counts: names and CIDs, or the whole block.
#[test]
fn pitfall_38_folders_end_where_sharding_would_begin() {
    let fill = |profile: Profile, name: usize| {
        let mut folder = Directory::new(profile);
        let mut count = 0;
        loop {
            let name = format!("{count:0name$}");
            match folder.insert(&name, raw(b"x"), 1) {
                Ok(()) => count += 1,
                Err(error) => return (folder, count, error),
            }
        }
    };
    // 28 bytes of name and 36 of CID divide the limit exactly; one more entry is too many.
    let (folder, count, error) = fill(Profile::V0_2015, 28);
    assert_eq!(count, MAX_DIRECTORY_BYTES / 64);
    let found = MAX_DIRECTORY_BYTES + 64;
    assert_eq!(error, DirectoryError::TooLarge { found, limit: MAX_DIRECTORY_BYTES });
    assert!(folder.encode().1.len() > MAX_DIRECTORY_BYTES);
    let (folder, _, error) = fill(Profile::V1_2025, 28);
    let len = folder.encode().1.len();
    assert!(len <= MAX_DIRECTORY_BYTES && len > MAX_DIRECTORY_BYTES - 80, "{len}");
    assert!(matches!(error, DirectoryError::TooLarge { .. }));
}

#[test]
fn paths_lead_down_and_say_where_they_end() {
    let store = MemoryStore::new();
    let put = |cid: &Cid, block: &[u8]| {
        let session = store.begin().unwrap();
        session.put(cid, block).unwrap();
        session.commit(cid).unwrap();
    };
    let profile = Profile::custom(CidVersion::V1, Leaves::Raw, 1024, 8).unwrap();
    let file = raw(b"x");
    put(&file, b"x");
    let mut inner = Directory::new(profile);
    inner.insert("x.txt", file, 1).unwrap();
    inner.insert("absent", raw(b"absent"), 6).unwrap();
    let (inner, block) = inner.encode();
    put(&inner.cid, &block);
    let mut outer = Directory::new(profile);
    outer.insert("in", inner.cid, inner.tsize).unwrap();
    outer.insert("lost", Cid::of(Codec::DagPb, b"lost"), 4).unwrap();
    let (outer, block) = outer.encode();
    put(&outer.cid, &block);
    let at = |path: &str| resolve(&store, &outer.cid, path);
    assert_eq!(at("").unwrap(), outer.cid);
    assert_eq!(at("in").unwrap(), inner.cid);
    assert_eq!(at("in/x.txt").unwrap(), file);
    // Named is not fetched: only folders on the way are read.
    assert_eq!(at("in/absent").unwrap(), raw(b"absent"));
    assert!(
        matches!(at("in/y"), Err(ResolveError::NotFound { folder, .. }) if folder == inner.cid)
    );
    assert!(matches!(at("in/x.txt/z"), Err(ResolveError::Folder { cid, .. }) if cid == file));
    assert!(matches!(at("lost/x"), Err(ResolveError::Missing { .. })));
    for bad in ["/", "in//x.txt", "in/", "../in", "in/./x.txt"] {
        assert!(matches!(at(bad), Err(ResolveError::Name(_))), "{bad}");
    }
    let deep = vec!["in"; 100].join("/");
    assert!(at(&deep).is_err());
}

proptest! {
    #[test]
    fn what_is_written_reads_back_and_what_is_read_is_written_alike(
        names in proptest::collection::btree_set("[a-zA-Z0-9 ._äß-]{1,20}", 0..20),
        noise in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut folder = Directory::new(Profile::V1_2025);
        let names: Vec<_> =
            names.into_iter().filter(|name| name != "." && name != "..").collect();
        for (tsize, name) in names.iter().rev().enumerate() {
            folder.insert(name, raw(name.as_bytes()), tsize as u64).unwrap();
        }
        let block = folder.encode().1;
        let entries = Directory::decode(&block).unwrap();
        prop_assert_eq!(entries.iter().map(|e| e.name.clone()).collect::<Vec<_>>(), names);
        for block in [block, noise] {
            if let Ok(entries) = Directory::decode(&block) {
                let mut again = Directory::new(Profile::V1_2025);
                for entry in &entries {
                    again.insert(&entry.name, entry.cid, entry.tsize).unwrap();
                }
                prop_assert_eq!(again.encode().1, block);
            }
        }
    }
}
