//! The client of IPFS Cluster.

use super::cluster_server::ClusterServer;
use super::*;
use crate::conformance::pin_backend;
use crate::http::test_server::Answer;
use serde_json::json;

#[test]
fn a_cluster_conforms() {
    for looks in [0, 1, 3] {
        let server = ClusterServer::start(4);
        server.state().looks = looks;
        pin_backend(&cluster(&server), [root(1), root(2), root(3)], &mut || ());
        let everywhere = cluster_as(&server, "all", Spread::EVERYWHERE);
        pin_backend(&everywhere, [root(1), root(2), root(3)], &mut || ());
        assert!(server.state().pins.is_empty());
    }
}

#[test]
fn replicas_are_the_peers_that_report_pinned() {
    let server = ClusterServer::start(5);
    let cluster = cluster(&server);
    let first = cluster.add(&root(1)).unwrap();
    assert_eq!((first.pinned, first.waiting), (0, 3));
    let pin = server.seen().into_iter().find(|r| r.method == "POST").unwrap();
    let query = "replication-min=2&replication-max=3&name=medledger&mode=recursive";
    assert_eq!(pin.target, format!("/pins/{}?{query}", root(1)));
    assert_eq!(settle(&cluster, &root(1)).pinned, 3);
    server.set(&root(1), 0, "pin_error");
    server.set(&root(1), 1, "cluster_error");
    let standing = cluster.status(&root(1)).unwrap();
    assert_eq!((standing.pinned, standing.failed, standing.lost), (1, 2, 0));
    assert!(standing.detail.unwrap().contains("context deadline exceeded"));
    server.set(&root(1), 2, "unexpectedly_unpinned");
    assert_eq!(cluster.status(&root(1)).unwrap().lost, 1);
    // What failed and what was lost is asked for again; a peer that is out of reach stays so.
    cluster.recover(&root(1)).unwrap();
    let standing = settle(&cluster, &root(1));
    assert_eq!((standing.pinned, standing.failed), (2, 1));
}

#[test]
fn an_answer_that_got_lost_changes_nothing() {
    let server = ClusterServer::start(3);
    server.state().lose = 1;
    assert!(cluster(&server).add(&root(1)).unwrap().known);
    server.state().lose = 1;
    assert!(cluster(&server).remove(&root(1)).unwrap());
    assert!(server.state().pins.is_empty());
}

#[test]
fn pins_of_others_are_counted_where_they_are_enough_and_never_touched() {
    let server = ClusterServer::start(4);
    let spread = |min, max| Spread::between(min, max).unwrap();
    let mut theirs = cluster_as(&server, "theirs", spread(3, 3));
    theirs.options.label = Label::new("photos").unwrap();
    theirs.add(&root(1)).unwrap();
    assert_eq!(cluster(&server).add(&root(1)).unwrap().expected(), 3);
    let error = cluster_as(&server, "ours", spread(4, 4)).add(&root(1)).unwrap_err();
    let BackendError::Foreign { found, .. } = &error else { panic!("{error:?}") };
    assert_eq!(found, "photos");
    assert!(matches!(cluster(&server).remove(&root(1)), Err(BackendError::Foreign { .. })));
    assert_eq!(cluster(&server).list(9).unwrap(), []);
    assert_eq!(server.state().pins[&root(1).to_string()].name, "photos");
    // Our own may grow.
    cluster(&server).add(&root(2)).unwrap();
    assert_eq!(cluster_as(&server, "ours", spread(4, 4)).add(&root(2)).unwrap().expected(), 4);
}

#[test]
fn a_pin_of_the_root_alone_confirms_nothing() {
    let server = ClusterServer::start(3);
    let cluster = cluster(&server);
    cluster.add(&root(1)).unwrap();
    assert_eq!(settle(&cluster, &root(1)).pinned, 3);
    server.state().pins.get_mut(&root(1).to_string()).unwrap().max_depth = 0;
    let standing = cluster.status(&root(1)).unwrap();
    assert_eq!((standing.pinned, standing.failed), (0, 1));
    cluster.recover(&root(1)).unwrap();
    assert_eq!(settle(&cluster, &root(1)).pinned, 3);
}

#[test]
fn a_cluster_that_is_too_small_says_so() {
    let server = ClusterServer::start(1);
    let error = cluster(&server).add(&root(1)).unwrap_err();
    assert!(error.to_string().contains("not enough peers"), "{error}");
    for (min, max) in [(0, 1), (3, 2)] {
        assert!(Spread::between(min, max).is_err());
    }
}

#[test]
fn peers_and_their_daemons_are_told() {
    let server = ClusterServer::start(3);
    let cluster = cluster(&server);
    cluster.health().unwrap();
    assert_eq!(cluster.id().unwrap().version, "1.1.6");
    let peers = cluster.peers().unwrap();
    assert_eq!(peers.len(), 3);
    assert_eq!((peers[2].id.as_str(), peers[2].ipfs.id.as_str()), ("12D3Peer2", "12D3Ipfs2"));
    assert_eq!(peers[0], cluster.id().unwrap());
}

#[test]
fn a_wrong_password_is_told_as_such() {
    let server = ClusterServer::start(1);
    let wrong = options("basic:hospital:wr0ng");
    let cluster = cluster_with(&server, "cluster", Spread::EVERYWHERE, wrong);
    cluster.health().unwrap();
    for error in [
        cluster.add(&root(1)).unwrap_err(),
        cluster.list(9).unwrap_err(),
        cluster.peers().unwrap_err(),
        cluster.remove(&root(1)).unwrap_err(),
    ] {
        assert!(matches!(error, BackendError::Unauthorized { status: 401, .. }), "{error:?}");
        assert!(error.to_string().contains("access denied"), "{error}");
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
    }
}

/// A server that knows no pins because it is no cluster would have every pin forgotten.
#[test]
fn pitfall_17_a_wrong_address_is_not_a_cluster_that_forgot() {
    for body in ["", "<html>", "{}", r#"{"code":404,"message":"not found"}"#] {
        let server = ClusterServer::start(1);
        server.interfere(move |_, _| Some(Answer::status(404, body)));
        for error in [
            cluster(&server).status(&root(1)).unwrap_err(),
            cluster(&server).remove(&root(1)).unwrap_err(),
            cluster(&server).list(9).unwrap_err(),
        ] {
            assert!(matches!(error, BackendError::WrongAddress { .. }), "{body} {error:?}");
        }
    }
}

#[test]
fn streams_that_fail_in_the_middle_are_no_lists() {
    let server = ClusterServer::start(2);
    let pin = json!({
        "cid": root(2).to_string(), "name": "medledger", "type": "pin", "max_depth": -1,
        "replication_factor_min": 1, "replication_factor_max": 1,
    });
    let line = format!("{pin}\n").into_bytes();
    let listed_with = |answer: Answer, options: EndpointOptions| {
        server.interfere(move |_, _| Some(answer.clone()));
        cluster_with(&server, "cluster", Spread::EVERYWHERE, options).list(2)
    };
    let listed = |answer| listed_with(answer, options("basic:hospital:s3cret"));
    let trailer = |text: &str| vec![("X-Stream-Error".to_owned(), text.to_owned())];
    assert_eq!(listed(Answer::Chunks(vec![line.clone()], trailer(""))).unwrap(), [root(2)]);
    // However it is cut, with or without an end of line.
    let pieces: Vec<_> = line.trim_ascii_end().chunks(7).map(<[u8]>::to_vec).collect();
    assert_eq!(listed(Answer::Chunks(pieces, trailer(""))).unwrap(), [root(2)]);
    for answer in [
        Answer::Chunks(vec![line.clone()], trailer("a peer is gone")),
        Answer::Truncated(line.clone(), line.len() + 1),
    ] {
        let error = listed(answer.clone()).unwrap_err();
        assert!(error.is_outage(), "{answer:?} {error:?}");
    }
    for answer in
        [Answer::Stalled(line.clone()), Answer::Endless(b" ".to_vec(), Duration::from_millis(20))]
    {
        let impatient = impatient("basic:hospital:s3cret");
        let error = listed_with(answer.clone(), impatient).unwrap_err();
        assert!(error.is_outage(), "{answer:?} {error:?}");
    }
    let half = line[..line.len() - 5].to_vec();
    for answer in [Answer::ok(half), Answer::Endless(vec![b' '; 1 << 18], Duration::ZERO)] {
        let error = listed(answer).unwrap_err();
        assert!(matches!(error, BackendError::Malformed { .. }), "{error:?}");
    }
    let error = listed(Answer::Endless(line, Duration::ZERO)).unwrap_err();
    assert!(matches!(error, BackendError::TooMany { limit: 2, .. }), "{error:?}");
}

#[test]
fn answers_about_other_roots_and_answers_that_are_none_are_errors() {
    let server = ClusterServer::start(2);
    let pin = json!({
        "cid": root(2).to_string(), "name": "medledger", "type": "pin", "max_depth": -1,
        "replication_factor_min": 2, "replication_factor_max": 3, "peer_map": {},
    });
    server.interfere(move |_, _| Some(Answer::ok(pin.to_string())));
    for error in [
        cluster(&server).status(&root(1)).unwrap_err(),
        cluster(&server).add(&root(1)).unwrap_err(),
        cluster(&server).remove(&root(1)).unwrap_err(),
    ] {
        assert!(matches!(error, BackendError::OtherRoot { .. }), "{error:?}");
    }
    for body in ["", "null", "[]", "{\"cid\":7}", "{"] {
        server.interfere(move |_, _| Some(Answer::ok(body)));
        let error = cluster(&server).status(&root(1)).unwrap_err();
        assert!(matches!(error, BackendError::Malformed { .. }), "{body} {error:?}");
    }
    server.interfere(|_, _| Some(Answer::ok(r#"{"code":500,"message":"no consensus"}"#)));
    let error = cluster(&server).status(&root(1)).unwrap_err();
    assert!(error.to_string().contains("no consensus"), "{error:?}");
    server.behave();
    assert_eq!(cluster(&server).status(&root(1)).unwrap(), Standing::absent());
}

#[test]
fn a_pin_that_is_not_as_large_as_asked_is_told() {
    let server = ClusterServer::start(2);
    let pin = json!({
        "cid": root(1).to_string(), "name": "medledger", "type": "pin", "max_depth": -1,
        "replication_factor_min": 1, "replication_factor_max": 1,
    });
    server.interfere(move |request, _| {
        (request.method == "POST").then(|| Answer::ok(pin.to_string()))
    });
    let error = cluster(&server).add(&root(1)).unwrap_err();
    assert!(error.to_string().contains("on 1 to 1 peers"), "{error:?}");
}
