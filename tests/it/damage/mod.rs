//! What somebody changed, moved, cut or removed on the disk is named, and never read as if it were
//! whole. Each test damages a copy of one ledger in the ways of its table.

mod blocks;
mod chain;
mod local;

use crate::world::{PASSWORD, World, letters, report};
use medledger::core::Cid;
use medledger::core::receipt::ReceiptError;
use medledger::core::store::Drawer;
use medledger::core::store::StoreError;
use medledger::{
    AccessKey, Finding, Identity, IdentityError, Key, Ledger, MailSettings, NodeKeyError,
    OpenError, OpenReportError, ReportId, SettingsError, VerifyDepth,
};
use rusqlite::{Connection, Params, params};
use std::fs;
use std::path::{Path, PathBuf};

/// Two reports, one granted to a reader; all mined, and closed.
struct Base {
    world: World,
    report: ReportId,
    key: AccessKey,
    readers_key: AccessKey,
    other: ReportId,
    other_key: AccessKey,
    envelope: Cid,
    body: Cid,
    other_body: Cid,
}

/// Longer than a leaf, so that there is a root and more than one leaf.
const LEN: usize = 1_500_000;

impl Base {
    fn new() -> Self {
        let mut world = World::with_pick_up();
        let (uploaded, key) = world.upload(&report(LEN, 1));
        let (second, other_key) = world.upload(&report(LEN, 2));
        let readers_key = world.approve(&uploaded.report, &key);
        world.close();
        Self {
            world,
            report: uploaded.report,
            key,
            readers_key,
            other: second.report,
            other_key,
            envelope: uploaded.envelope,
            body: uploaded.body,
            other_body: second.body,
        }
    }

    /// A copy to be damaged.
    fn copy(&self) -> Damaged {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = temporary.path().join("ledger");
        copy(&self.world.folder, &folder);
        Damaged { folder, _temporary: temporary }
    }

    fn blocks(&self, folder: &Path) -> Vec<(Cid, PathBuf)> {
        let store = medledger::ipfs::store::FileStore::open_read_only(folder.join("blocks"))
            .expect("the blocks");
        use medledger::ipfs::store::BlockRead;
        let root = store.get(&self.body).unwrap().expect("the root");
        let mut cids = vec![self.envelope, self.body];
        cids.extend(medledger::ipfs::links::links_of(self.body.codec(), &root).expect("links"));
        cids.iter().map(|cid| (*cid, store.block_path(cid))).collect()
    }

    /// Opens the first report as its patient and reads it whole.
    fn read(&self, ledger: &Ledger) -> Result<Vec<u8>, OpenReportError> {
        ledger.open_report(&self.world.patient, &self.report, &Key::Access(&self.key))?.to_vec()
    }
}

struct Damaged {
    folder: PathBuf,
    _temporary: tempfile::TempDir,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

impl Damaged {
    /// Changes the database behind the ledger's back; so many rows are hit.
    fn sql(&self, statement: &str, values: impl Params) {
        let db = Connection::open(self.folder.join("ledger.db")).expect("the database");
        let hit = db.execute(statement, values).expect(statement);
        assert!(hit > 0, "nothing was damaged by {statement}");
    }

    fn open(&self) -> Ledger {
        Ledger::open(&self.folder).expect("it opens")
    }

    fn findings(&self, depth: VerifyDepth) -> Vec<Finding> {
        // A database taken back is not opened for writing.
        let ledger = Ledger::open_read_only(&self.folder).expect("it opens");
        ledger.verify(depth).expect("it can be checked").findings
    }

    /// What verifying finds, among which there must be what `expected` looks for.
    fn finds(&self, what: &str, expected: impl Fn(&Finding) -> bool) {
        let findings = self.findings(VerifyDepth::Full);
        assert!(findings.iter().any(expected), "{what}: {findings:?}");
    }
}

fn change(path: &Path, how: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    how(&mut bytes);
    fs::write(path, bytes).expect("a file");
}

/// Ways to damage a file, by name.
type Way = (&'static str, fn(&mut Vec<u8>));
const WAYS: &[Way] = &[
    ("first bit flipped", |bytes| bytes[0] ^= 0x80),
    ("bit in the middle flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }),
    ("last bit flipped", |bytes| *bytes.last_mut().unwrap() ^= 1),
    ("last byte cut", |bytes| bytes.truncate(bytes.len() - 1)),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("emptied", Vec::clear),
    ("a byte longer", |bytes| bytes.push(0)),
    ("doubled", |bytes| bytes.extend_from_within(..)),
    ("far too long", |bytes| bytes.resize(9 << 20, 0)),
];

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Whatever was done to it: the report reads as it was, or not at all, and nothing panics.
fn no_wrong_plaintext(base: &Base, damaged: &Damaged, what: &str) {
    let Ok(ledger) = Ledger::open(&damaged.folder) else { return };
    if let Ok(bytes) = base.read(&ledger) {
        assert!(bytes == report(LEN, 1), "{what}: wrong plaintext");
    }
    let _ = ledger.reports(&base.world.patient.id());
    let _ = ledger.members();
    let _ = ledger.log(&medledger::core::store::RecordQuery::default());
    let _ = ledger.send_mail();
}

fn restore(damaged: &Damaged, whole: &[u8]) {
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(damaged.folder.join(format!("ledger.db{ending}")));
    }
    fs::write(damaged.folder.join("ledger.db"), whole).unwrap();
}
