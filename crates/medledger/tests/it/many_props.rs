//! Many uploads together come to the same as one after the other.

use crate::support::{World, world};
use medledger::core::registry::Role;
use medledger::{Identity, Key, Upload, UploadError, UploadOptions, Uploaded};
use proptest::prelude::*;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

/// One upload, of those that go well and those that fail in a known way.
#[derive(Clone, Debug)]
enum Given {
    Bytes {
        patient: usize,
        len: usize,
    },
    File {
        patient: usize,
        len: usize,
    },
    /// Keys and contents are few, so that some are repeated and some contradict each other.
    Keyed {
        patient: usize,
        key: u8,
        content: u8,
    },
    KeyOf {
        len: usize,
    },
    Breaks {
        patient: usize,
        after: usize,
    },
    NoFile {
        patient: usize,
    },
    Path {
        patient: usize,
    },
    AboutADoctor,
    AboutNobody,
}

fn given() -> impl Strategy<Value = Given> {
    let patient = || 0..2_usize;
    // Around the pads, and some of more than a leaf.
    let len = || prop_oneof![8 => 0..9000_usize, 1 => 1_040_000..1_060_000_usize];
    prop_oneof![
        6 => (patient(), len()).prop_map(|(patient, len)| Given::Bytes { patient, len }),
        3 => (patient(), len()).prop_map(|(patient, len)| Given::File { patient, len }),
        6 => (patient(), 0..3_u8, 0..2_u8)
            .prop_map(|(patient, key, content)| Given::Keyed { patient, key, content }),
        1 => prop_oneof![Just(0_usize), Just(1), Just(128), Just(129)]
            .prop_map(|len| Given::KeyOf { len }),
        2 => (patient(), len()).prop_map(|(patient, after)| Given::Breaks { patient, after }),
        1 => patient().prop_map(|patient| Given::NoFile { patient }),
        1 => patient().prop_map(|patient| Given::Path { patient }),
        1 => Just(Given::AboutADoctor),
        1 => Just(Given::AboutNobody),
    ]
}

/// So many bytes, then nothing but an error.
struct Breaks(usize);

impl Read for Breaks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::Error::other("unplugged"));
        }
        let n = buf.len().min(self.0);
        buf[..n].fill(7);
        self.0 -= n;
        Ok(n)
    }
}

fn text(place: usize, len: usize) -> Vec<u8> {
    format!("{place:08}").bytes().cycle().take(len).collect()
}

/// A ledger with two patients, and a folder for files.
struct Place {
    world: World,
    patients: [Identity; 2],
    files: tempfile::TempDir,
}

/// What can be compared of a result: ids and labels are never the same twice.
#[derive(Debug, PartialEq)]
enum Ended {
    /// The place of the first with this record, length, bytes sealed.
    Accepted {
        first: usize,
        repeated: bool,
        length: u64,
        sealed: u64,
    },
    Failed(String),
}

impl Place {
    fn new() -> Self {
        let world = world();
        let patients = ["Chris", "Sascha"].map(|name| world.add(Role::Patient, name));
        Self { world, patients, files: tempfile::tempdir().unwrap() }
    }

    fn file(&self, place: usize, there: bool) -> PathBuf {
        self.files.path().join(format!("{place}.{}", if there { "txt" } else { "missing" }))
    }

    fn upload(&self, place: usize, given: &Given) -> Upload<'static> {
        let named = || UploadOptions::named(format!("{place}.bin"), "text/plain");
        let bytes = |patient: usize, bytes: Vec<u8>| {
            Upload::new(self.patients[patient].id(), Cursor::new(bytes)).with(named())
        };
        match *given {
            Given::Bytes { patient, len } => bytes(patient, text(place, len)),
            Given::File { patient, len } => {
                let path = self.file(place, true);
                std::fs::write(&path, text(place, len)).unwrap();
                Upload::file(self.patients[patient].id(), path)
            }
            Given::Keyed { patient, key, content } => {
                let options =
                    UploadOptions::named("keyed", "").with_idempotency_key(format!("k{key}"));
                bytes(patient, vec![content; 100]).with(options)
            }
            Given::KeyOf { len } => {
                bytes(0, Vec::new()).with(named().with_idempotency_key("x".repeat(len)))
            }
            Given::Breaks { patient, after } => {
                Upload::new(self.patients[patient].id(), Breaks(after)).with(named())
            }
            Given::NoFile { patient } => {
                Upload::file(self.patients[patient].id(), self.file(place, false))
            }
            Given::Path { patient } => {
                bytes(patient, Vec::new()).with(UploadOptions::named("a/b", "text/plain"))
            }
            Given::AboutADoctor => Upload::new(self.world.doctor.id(), io::empty()),
            Given::AboutNobody => {
                let nobody = Identity::generate(&mut crate::support::rng());
                Upload::new(nobody.id(), io::empty())
            }
        }
    }

    /// File name, media type and bytes of every report of each patient.
    fn reports(&self) -> Vec<(usize, String, Vec<u8>)> {
        let ledger = &self.world.ledger;
        while ledger.mine().unwrap().is_some() {}
        let mut found = Vec::new();
        for (number, patient) in self.patients.iter().enumerate() {
            for report in ledger.reports(&patient.id()).unwrap() {
                let mut opened = ledger.open_report(patient, &report.id, &Key::Identity).unwrap();
                let name = opened.metadata().file_name().to_owned();
                found.push((number, name, opened.to_vec().unwrap()));
            }
        }
        found.sort();
        found
    }
}

fn ended(results: &[Result<Uploaded, UploadError>]) -> Vec<Ended> {
    let first = |record| {
        let same =
            |result: &Result<Uploaded, _>| result.as_ref().is_ok_and(|one| one.record == record);
        results.iter().position(same).unwrap()
    };
    let ended = |result: &Result<Uploaded, UploadError>| match result {
        Ok(one) => Ended::Accepted {
            first: first(one.record),
            repeated: one.repeated,
            length: one.length,
            sealed: one.sealed,
        },
        Err(error) => Ended::Failed(format!("{:?}: {error}", std::mem::discriminant(error))),
    };
    results.iter().map(ended).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_together_have_the_effect_of_one_after_the_other(
        given in proptest::collection::vec(given(), 0..24),
    ) {
        let (together, apart) = (Place::new(), Place::new());
        let uploads = given.iter().enumerate().map(|(place, given)| together.upload(place, given));
        let many = together.world.ledger.upload_many(&together.world.doctor, uploads);
        let one_by_one: Vec<_> = given
            .iter()
            .enumerate()
            .map(|(place, given)| {
                let upload = apart.upload(place, given);
                let mut results = apart.world.ledger.upload_many(&apart.world.doctor, [upload]);
                assert_eq!(results.len(), 1);
                results.remove(0)
            })
            .collect();
        prop_assert_eq!(ended(&many), ended(&one_by_one));
        let labels = many.iter().flatten().filter(|one| !one.repeated).map(|one| &one.label);
        let labels: Vec<_> = labels.collect();
        let mut unique = labels.clone();
        unique.sort();
        unique.dedup();
        prop_assert_eq!(unique.len(), labels.len());
        // Records that wait, and roots that are pinned.
        let counts = [&together, &apart].map(|place| {
            let ledger = &place.world.ledger;
            (ledger.waiting().unwrap(), ledger.blocks().pins().unwrap().len())
        });
        prop_assert_eq!(counts[0], counts[1]);
        prop_assert_eq!(together.reports(), apart.reports());
    }
}
