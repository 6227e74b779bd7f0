//! Replication against servers that behave, and servers that do not.

mod cluster;
mod cluster_server;
mod played;
mod property;
mod replicas;
mod service;
mod service_server;

use super::*;
use crate::http::{Endpoint, EndpointOptions, Net, Patience, Retry};
use cluster_server::ClusterServer;
use medledger_core::cid::Codec;
use service_server::{ServiceServer, TOKEN};
use std::time::Duration;

fn root(n: u8) -> Cid {
    Cid::of([Codec::DagCbor, Codec::DagPb, Codec::Raw][usize::from(n) % 3], &[n])
}

fn name(text: &str) -> BackendName {
    text.parse().unwrap()
}

/// Quick to ask again.
fn options(auth: &str) -> EndpointOptions {
    let retry = Retry { attempts: 3, pause: Duration::from_millis(1), longest: Duration::ZERO };
    let (patience, auth) = (Patience::default(), Some(auth.parse().unwrap()));
    EndpointOptions {
        auth,
        patience,
        retry,
        net: Some(Net::start().unwrap()),
        ..Default::default()
    }
}

/// For servers that keep one waiting.
fn impatient(auth: &str) -> EndpointOptions {
    let short = Duration::from_millis(400);
    let patience = Patience { connect: Duration::from_secs(2), answer: short, idle: short };
    EndpointOptions { patience, retry: Retry::never(), ..options(auth) }
}

fn service_with(server: &ServiceServer, options: EndpointOptions) -> PinningService {
    let endpoint = Endpoint::new(&server.url(), options).unwrap();
    PinningService::new(name("service"), endpoint, ServiceOptions::new(Audience::Closed))
}

fn service(server: &ServiceServer) -> PinningService {
    service_with(server, options(&format!("bearer:{TOKEN}")))
}

fn cluster_as(server: &ClusterServer, called: &str, spread: Spread) -> Cluster {
    cluster_with(server, called, spread, options("basic:hospital:s3cret"))
}

fn cluster_with(
    server: &ClusterServer,
    called: &str,
    spread: Spread,
    options: EndpointOptions,
) -> Cluster {
    let endpoint = Endpoint::new(&server.url(), options).unwrap();
    Cluster::new(name(called), endpoint, ClusterOptions::new(Audience::Closed, spread))
}

fn cluster(server: &ClusterServer) -> Cluster {
    cluster_as(server, "cluster", Spread::between(2, 3).unwrap())
}

/// Asks until it is pinned or failed.
fn settle(backend: &dyn PinBackend, root: &Cid) -> Standing {
    for _ in 0..100 {
        let standing = backend.status(root).unwrap();
        if standing.waiting == 0 {
            return standing;
        }
    }
    panic!("never settles");
}
