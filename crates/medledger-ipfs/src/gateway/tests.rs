//! A gateway client against gateways that behave and gateways that do not.

mod blocks;
mod cars;
mod oracle;
mod ranges;

use super::*;
use crate::http::test_server::{Answer, TestServer};
use crate::http::{Patience, Retry};
use std::time::Duration;

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=n";

fn raw(bytes: &[u8]) -> Answer {
    Answer::ok(bytes).header("Content-Type", RAW)
}

fn car(bytes: Vec<u8>) -> Answer {
    Answer::ok(bytes).header("Content-Type", CAR)
}

/// Asks again at once, and is not patient.
fn options() -> EndpointOptions {
    let short = Duration::from_millis(300);
    let patience = Patience { connect: Duration::from_secs(2), answer: short, idle: short };
    let retry = Retry { attempts: 2, pause: Duration::ZERO, longest: Duration::from_millis(5) };
    EndpointOptions { patience, retry, ..EndpointOptions::default() }
}

fn gateway(server: &TestServer) -> Gateway {
    Gateway::new(Endpoint::new(&server.url(), options()).unwrap())
}

/// A gateway that answers everything so.
fn always(answer: Answer) -> (TestServer, Gateway) {
    let server = TestServer::start(move |_| answer.clone());
    let gateway = gateway(&server);
    (server, gateway)
}
