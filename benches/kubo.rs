//! A Kubo node through our client against the node's own commands.
#![allow(missing_docs, unreachable_pub)]

mod common;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../crates/medledger-ipfs/tests/kubo/daemon.rs"]
mod daemon;

use common::{Bench, Work, noise};
use daemon::Daemon;
use medledger_core::dek::Dek;
use medledger_core::padding::Padding;
use medledger_core::rand_core::UnwrapErr;
use medledger_core::seal::Backend;
use medledger_ipfs::kubo::{Kubo, KuboStore, Reach};
use medledger_ipfs::pipeline::{SealItem, SealJob, seal_file, seal_files};
use medledger_ipfs::store::{Keep, Reason, Word};
use medledger_ipfs::unixfs::{Builder, FileReader, Profile};
use medledger_ipfs::{BlockStore, Cid, Processor};
use std::cell::Cell;
use std::hint::black_box;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn main() {
    let mut bench = Bench::start(
        "kubo",
        "a file of 1 GiB and 2,000 of 500 KB into a Kubo node and out of it, through our client, against the node's own \
         `add` (same profile, same CID, pinned) and `ipfs dag export`; a small block against a bare socket. The node does \
         most of the work of all of them, on the same cores",
    );
    if std::env::var_os("MEDLEDGER_PEER_KUBO").is_none() {
        println!("  not measured: MEDLEDGER_PEER_KUBO names no Kubo here");
        return;
    }
    let Some(daemon) = Daemon::with(
        "bench",
        |config| {
            config["Datastore"]["StorageMax"] = "100GB".into();
        },
        None,
    ) else {
        return;
    };
    large(&mut bench, &daemon);
    many(&mut bench, &daemon);
    small(&mut bench, &daemon);
    bench.end();
}

/// A node that has nothing.
fn emptied(kubo: &Kubo) -> KuboStore {
    for pin in kubo.pins().unwrap() {
        kubo.pin_rm(&pin.root).unwrap();
    }
    kubo.collect().unwrap();
    KuboStore::open(kubo.clone()).unwrap()
}

fn large(bench: &mut Bench, daemon: &Daemon) {
    let kubo = daemon.kubo();
    let size = if bench.measuring() { 1024 * MIB } else { 4 * MIB };
    let part = noise(size.min(64 * MIB));
    let turn = Cell::new(0);
    // Never the same bytes twice: what a node has it takes faster.
    let file = || {
        turn.set(turn.get() + 1);
        Turned { bytes: &part, left: size, turn: turn.get() }
    };
    let work = Work::Bytes(size as u64);
    let profile = Profile::default();
    bench.time = Duration::from_millis(500);
    bench.timed("1 GiB, the node's add", work, || {
        emptied(&kubo);
        timed(|| black_box(kubo.add(file(), &profile, true).unwrap()))
    });
    bench.timed("1 GiB, our import, same CID", work, || {
        let store = emptied(&kubo);
        timed(|| black_box(stored(&store, file())))
    });
    bench.timed("1 GiB, sealed on the way", work, || {
        let store = emptied(&kubo);
        timed(|| sealed(&store, &mut file()))
    });
    let add = bench.rate("1 GiB, the node's add");
    bench.ratio("1 GiB, our import, same CID", "the node's add", add, Some(2.0));
    bench.ratio("1 GiB, sealed on the way", "the node's add", add, None);

    let store = emptied(&kubo);
    let root = stored(&store, file());
    bench.timed("1 GiB, ipfs dag export piped away", work, || {
        timed(|| {
            let mut export = Command::new(daemon.program());
            export.args(["dag", "export", "--progress=false", &root.to_string()]);
            export.env("IPFS_PATH", daemon.repo()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = export.spawn().unwrap();
            io::copy(child.stdout.as_mut().unwrap(), &mut io::sink()).unwrap();
            assert!(child.wait().unwrap().success());
        })
    });
    bench.timed("1 GiB read back as a file, verified", work, || {
        timed(|| {
            let mut file = FileReader::open(&store, root, Some(size as u64)).unwrap();
            io::copy(&mut file, &mut io::sink()).unwrap();
        })
    });
    bench.timed("1 GiB read back as a stream of blocks, verified", work, || {
        timed(|| {
            for block in kubo.stream(&root, Reach::Local).unwrap() {
                black_box(block.unwrap());
            }
        })
    });
    let export = bench.rate("1 GiB, ipfs dag export piped away");
    let own = "ipfs dag export";
    bench.ratio("1 GiB read back as a file, verified", own, export, Some(0.8));
    bench.ratio("1 GiB read back as a stream of blocks, verified", own, export, Some(0.8));
}

fn many(bench: &mut Bench, daemon: &Daemon) {
    let kubo = daemon.kubo();
    let (count, len) = if bench.measuring() { (2000, 500_000) } else { (10, 5000) };
    let bytes = noise(len + 16 * count);
    let turn = Cell::new(0u64);
    let next = || {
        turn.set(turn.get() + 1);
        turn.get()
    };
    let work = Work::Bytes((count * len) as u64);
    bench.timed("2,000 reports of 500 KB, the node's add one by one", work, || {
        emptied(&kubo);
        let turn = next();
        timed(|| {
            for n in 0..count {
                let turn = turn.to_be_bytes();
                let file = turn.chain(&bytes[8 * n..][..len - 8]);
                black_box(kubo.add(file, &Profile::default(), true).unwrap());
            }
        })
    });
    bench.timed("2,000 reports of 500 KB, sealed in one session", work, || {
        let store = emptied(&kubo);
        timed(|| many_sealed(&store, (0..count).map(|n| &bytes[8 * n..][..len])))
    });
    let add = bench.rate("2,000 reports of 500 KB, the node's add one by one");
    let ours = "2,000 reports of 500 KB, sealed in one session";
    bench.ratio(ours, "the node's add", add, Some(3.0));
}

/// What our client adds to a call.
fn small(bench: &mut Bench, daemon: &Daemon) {
    let kubo = daemon.kubo();
    let block = noise(1024);
    let cid = Cid::of(medledger_ipfs::cid::Codec::Raw, &block);
    kubo.block_put(&cid, &block, true).unwrap();
    bench.time = Duration::from_millis(1000);
    bench.case("a block of 1 KiB, our client", Work::Each(1, "blocks"), || {
        black_box(kubo.block_get(&cid, Reach::Local).unwrap().unwrap());
    });
    let server = kubo.endpoint().name().trim_start_matches("http://").to_owned();
    let mut socket = BufReader::new(TcpStream::connect(&server).unwrap());
    let request = format!(
        "POST /api/v0/block/get?arg={cid}&offline=true HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\n\r\n"
    );
    bench.case("a block of 1 KiB, a bare socket", Work::Each(1, "blocks"), || {
        socket.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        // The headers, then the body in chunks, then the trailers.
        while line != "0\r\n" {
            line.clear();
            socket.read_line(&mut line).unwrap();
            if let Ok(len) = usize::from_str_radix(line.trim_end(), 16)
                && len > 0
                && !line.contains(':')
            {
                let mut chunk = vec![0; len + 2];
                socket.read_exact(&mut chunk).unwrap();
                black_box(chunk);
            }
        }
        while line != "\r\n" {
            line.clear();
            socket.read_line(&mut line).unwrap();
        }
    });
    let socket = bench.rate("a block of 1 KiB, a bare socket");
    bench.ratio("a block of 1 KiB, our client", "a bare socket", socket, None);
}

/// The same bytes again and again, told apart by their turn.
struct Turned<'a> {
    bytes: &'a [u8],
    left: usize,
    turn: u8,
}

impl Read for Turned<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let at = self.left % self.bytes.len();
        // No further than to where a block begins, each of which is made another than all others.
        let n = buf.len().min(self.left).min(self.bytes.len() - at).min(1 + (self.left - 1) % MIB);
        buf[..n].copy_from_slice(&self.bytes[at..at + n]);
        if let [first, second, third, ..] = &mut buf[..n] {
            *first ^= self.turn;
            *second ^= (self.left >> 20) as u8;
            *third ^= (self.left >> 28) as u8;
        }
        self.left -= n;
        Ok(n)
    }
}

fn stored(store: &dyn BlockStore, mut file: impl Read) -> Cid {
    let session = store.begin().unwrap();
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    let mut builder = Builder::new(Profile::default());
    let mut piece = vec![0; 4 * MIB];
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..]).unwrap() {
                0 => break,
                n => filled += n,
            }
        }
        builder.write(&piece[..filled], &mut sink).unwrap();
        if filled < piece.len() {
            break;
        }
    }
    let root = builder.finish(&mut sink).unwrap().cid;
    session.commit(&root).unwrap();
    root
}

fn job(dek: &Dek) -> SealJob<'_> {
    let backend = Backend::best();
    let (padding, profile) = (Padding::Padme, Profile::default());
    SealJob { backend, dek, context: b"bench", padding, profile }
}

fn sealed(store: &dyn BlockStore, file: &mut (dyn Read + Send)) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let dek = Dek::generate(&mut rng);
    let threads = medledger::Threads::default();
    let session = store.begin().unwrap();
    let processor = Processor::new(&threads);
    let body = seal_file(&job(&dek), file, &*session, &processor, &mut rng, &mut |_| {}).unwrap();
    session.commit(&body.root).unwrap();
}

fn many_sealed<'a>(store: &dyn BlockStore, files: impl Iterator<Item = &'a [u8]>) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let dek = Dek::generate(&mut rng);
    let threads = medledger::Threads::default();
    let processor = Processor::new(&threads);
    let session = store.begin().unwrap();
    let mut files: Vec<&[u8]> = files.collect();
    let items = files.iter_mut().map(|file| SealItem { job: job(&dek), source: file }).collect();
    let bodies = seal_files(items, &*session, &processor, &mut rng, &mut |_, _| {}).unwrap();
    let keep = |n: usize| Keep::now(Reason::User(Word::new(format!("report {n}")).unwrap()));
    let pins: Vec<_> =
        bodies.into_iter().enumerate().map(|(n, body)| (body.unwrap().root, keep(n))).collect();
    session.finish(&pins).unwrap();
}

fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    run();
    begin.elapsed()
}
