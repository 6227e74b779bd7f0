//! A Kubo daemon of one's own: private, quiet, on loopback, gone at the end.

use medledger_ipfs::http::{Auth, EndpointOptions, Patience};
use medledger_ipfs::kubo::Kubo;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A daemon; killed when dropped.
pub(crate) struct Daemon {
    program: PathBuf,
    repo: PathBuf,
    child: Option<Child>,
    /// Asked who is there, by a daemon that asks.
    auth: Option<Auth>,
    _folder: Option<TempDir>,
}

/// The program, or a loud skip.
pub(crate) fn program(test: &str) -> Option<PathBuf> {
    match std::env::var("MEDLEDGER_PEER_KUBO") {
        Ok(path) if !path.is_empty() => Some(path.into()),
        _ => {
            // Past the harness's capturing.
            let _ = writeln!(std::io::stderr(), "SKIPPED {test}: MEDLEDGER_PEER_KUBO is not set");
            None
        }
    }
}

impl Daemon {
    /// A daemon that announces nothing and knows no one.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::with(test, |_| {}, None)
    }

    /// A daemon whose settings `change` changes, which holds this swarm key.
    pub(crate) fn with(
        test: &str,
        change: impl FnOnce(&mut Value),
        swarm_key: Option<&str>,
    ) -> Option<Self> {
        let program = program(test)?;
        let folder = TempDir::new().unwrap();
        let repo = folder.path().join("repo");
        let mut daemon = Self { program, repo, child: None, auth: None, _folder: Some(folder) };
        daemon.init(change, swarm_key);
        daemon.run();
        Some(daemon)
    }

    /// A daemon whose folder is somewhere else.
    pub(crate) fn in_folder(test: &str, folder: &Path) -> Option<Self> {
        let (program, repo) = (program(test)?, folder.join("repo"));
        let mut daemon = Self { program, repo, child: None, auth: None, _folder: None };
        daemon.init(|_| {}, None);
        daemon.run();
        Some(daemon)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("IPFS_PATH", &self.repo).env("IPFS_TELEMETRY", "off");
        command.env_remove("LIBP2P_FORCE_PNET");
        command
    }

    fn init(&self, change: impl FnOnce(&mut Value), swarm_key: Option<&str>) {
        let made =
            self.command().args(["init", "--empty-repo", "--profile=test"]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let path = self.repo.join("config");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let any = "/ip4/127.0.0.1/tcp/0";
        config["Addresses"] = json!({"API": any, "Gateway": any, "Swarm": [any]});
        config["Bootstrap"] = json!([]);
        config["Routing"] = json!({"Type": "none"});
        config["Provide"] = json!({"Enabled": false});
        config["Discovery"] = json!({"MDNS": {"Enabled": false}});
        config["Gateway"]["NoFetch"] = json!(true);
        // Over TCP alone: private networks have nothing else.
        config["Swarm"]["Transports"]["Network"] = json!({"QUIC": false, "WebTransport": false, "WebRTCDirect": false, "Websocket": false});
        change(&mut config);
        fs::write(&path, config.to_string()).unwrap();
        if let Some(key) = swarm_key {
            fs::write(self.repo.join("swarm.key"), key).unwrap();
        }
    }

    /// Runs it, again after a kill.
    pub(crate) fn run(&mut self) {
        let _ = fs::remove_file(self.repo.join("api"));
        let log = fs::File::create(self.repo.with_extension("log")).unwrap();
        let child = self
            .command()
            .arg("daemon")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(60);
        while !self.log().contains("Daemon is ready") {
            assert!(Instant::now() < end, "the daemon does not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.repo.with_extension("log")).unwrap_or_default()
    }

    /// Ends it at once, as a loss of power would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    #[allow(dead_code, reason = "for benches")]
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn repo(&self) -> &Path {
        &self.repo
    }

    fn address(&self, file: &str) -> String {
        fs::read_to_string(self.repo.join(file)).unwrap().trim().to_owned()
    }

    /// The address of its RPC, a multiaddr.
    pub(crate) fn rpc(&self) -> String {
        self.address("api")
    }

    /// The address of its gateway, a URL.
    pub(crate) fn gateway(&self) -> String {
        self.address("gateway")
    }

    /// Who asks, from now on.
    pub(crate) fn ask_as(&mut self, auth: &str) {
        self.auth = Some(auth.parse().unwrap());
    }

    pub(crate) fn kubo(&self) -> Kubo {
        let secs = Duration::from_secs;
        let patience = Patience { connect: secs(5), answer: secs(30), idle: secs(20) };
        let options = EndpointOptions { auth: self.auth.clone(), patience, ..Default::default() };
        Kubo::with(&self.rpc(), options).unwrap()
    }

    /// The file that holds a block.
    pub(crate) fn block_file(&self, cid: &medledger_ipfs::Cid) -> PathBuf {
        let reader = medledger_ipfs::FileStore::open_read_only(&self.repo).unwrap();
        reader.block_path(cid)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
