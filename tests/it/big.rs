//! A report of four gigabytes passes through in constant memory.

use crate::child::{self, Task, tell};
use crate::world::{self, PASSWORD, World, options, skip};
use medledger::{Key, Ledger, MailSettings};
use std::io::Read;
use std::path::Path;

const LEN: u64 = 4 << 30;
/// What uploading, and then reading, may add to the memory of a process.
const GROWTH_KIB: u64 = 64 << 10;
/// Ciphertext, and as much again for whatever else the machine does meanwhile.
const ROOM: u64 = 6 << 30;

/// A report made as it is read: any range of it can be made again.
struct Generated {
    at: u64,
    len: u64,
}

/// The bytes from `at` on: no two leaves are alike.
fn fill(at: u64, buf: &mut [u8]) {
    for (place, chunk) in (at..).step_by(4096).zip(buf.chunks_mut(4096)) {
        chunk.fill((place / 4096 % 251) as u8);
        let head = place.to_le_bytes();
        let n = head.len().min(chunk.len());
        chunk[..n].copy_from_slice(&head[..n]);
    }
}

impl Read for Generated {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        // Whole pieces but for the last, so that a range is made again alike.
        let n = (buf.len() as u64).min(self.len - self.at).min(1 << 20);
        let n = if n < 4096 { n } else { n / 4096 * 4096 } as usize;
        fill(self.at, &mut buf[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

/// Memory of this process in KiB, as Linux tells: what it has (`VmRSS`), the most it had (`VmHWM`).
fn memory(what: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(what))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn growth_since(before: u64) -> u64 {
    memory("VmHWM").expect("the peak").saturating_sub(before)
}

fn free(folder: &Path) -> Option<u64> {
    let output = std::process::Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kib: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib << 10)
}

/// The child: a process of its own, so that nothing else counts as its memory.
pub(crate) fn child(task: &Task) {
    let id = |name: &str| task.value(name).parse().expect("a member");
    let ledger = Ledger::open(task.value("folder")).expect("it opens");
    let doctor = ledger.unlock(&id("doctor"), PASSWORD).expect("the doctor");
    let patient = ledger.unlock(&id("patient"), PASSWORD).expect("the patient");
    let before = memory("VmRSS").expect("what it has");
    let source = Generated { at: 0, len: LEN };
    let uploaded = ledger.upload(&doctor, &patient.id(), source).expect("uploaded");
    assert_eq!(uploaded.length, LEN);
    ledger.wait_mined(&uploaded.record).expect("mined");
    tell(&format!("uploaded {}", growth_since(before)));

    let mut report = ledger.open_report(&patient, &uploaded.report, &Key::Identity).expect("opens");
    let middle = LEN / 2 + 4096 * 7;
    let range = report.read_range(middle, 3 << 20).expect("a range");
    let mut expected = vec![0; 3 << 20];
    fill(middle, &mut expected);
    assert!(range == expected, "the range says something else");
    drop((range, expected));

    let (mut found, mut expected) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    while at < LEN {
        report.read_exact(&mut found).expect("a piece");
        fill(at, &mut expected);
        assert!(found == expected, "other bytes from {at} on");
        at += found.len() as u64;
    }
    assert_eq!(report.read(&mut found).expect("the end"), 0);
    tell(&format!("read {}", growth_since(before)));
}

#[test]
fn four_gigabytes_pass_through_64_mebibytes() {
    let test = "four gigabytes through 64 mebibytes";
    let folder = tempfile::tempdir().expect("a temporary folder");
    if memory("VmHWM").is_none() {
        return skip(test, "this system does not tell a process its peak memory in /proc");
    }
    match free(folder.path()) {
        Some(bytes) if bytes >= ROOM => {}
        Some(bytes) => {
            return skip(test, &format!("only {} MiB are free on the disk", bytes >> 20));
        }
        None => return skip(test, "df does not tell how much of the disk is free"),
    }
    let mut options = options(MailSettings::None);
    // Blocks that are kept for the next reader are memory on purpose, and bounded by this.
    options.settings.cache_bytes = 8 << 20;
    let mut world = World::in_folder(&folder.path().join("ledger"), options);
    world.close();
    let (doctor, patient) = (world.doctor.id().to_string(), world.patient.id().to_string());
    let values = [("doctor", doctor.as_str()), ("patient", patient.as_str())];
    let mut running = child::start("big", &world.folder, &values);
    let mut told = 0;
    while let Some(line) = running.line() {
        let (what, kib) = line.split_once(' ').expect("what and how much");
        let kib: u64 = kib.parse().expect("a number");
        assert!(kib < GROWTH_KIB, "{what}: memory grew by {kib} KiB");
        world::say(&format!("{test}: {what}, memory grew by {kib} KiB"));
        told += 1;
    }
    assert!(running.finish().success(), "the child failed");
    assert_eq!(told, 2);
}
