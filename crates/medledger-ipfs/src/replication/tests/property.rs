//! Whatever happens to three back ends, an audit says what is true of them.

use super::cluster_server::ClusterServer;
use super::service_server::ServiceServer;
use super::*;
use crate::http::test_server::Answer;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng};
use medledger_core::clock::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 3] = ["cluster", "first", "second"];
const GOAL: Goal = Goal { replicas: 2, backends: 2 };

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8),
    Remove(u8),
    /// A back end loses a root.
    Forget(usize, u8),
    /// A peer of the cluster loses a root.
    Lose(u8),
    Down(usize),
    Up(usize),
    Check,
    Repair,
}

fn step() -> impl Strategy<Value = Step> {
    let (root, backend) = (0..3u8, 0..3usize);
    prop_oneof![
        3 => root.clone().prop_map(Step::Add),
        1 => root.clone().prop_map(Step::Remove),
        2 => (backend.clone(), root.clone()).prop_map(|(backend, root)| Step::Forget(backend, root)),
        1 => root.prop_map(Step::Lose),
        1 => backend.clone().prop_map(Step::Down),
        2 => backend.prop_map(Step::Up),
        2 => Just(Step::Check),
        2 => Just(Step::Repair),
    ]
}

/// What is true: who was asked, what they have, what they once confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Truth {
    has: u32,
    known: bool,
    confirmed: u32,
}

struct Model {
    cluster: ClusterServer,
    services: [ServiceServer; 2],
    replication: Replication,
    records: Vec<Record>,
    down: [bool; 3],
    truth: BTreeMap<(u8, usize), Truth>,
    rng: ChaCha20Rng,
}

impl Model {
    fn new() -> Self {
        let (cluster, services) =
            (ClusterServer::start(2), [ServiceServer::start(), ServiceServer::start()]);
        cluster.state().looks = 0;
        let once = |auth: &str| EndpointOptions { retry: Retry::never(), ..options(auth) };
        let mut replication = Replication::new(GOAL, PublicPins::Refused);
        let spread = Spread::between(1, 2).unwrap();
        let peer = cluster_with(&cluster, NAMES[0], spread, once("basic:hospital:s3cret"));
        replication = replication.with(Box::new(peer)).unwrap();
        for (server, called) in services.iter().zip(&NAMES[1..]) {
            server.state().looks = 0;
            let auth = once(&format!("bearer:{TOKEN}"));
            let endpoint = Endpoint::new(&server.url(), auth).unwrap();
            let options = ServiceOptions::new(Audience::Closed);
            let service = PinningService::new(name(called), endpoint, options);
            replication = replication.with(Box::new(service)).unwrap();
        }
        let records = (0..3).map(|n| Record::new(root(n))).collect();
        let (down, truth, rng) = ([false; 3], BTreeMap::new(), ChaCha20Rng::seed_from_u64(1));
        Self { cluster, services, replication, records, down, truth, rng }
    }

    const fn whole(backend: usize) -> u32 {
        if backend == 0 { 2 } else { 1 }
    }

    /// A back end takes a root, or still has it.
    fn take(&mut self, n: u8, backend: usize) -> u32 {
        let truth = self.truth.entry((n, backend)).or_default();
        if self.down[backend] {
            return 0;
        }
        if !truth.known {
            truth.known = true;
            truth.has = Self::whole(backend);
        }
        truth.has
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Add(n) => {
                let result = self.replication.add(&mut self.records[usize::from(n)], now());
                let (mut replicas, mut backends) = (0, 0);
                for backend in 0..3 {
                    if !GOAL.is_met(replicas, backends) {
                        let has = self.take(n, backend);
                        replicas += has;
                        backends += u32::from(has > 0);
                    }
                }
                assert_eq!(result.is_ok(), GOAL.is_met(replicas, backends), "{result:?}");
                // New requests are seen queued once; the model knows them as done.
                self.settle();
            }
            Step::Remove(n) => {
                self.replication.remove(&mut self.records[usize::from(n)]);
                for backend in (0..3).filter(|backend| !self.down[*backend]) {
                    self.truth.remove(&(n, backend));
                }
            }
            Step::Forget(backend, n) => {
                match backend {
                    0 => self.cluster.forget(&root(n)),
                    service => self.services[service - 1].forget(&root(n)),
                }
                if let Some(truth) = self.truth.get_mut(&(n, backend)) {
                    (truth.has, truth.known) = (0, false);
                }
            }
            Step::Lose(n) => {
                let Some(truth) = self.truth.get_mut(&(n, 0)).filter(|truth| truth.has == 2) else {
                    return;
                };
                truth.has = 1;
                self.cluster.set(&root(n), 0, "unexpectedly_unpinned");
            }
            Step::Down(backend) | Step::Up(backend) => {
                let down = matches!(step, Step::Down(_));
                self.down[backend] = down;
                let answer = move |_: &_, _| down.then(|| Answer::status(503, "down"));
                match backend {
                    0 => self.cluster.interfere(answer),
                    service => self.services[service - 1].interfere(answer),
                }
            }
            Step::Check => drop(self.check()),
            Step::Repair => self.repair(),
        }
    }

    /// Lets what is on its way arrive, wherever the servers can be looked at.
    fn settle(&mut self) {
        for server in &self.services {
            for entry in &mut server.state().requests {
                entry.status = "pinned";
            }
        }
        for pin in self.cluster.state().pins.values_mut() {
            for (status, _) in pin.peers.values_mut().filter(|(status, _)| *status == "pin_queued")
            {
                *status = "pinned";
            }
        }
    }

    /// Checks, and holds every finding against what is true.
    fn check(&mut self) -> Audit {
        let audit = self.replication.check(&mut self.records, now(), &mut self.rng);
        for (n, found) in (0..3).zip(&audit.roots) {
            assert_eq!(found.root, root(n));
            let asked: Vec<_> =
                (0..3).filter(|backend| self.truth.contains_key(&(n, *backend))).collect();
            let names: Vec<_> = found.findings.iter().map(|f| f.backend.as_str()).collect();
            assert_eq!(names, asked.iter().map(|b| NAMES[*b]).collect::<Vec<_>>());
            let mut sum = (0, 0);
            for (backend, finding) in asked.iter().zip(&found.findings) {
                let truth = self.truth.get_mut(&(n, *backend)).unwrap();
                let down = self.down[*backend];
                let has = if down { 0 } else { truth.has };
                assert_eq!(finding.replicas, has, "{truth:?} {finding:?}");
                let before = truth.confirmed;
                let right = match &finding.verdict {
                    Verdict::Unreachable(_) => down,
                    Verdict::Held => !down && has > 0 && has >= before,
                    Verdict::Absent => !down && !truth.known && before == 0,
                    Verdict::Forgot { before: told, now } => {
                        !down && has < before && (*told, *now) == (before, has)
                    }
                    // Lost before it was ever seen whole.
                    Verdict::Failed { .. } => !down && *backend == 0 && has == 1 && before < 2,
                    _ => false,
                };
                assert!(right, "{truth:?} {finding:?}");
                if has >= before {
                    truth.confirmed = has.max(before);
                }
                sum = (sum.0 + has, sum.1 + u32::from(has > 0));
            }
            assert_eq!((found.replicas(), found.backends()), sum);
            assert_eq!(found.is_met(), GOAL.is_met(sum.0, sum.1));
        }
        audit
    }

    fn repair(&mut self) {
        let audit = self.check();
        let repair = self.replication.repair(&mut self.records, &audit, now());
        self.settle();
        for (n, (found, done)) in (0..3).zip(audit.roots.iter().zip(&repair.roots)) {
            let mut sum = (0, 0);
            for finding in &found.findings {
                let backend = NAMES.iter().position(|x| *x == finding.backend.as_str()).unwrap();
                if finding.verdict.is_forgotten() {
                    self.truth.get_mut(&(n, backend)).unwrap().confirmed = 0;
                }
                let truth = self.truth.get_mut(&(n, backend)).unwrap();
                if !self.down[backend] {
                    (truth.has, truth.known) = (Self::whole(backend), true);
                    sum = (sum.0 + truth.has, sum.1 + 1);
                }
            }
            for backend in 0..3 {
                if !self.truth.contains_key(&(n, backend)) && !GOAL.is_met(sum.0, sum.1) {
                    let has = self.take(n, backend);
                    sum = (sum.0 + has, sum.1 + u32::from(has > 0));
                }
            }
            assert_eq!((done.replicas, done.backends), sum, "{done}");
            assert_eq!(done.is_met(), GOAL.is_met(sum.0, sum.1));
        }
        // Promised, and kept.
        let audit = self.check();
        for (found, done) in audit.roots.iter().zip(&repair.roots) {
            assert_eq!(found.is_met(), done.is_met(), "{found} after {done}");
        }
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs(7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn pitfall_17_an_audit_is_the_truth(steps in proptest::collection::vec(step(), 1..25)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
        }
        for backend in 0..3 {
            model.run(Step::Up(backend));
        }
        model.run(Step::Repair);
        for record in &model.records {
            prop_assert_eq!(&Record::decode(record.encode().as_bytes()).unwrap(), record);
        }
    }
}
