//! Which CID a file gets, by `ipfs-unixfs-importer`.

use super::{Peer, texts};
use crate::{KINDS, bytes, small};
use medledger_ipfs::unixfs::{CidVersion, FolderOptions, Leaves, Profile, add_folder, cid_of};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Sizes at, just before and just behind where leaves and levels begin.
fn boundaries(profile: Profile, most: usize) -> BTreeSet<usize> {
    let mut sizes = BTreeSet::from([0]);
    let mut unit = profile.chunk();
    while unit <= most {
        for count in 1..=3 {
            let at = unit * count;
            sizes.extend([at - 1, at, at + 1, at + profile.chunk()]);
        }
        unit *= profile.width();
    }
    sizes.retain(|size| *size <= most);
    sizes
}

fn case(profile: Profile, size: usize) -> Value {
    let files = json!([{ "path": "file", "size": size }]);
    match profile {
        Profile::V0_2015 | Profile::V1_2025 => {
            json!({ "profile": profile.to_string(), "files": files })
        }
        _ => json!({
            "cidVersion": if profile.version() == CidVersion::V0 { 0 } else { 1 },
            "rawLeaves": profile.leaves() == Leaves::Raw,
            "chunk": profile.chunk(),
            "width": profile.width(),
            "files": files,
        }),
    }
}

#[test]
fn hundreds_of_sizes_around_every_boundary_get_the_cid_of_the_importer() {
    let test = "hundreds_of_sizes_around_every_boundary_get_the_cid_of_the_importer";
    let Some(node) = Peer::node(test) else { return };
    let mut cases: Vec<(Profile, usize)> = Vec::new();
    // A level of the profiles with 174 links begins at 43.5 MiB, of the one with 1024 at 1 GiB; where
    // levels begin is a matter of the width, and shown with small ones.
    for (profile, most) in [
        (Profile::V0_2015, 174 * 256 * 1024 + 1),
        (Profile::KUBO_CIDV1, 174 * 256 * 1024 + 1),
        (Profile::V1_2025, 5 << 20),
    ] {
        cases.extend(boundaries(profile, most).into_iter().map(|size| (profile, size)));
    }
    for (version, leaves) in KINDS {
        for (chunk, width, most) in [
            (1, 2, 40),
            (2, 3, 170),
            (3, 2, 200),
            (7, 4, 2000),
            (100, 3, 9000),
            (999, 174, 400_000),
        ] {
            let profile = small(version, leaves, chunk, width);
            cases.extend(boundaries(profile, most).into_iter().map(|size| (profile, size)));
        }
    }
    assert!(cases.len() >= 200, "{}", cases.len());
    let job = cases.iter().map(|(profile, size)| case(*profile, *size)).collect::<Vec<_>>();
    let answer = node.run("unixfs.mjs", &json!({ "cases": job }));
    let data = bytes(cases.iter().map(|case| case.1).max().unwrap());
    let theirs = texts(&answer["roots"]);
    assert_eq!(theirs.len(), cases.len());
    for ((profile, size), theirs) in cases.into_iter().zip(theirs) {
        let ours = cid_of(&data[..size], profile).unwrap().cid.to_string();
        assert_eq!(ours, theirs, "{size} bytes, {profile}");
    }
}

/// Folders of several shapes: path and size of each file, or none for an empty folder.
const FOLDERS: &[&[(&str, Option<usize>)]] = &[
    &[("f/a", Some(0))],
    &[("f/b.txt", Some(10)), ("f/a.txt", Some(300_000)), ("f/B.txt", Some(10))],
    &[("f/empty", None), ("f/x", Some(1))],
    &[("f/in/deep/er/file", Some(5)), ("f/in/deep/file", Some(6)), ("f/z", Some(7))],
    // By bytes: a dash before letters, capitals before small ones, what is not ASCII last.
    &[("f/ä", Some(1)), ("f/z", Some(2)), ("f/Z", Some(3)), ("f/-", Some(4)), ("f/a b", Some(5))],
    &[("f/big", Some(1_200_000)), ("f/in/big", Some(1_200_000)), ("f/in/small", Some(20))],
];

#[test]
fn folders_of_several_shapes_get_the_cid_of_the_importer() {
    let test = "folders_of_several_shapes_get_the_cid_of_the_importer";
    let Some(node) = Peer::node(test) else { return };
    let data = bytes(1_200_000);
    let many: Vec<(String, usize)> = (0..500).map(|n| (format!("f/file-{n}"), n)).collect();
    let mut folders: Vec<Vec<(String, Option<usize>)>> = FOLDERS
        .iter()
        .map(|files| files.iter().map(|(path, size)| ((*path).to_owned(), *size)).collect())
        .collect();
    folders.push(many.into_iter().map(|(path, size)| (path, Some(size))).collect());
    let mut cases = Vec::new();
    let mut ours = Vec::new();
    for files in &folders {
        let dir = tempfile::tempdir().unwrap();
        for (path, size) in files {
            let path = dir.path().join(path);
            match size {
                None => std::fs::create_dir_all(&path).unwrap(),
                Some(size) => {
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(&path, &data[..*size]).unwrap();
                }
            }
        }
        for profile in [Profile::V0_2015, Profile::V1_2025] {
            let root = add_folder(
                &dir.path().join("f"),
                profile,
                FolderOptions::default(),
                &mut |_, _| Ok(()),
            );
            ours.push(root.unwrap().cid.to_string());
            let files: Vec<_> =
                files.iter().map(|(path, size)| json!({ "path": path, "size": size })).collect();
            cases.push(json!({ "profile": profile.to_string(), "files": files }));
        }
    }
    let answer = node.run("unixfs.mjs", &json!({ "cases": cases }));
    assert_eq!(texts(&answer["roots"]), ours);
}
