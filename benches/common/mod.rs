//! What the bench programs share: the lines printed first, cases, and ratios printed last.
//!
//! Criterion does the running and the statistics. Beside it every single iteration is timed, and the
//! ratios at the end compare the *best tenths*: the time that a tenth of the iterations stayed under.
//! On a machine that others use as well, that is what the processor can do; medians are what it was
//! left to do.
#![allow(dead_code, reason = "no bench program uses all of it")]
#![allow(clippy::cast_precision_loss, reason = "rates are printed with three digits")]

use criterion::{Criterion, SamplingMode, Throughput};
use medledger_core::pow::Workers;
use medledger_core::seal::Backend;
use medledger_ipfs::Kernel;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one iteration of a case gets done.
#[derive(Clone, Copy)]
pub enum Work {
    /// So many bytes.
    Bytes(u64),
    /// So many things of this name.
    Each(u64, &'static str),
}

impl Work {
    fn amount(self) -> f64 {
        match self {
            Self::Bytes(n) | Self::Each(n, _) => n as f64,
        }
    }

    fn show(self, rate: f64) -> String {
        match self {
            Self::Bytes(_) if rate >= 1e9 => format!("{:.2} GB/s", rate / 1e9),
            Self::Bytes(_) => format!("{:.1} MB/s", rate / 1e6),
            Self::Each(_, what) if rate >= 1e6 => format!("{:.2} M {what}/s", rate / 1e6),
            Self::Each(_, what) if rate >= 1e3 => format!("{:.2} k {what}/s", rate / 1e3),
            Self::Each(_, what) => format!("{rate:.1} {what}/s"),
        }
    }
}

/// One bench program.
pub struct Bench {
    criterion: Criterion,
    name: &'static str,
    /// How long a case is measured.
    pub time: Duration,
    cases: BTreeMap<String, (Work, Vec<Duration>)>,
    ratios: Vec<String>,
    /// Criterion measures only when `cargo bench` asks for it; `cargo test` tries each case once.
    measuring: bool,
}

impl Bench {
    /// Prints what is compared and on which machine.
    pub fn start(name: &'static str, compared: &str) -> Self {
        let measuring = std::env::args().any(|arg| arg == "--bench");
        if measuring {
            println!("\n{name}: {compared}");
            print_machine();
        }
        let criterion = Criterion::default().without_plots().configure_from_args();
        let time = Duration::from_millis(1000);
        Self { criterion, name, time, cases: BTreeMap::new(), ratios: Vec::new(), measuring }
    }

    /// Whether times mean anything in this run.
    pub const fn measuring(&self) -> bool {
        self.measuring
    }

    /// Measures a routine.
    pub fn case(&mut self, id: impl Into<String>, work: Work, mut routine: impl FnMut()) {
        self.timed(id, work, || {
            let begin = Instant::now();
            routine();
            begin.elapsed()
        });
    }

    /// Measures a routine and a baseline in turn, so that both meet the same load.
    pub fn beside(
        &mut self,
        id: &str,
        baseline: &str,
        work: Work,
        mut routine: impl FnMut(),
        mut base: impl FnMut(),
    ) {
        let mut seen = Vec::new();
        self.timed(id, work, || {
            let begin = Instant::now();
            base();
            let between = Instant::now();
            routine();
            seen.push(between - begin);
            between.elapsed()
        });
        if !seen.is_empty() {
            seen.sort_unstable();
            self.cases.insert(baseline.to_owned(), (work, seen));
        }
    }

    /// Measures a routine that says itself how long the part that counts took.
    pub fn timed(
        &mut self,
        id: impl Into<String>,
        work: Work,
        mut routine: impl FnMut() -> Duration,
    ) {
        let id = id.into();
        let mut seen = Vec::new();
        let mut group = self.criterion.benchmark_group(self.name);
        group
            .sample_size(10)
            .sampling_mode(SamplingMode::Flat)
            .warm_up_time(self.time / 4)
            .measurement_time(self.time);
        group.throughput(match work {
            Work::Bytes(n) => Throughput::Bytes(n),
            Work::Each(n, _) => Throughput::Elements(n),
        });
        group.bench_function(&id, |bencher| {
            bencher.iter_custom(|iterations| {
                (0..iterations)
                    .map(|_| {
                        let took = routine();
                        seen.push(took);
                        took
                    })
                    .sum()
            });
        });
        group.finish();
        if !seen.is_empty() {
            seen.sort_unstable();
            self.cases.insert(id, (work, seen));
        }
    }

    /// Work done a second in the best tenth of a case; `None` when a filter left it out.
    pub fn rate(&self, id: &str) -> Option<f64> {
        let (work, seen) = self.cases.get(id)?;
        Some(work.amount() / seen[seen.len() / 10].as_secs_f64())
    }

    /// Compares a case with a case or with a number that follows from several.
    pub fn ratio(&mut self, ours: &str, baseline: &str, rate: Option<f64>, goal: Option<f64>) {
        let (Some(own), Some(base)) = (self.rate(ours), rate) else { return };
        let work = self.cases[ours].0;
        let ratio = own / base;
        let goal = goal.map_or_else(String::new, |goal| {
            let word = if ratio >= goal { "reached" } else { "MISSED" };
            format!("   goal {:.0} %: {word}", goal * 100.0)
        });
        self.ratios.push(format!(
            "{ours}: {} = {:.1} % of {baseline} ({}){goal}",
            work.show(own),
            ratio * 100.0,
            work.show(base),
        ));
    }

    /// Compares a case with a rate that was promised.
    pub fn goal(&mut self, id: &str, least: f64) {
        let Some(rate) = self.rate(id) else { return };
        let work = self.cases[id].0;
        let word = if rate >= least { "reached" } else { "MISSED" };
        let (rate, least) = (work.show(rate), work.show(least));
        self.ratios.push(format!("{id}: {rate}   goal {least}: {word}"));
    }

    /// Prints best tenths, medians and ratios.
    pub fn end(self) {
        self.criterion.final_summary();
        if !self.measuring || self.cases.is_empty() {
            return;
        }
        println!("\n{}: best tenth, median (iterations)", self.name);
        for (id, (work, seen)) in &self.cases {
            let rate = |at: usize| work.show(work.amount() / seen[at].as_secs_f64());
            let (best, median) = (rate(seen.len() / 10), rate(seen.len() / 2));
            println!("  {id:<44} {best:>20} {median:>20}  ({})", seen.len());
        }
        println!("\n{}: ratios of best tenths", self.name);
        for line in &self.ratios {
            println!("  {line}");
        }
        println!("  load average at the end: {}", load());
    }
}

/// Runs the same on every core at once, and returns when all are done.
pub fn on_all_cores(run: impl Fn(usize) + Sync) {
    medledger::Threads::default().run(&run);
}

/// Cores that [`on_all_cores`] uses.
pub fn cores() -> usize {
    medledger::Threads::default().count()
}

/// Rate of two steps one after the other: (1/a + 1/b)^-1.
pub fn in_turn(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(1.0 / (1.0 / a? + 1.0 / b?))
}

/// Bytes that do not compress and do not repeat.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn print_machine() {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!("  machine:   {model}, {cores} cores, load average {}", load());
    println!("  features:  {}", features());
    println!("  SHA-256:   {}; lanes: {}", sha256_path(), Kernel::best().path());
    println!("  AES-GCM:   {}", aes_paths());
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let three: Vec<_> = load.split(' ').take(3).collect();
    if three.is_empty() { "unknown".into() } else { three.join(" ") }
}

#[cfg(target_arch = "x86_64")]
macro_rules! detected {
    ($($feature:tt),*) => {
        [$(($feature, std::arch::is_x86_feature_detected!($feature))),*]
    };
}

#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    detected!(
        "sha",
        "aes",
        "pclmulqdq",
        "avx2",
        "avx512f",
        "avx512bw",
        "avx512ifma",
        "vaes",
        "vpclmulqdq"
    )
    .contains(&(feature, true))
}

#[cfg(not(target_arch = "x86_64"))]
fn has(_: &str) -> bool {
    false
}

fn features() -> String {
    if !cfg!(target_arch = "x86_64") {
        return format!("{}, not looked at", std::env::consts::ARCH);
    }
    let all = [
        "sha",
        "aes",
        "pclmulqdq",
        "avx2",
        "avx512f",
        "avx512bw",
        "avx512ifma",
        "vaes",
        "vpclmulqdq",
    ];
    let (here, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(|feature| has(feature));
    format!("{} (missing: {})", here.join(" "), missing.join(" "))
}

/// The path that the crate `sha2` takes.
fn sha256_path() -> &'static str {
    if has("sha") { "sha2, SHA instructions, one stream" } else { "sha2, no x86 SHA instructions" }
}

fn aes_paths() -> String {
    let names: Vec<_> = Backend::all().iter().map(|backend| backend.name()).collect();
    let rust = match (has("aes"), has("vaes"), has("avx512f")) {
        (true, true, true) => "VAES, 512 bits wide",
        (true, true, false) => "VAES, 256 bits wide",
        (true, false, _) => "AES-NI",
        _ => "no x86 AES instructions",
    };
    format!("{} (rustcrypto takes {rust})", names.join(", "))
}
