//! CARs read and written by `@ipld/car`, and carried through Helia.

use super::{Peer, texts};
use crate::{bytes, small, store_file};
use medledger_core::{
    context::BodyContext,
    dek::Dek,
    envelope::{Envelope, Metadata, seal_meta},
    ids::{MemberId, ReportId},
    padding::Padding,
    rand_core::UnwrapErr,
    registry::CipherSuite,
    seal::Backend,
};
use medledger_ipfs::{
    BlockStore, Cid, MemoryStore, Processor,
    car::{CarReader, export, import},
    pipeline::{SealJob, seal_file},
    unixfs::{CidVersion, Directory, FileReader, Leaves, Profile, Root, resolve},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

/// One of our CARs, and what the file in it is.
struct Ours {
    path: PathBuf,
    root: Cid,
    /// The file, when it is not the root itself.
    body: Option<Cid>,
    /// Name of the file within a folder.
    entry: Option<&'static str>,
    blocks: Vec<String>,
    data: Vec<u8>,
}

impl Ours {
    fn sha256(&self) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(&self.data))
    }
}

fn blocks(car: &[u8]) -> Vec<String> {
    let mut reader = CarReader::new(car).unwrap();
    let mut cids = Vec::new();
    while let Some((cid, _)) = reader.next_block().unwrap() {
        cids.push(cid.to_string());
    }
    cids
}

/// A single block, trees of three levels, a folder, a sealed report.
fn ours(folder: &Path) -> Vec<Ours> {
    let store = MemoryStore::new();
    let mut all = Vec::new();
    let mut add = |name: &str, root: Cid, body: Option<Cid>, data: Vec<u8>| {
        let entry = (name == "folder").then_some("in/file.bin");
        let (car, _) = export(&store, &[root], Vec::new()).unwrap();
        let path = folder.join(format!("{name}.car"));
        std::fs::write(&path, &car).unwrap();
        all.push(Ours { path, root, body, entry, blocks: blocks(&car), data });
    };
    let data = bytes(3_000_001);
    let single = store_file(&store, &data[..1000], Profile::V1_2025).0;
    add("single", single.cid, None, data[..1000].to_vec());
    let wrapped = store_file(&store, &data[..1000], Profile::V0_2015).0;
    add("wrapped", wrapped.cid, None, data[..1000].to_vec());
    for (name, version, leaves) in
        [("deep0", CidVersion::V0, Leaves::DagPb), ("deep1", CidVersion::V1, Leaves::Raw)]
    {
        let deep = store_file(&store, &data[..50_000], small(version, leaves, 1000, 8)).0;
        add(name, deep.cid, None, data[..50_000].to_vec());
    }
    let plain = store_file(&store, &data, Profile::V1_2025).0;
    add("plain", plain.cid, None, data.clone());
    add("folder", folder_of(&store, plain), None, data.clone());
    let (envelope, body) = sealed(&store, &data);
    let mut ciphertext = Vec::new();
    FileReader::open(&store, body, None).unwrap().read_to_end(&mut ciphertext).unwrap();
    assert!(ciphertext.len() > data.len(), "what leaves is the ciphertext");
    add("sealed", envelope, Some(body), ciphertext);
    all
}

/// A folder with the file as `in/file.bin`, and another entry.
fn folder_of(store: &MemoryStore, file: Root) -> Cid {
    let put = |folder: &Directory| {
        let (root, block) = folder.encode();
        let session = store.begin().unwrap();
        session.put(&root.cid, &block).unwrap();
        session.commit(&root.cid).unwrap();
        root
    };
    let mut inner = Directory::new(Profile::V1_2025);
    inner.insert("file.bin", file.cid, file.dag_size).unwrap();
    let inner = put(&inner);
    let empty = put(&Directory::new(Profile::V1_2025));
    let mut outer = Directory::new(Profile::V1_2025);
    outer.insert("in", inner.cid, inner.tsize).unwrap();
    outer.insert("empty", empty.cid, empty.tsize).unwrap();
    let root = put(&outer).cid;
    assert_eq!(resolve(store, &root, "in/file.bin").unwrap(), file.cid);
    root
}

/// A report as an upload stores it: envelope and body.
fn sealed(store: &MemoryStore, report: &[u8]) -> (Cid, Cid) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let dek = Dek::generate(&mut rng);
    let member = MemberId::from_bytes([1; 16]);
    let report_id = ReportId::from_bytes([2; 16]);
    let context =
        BodyContext { report: report_id, version: 1, epoch: 1, patient: member, author: member };
    let job = SealJob {
        backend: Backend::best(),
        dek: &dek,
        context: &context.to_bytes(),
        padding: Padding::Padme,
        profile: Profile::default(),
    };
    let session = store.begin().unwrap();
    let body = seal_file(
        &job,
        &mut { report },
        session.as_ref(),
        &Processor::default(),
        &mut rng,
        &mut |_| {},
    )
    .unwrap();
    let metadata = Metadata::new("report.pdf", "application/pdf", body.length).unwrap();
    let envelope = Envelope {
        suite: CipherSuite::Cobblestone128,
        body: body.root,
        size: body.size,
        head: body.head,
        meta: seal_meta(&dek, &context.meta(body.root), &metadata, &mut rng).unwrap(),
    };
    session.put(&envelope.cid(), &envelope.encode()).unwrap();
    session.commit(&envelope.cid()).unwrap();
    (envelope.cid(), body.root)
}

#[test]
fn our_cars_are_read_by_ipld_car_and_the_exporter() {
    let Some(node) = Peer::node("our_cars_are_read_by_ipld_car_and_the_exporter") else { return };
    let folder = tempfile::tempdir().unwrap();
    let ours = ours(folder.path());
    let tasks: Vec<_> =
        ours.iter().map(|car| json!({ "car": car.path, "entry": car.entry })).collect();
    let answer = node.run("car.mjs", &json!({ "read": tasks }));
    let read = answer["read"].as_array().unwrap();
    assert_eq!(read.len(), ours.len());
    for (car, theirs) in ours.iter().zip(read) {
        let name = car.path.display();
        assert_eq!(texts(&theirs["roots"]), [car.root.to_string()], "{name}");
        assert_eq!(texts(&theirs["blocks"]), car.blocks, "{name}");
        assert_eq!(theirs["bytes"], car.data.len(), "{name}");
        assert_eq!(theirs["sha256"], car.sha256(), "{name}");
    }
}

/// Parents first, and, as programs write that make blocks and file in one pass, children first.
#[test]
fn cars_of_ipld_car_are_read_in_either_order() {
    let Some(node) = Peer::node("cars_of_ipld_car_are_read_in_either_order") else { return };
    let folder = tempfile::tempdir().unwrap();
    let sizes = [0, 1000, 3_000_001];
    let mut tasks = Vec::new();
    for profile in [Profile::V0_2015, Profile::V1_2025] {
        for order in ["parents first", "children first"] {
            for size in sizes {
                let path = folder.path().join(format!("{}.car", tasks.len()));
                let files = json!([{ "path": "file", "size": size }]);
                let profile = profile.to_string();
                tasks.push((
                    path.clone(),
                    size,
                    json!({ "car": path, "order": order, "profile": profile, "files": files }),
                ));
            }
        }
    }
    let job: Vec<_> = tasks.iter().map(|task| &task.2).collect();
    let answer = node.run("car.mjs", &json!({ "write": job }));
    let written = answer["write"].as_array().unwrap();
    assert_eq!(written.len(), tasks.len());
    let data = bytes(3_000_001);
    for ((path, size, _), theirs) in tasks.iter().zip(written) {
        let (root, found) = brought(path);
        assert_eq!(theirs["root"], root.to_string());
        assert!(found == data[..*size], "{}", path.display());
    }
}

#[test]
fn folders_in_cars_of_ipld_car_are_resolved() {
    let Some(node) = Peer::node("folders_in_cars_of_ipld_car_are_resolved") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.car");
    let files = json!([
        { "path": "f/in/a.bin", "size": 300_000 },
        { "path": "f/b.bin", "size": 10 },
    ]);
    let task = json!({
        "car": path, "order": "children first", "profile": "unixfs-v0-2015", "files": files,
    });
    node.run("car.mjs", &json!({ "write": [task] }));
    let store = MemoryStore::new();
    let reader = CarReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let root = import(reader, &store, &mut |_| {}).unwrap().roots[0];
    for (path, size) in [("in/a.bin", 300_000), ("b.bin", 10)] {
        let file = resolve(&store, &root, path).unwrap();
        let mut found = Vec::new();
        FileReader::open(&store, file, None).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == bytes(size), "{path}");
    }
}

/// Root and bytes of the file that a CAR brings into a store.
fn brought(path: &Path) -> (Cid, Vec<u8>) {
    let store = MemoryStore::new();
    let reader = CarReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let imported = import(reader, &store, &mut |_| {}).unwrap();
    let [root] = imported.roots[..] else { panic!("{:?}", imported.roots) };
    let mut found = Vec::new();
    FileReader::open(&store, root, None).unwrap().read_to_end(&mut found).unwrap();
    (root, found)
}

#[test]
fn our_cars_go_through_helia_and_come_back_the_same() {
    let Some(helia) = Peer::helia("our_cars_go_through_helia_and_come_back_the_same") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let ours = ours(folder.path());
    let again = |car: &Ours| car.path.with_extension("again.car");
    let tasks: Vec<_> = ours
        .iter()
        .map(|car| {
            let body = car.body.map(|body| body.to_string());
            json!({ "car": car.path, "again": again(car), "body": body, "entry": car.entry })
        })
        .collect();
    let answer = helia.run("helia.mjs", &json!({ "cars": tasks }));
    let cars = answer["cars"].as_array().unwrap();
    assert_eq!(cars.len(), ours.len());
    for (car, theirs) in ours.iter().zip(cars) {
        let name = car.path.display();
        assert_eq!(theirs["bytes"], car.data.len(), "{name}");
        assert_eq!(theirs["sha256"], car.sha256(), "{name}");
        // What Helia writes is read, and holds the same blocks.
        let theirs = std::fs::read(again(car)).unwrap();
        let mut blocks = blocks(&theirs);
        let mut expected = car.blocks.clone();
        blocks.sort();
        blocks.dedup();
        expected.sort();
        assert_eq!(blocks, expected, "{name}");
        let store = MemoryStore::new();
        let imported = import(CarReader::new(&theirs[..]).unwrap(), &store, &mut |_| {}).unwrap();
        assert_eq!(imported.roots, [car.root], "{name}");
        assert_eq!(
            export(&store, &[car.root], Vec::new()).unwrap().0,
            std::fs::read(&car.path).unwrap(),
            "{name}"
        );
    }
}
