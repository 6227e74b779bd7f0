//! The client of pinning services.

use super::service_server::{Entry, ServiceServer, TOKEN, time};
use super::*;
use crate::conformance::pin_backend;
use crate::http::test_server::{Answer, Request};
use serde_json::{Value, json};

fn ok(value: &Value) -> Option<Answer> {
    Some(Answer::ok(value.to_string()))
}

/// How `status` fails when this is answered.
fn fails_with(answer: Answer) -> BackendError {
    fails(answer, options(&format!("bearer:{TOKEN}")))
}

fn fails(answer: Answer, options: EndpointOptions) -> BackendError {
    let server = ServiceServer::start();
    server.interfere(move |_, _| Some(answer.clone()));
    service_with(&server, options).status(&root(1)).unwrap_err()
}

fn result(cid: &str, id: &str, created: &str) -> Value {
    json!({"requestid": id, "status": "pinned", "created": created, "delegates": [],
        "pin": {"cid": cid, "name": "medledger"}})
}

fn posts(server: &ServiceServer) -> Vec<Request> {
    server.seen().into_iter().filter(|request| request.method == "POST").collect()
}

#[test]
fn a_pinning_service_conforms() {
    for looks in [0, 1, 3] {
        let server = ServiceServer::start();
        server.state().looks = looks;
        pin_backend(&service(&server), [root(1), root(2), root(3)], &mut || ());
        assert_eq!(server.state().requests, []);
    }
}

#[test]
fn a_request_says_nothing_of_its_own_and_has_the_token() {
    let server = ServiceServer::start();
    service(&server).add(&root(1)).unwrap();
    let [request] = &posts(&server)[..] else { panic!() };
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body, json!({"cid": root(1).to_string(), "name": "medledger"}));
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    let mut options = ServiceOptions::new(Audience::Closed);
    options.label = Label::new("ward 7").unwrap();
    options.origins = vec!["/ip4/203.0.113.7/tcp/4001/p2p/QmOwn".to_owned(); 30];
    let mut other = service(&server);
    other.options = options;
    other.add(&root(2)).unwrap();
    let body: Value = serde_json::from_slice(&posts(&server)[1].body).unwrap();
    assert_eq!((&body["name"], body["origins"].as_array().unwrap().len()), (&json!("ward 7"), 20));
    assert_eq!(other.list(10).unwrap(), [root(2)], "only its own are seen");
    assert_eq!(service(&server).list(10).unwrap(), [root(1)]);
}

#[test]
fn pins_of_others_under_the_same_account_are_left_alone() {
    let server = ServiceServer::start();
    let foreign = server.state().insert(&root(1).to_string(), Some("photos"), "pinned");
    server.state().insert(&root(2).to_string(), None, "pinned");
    let service = service(&server);
    assert_eq!(service.status(&root(1)).unwrap(), Standing::absent());
    assert!(!service.remove(&root(1)).unwrap() && !service.remove(&root(2)).unwrap());
    service.add(&root(1)).unwrap();
    assert!(service.remove(&root(1)).unwrap());
    assert_eq!(server.state().requests[0].id, foreign);
    assert_eq!(server.state().requests.len(), 2);
}

#[test]
fn an_answer_that_got_lost_makes_no_second_pin() {
    let server = ServiceServer::start();
    server.state().lose = 1;
    assert!(service(&server).add(&root(1)).unwrap().known);
    assert_eq!((server.state().requests.len(), posts(&server).len()), (1, 1));
    server.state().lose = 1;
    assert!(service(&server).remove(&root(1)).unwrap(), "it was there and is not any more");
    assert_eq!(server.state().requests, []);
}

#[test]
fn what_came_twice_is_reduced_to_one_once_that_is_pinned() {
    let server = ServiceServer::start();
    let ids: Vec<_> = ["queued", "failed", "pinned"]
        .map(|status| server.state().insert(&root(1).to_string(), Some("medledger"), status))
        .into();
    let left = || server.state().requests.iter().map(|e| e.id.clone()).collect::<Vec<_>>();
    assert_eq!(service(&server).add(&root(1)).unwrap().pinned, 1);
    assert_eq!(left(), [ids[0].clone(), ids[2].clone()], "only what failed, at first");
    settle(&service(&server), &root(1));
    for _ in 0..3 {
        service(&server).add(&root(1)).unwrap();
    }
    assert_eq!(left(), [ids[0].clone()]);
}

#[test]
fn a_failed_pin_is_made_anew_and_the_old_one_deleted_after() {
    let server = ServiceServer::start();
    server.state().cannot = vec![root(1).to_string()];
    let service = service(&server);
    service.add(&root(1)).unwrap();
    let standing = settle(&service, &root(1));
    assert_eq!((standing.failed, standing.detail.as_deref()), (1, Some("no provider found")));
    server.state().cannot.clear();
    let before = server.seen().len();
    assert_eq!(service.recover(&root(1)).unwrap().waiting, 1);
    let asked: Vec<_> = server.seen()[before..].iter().map(|r| r.method.clone()).collect();
    assert_eq!(asked, ["GET", "POST", "DELETE"]);
    assert!(server.seen().iter().all(|r| r.method != "POST" || r.path() == "/psa/pins"));
    assert_eq!(settle(&service, &root(1)).pinned, 1);
    assert_eq!(server.state().requests.len(), 1);
}

#[test]
fn pages_are_turned_to_the_end() {
    for (page, inclusive) in [(1, false), (7, false), (7, true), (2, true), (1000, false)] {
        let server = ServiceServer::start();
        let mut roots: Vec<_> = (0..20).map(root).collect();
        for root in &roots {
            server.state().insert(&root.to_string(), Some("medledger"), "pinned");
        }
        server.state().insert(&root(99).to_string(), Some("other"), "pinned");
        (server.state().page, server.state().inclusive) = (page, inclusive);
        roots.sort_unstable();
        assert_eq!(service(&server).list(20).unwrap(), roots, "{page} {inclusive}");
        let error = service(&server).list(19).unwrap_err();
        assert!(matches!(error, BackendError::TooMany { limit: 19, .. }), "{error}");
    }
}

#[test]
fn outages_that_pass_are_waited_out_and_others_told() {
    for status in [429, 500, 502, 503, 504] {
        let server = ServiceServer::start();
        server.interfere(move |_, asked| (asked < 2).then(|| Answer::status(status, "busy")));
        assert!(service(&server).add(&root(1)).unwrap().known, "{status}");
        assert_eq!(posts(&server).len(), 1);
        server.interfere(move |_, _| Some(Answer::status(status, "busy")));
        let error = service(&server).add(&root(2)).unwrap_err();
        assert!(error.is_outage() && error.to_string().contains("busy"), "{error}");
    }
    let server = ServiceServer::start();
    let service = service(&server);
    drop(server);
    let error = (0..100)
        .find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            service.status(&root(1)).err()
        })
        .unwrap();
    assert!(error.is_outage(), "{error:?}");
}

#[test]
fn a_wrong_token_is_told_as_such_and_not_tried_again() {
    let server = ServiceServer::start();
    let error = service_with(&server, options("bearer:wr0ng")).add(&root(1)).unwrap_err();
    assert!(matches!(error, BackendError::Unauthorized { status: 401, .. }), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("renew its token") && text.contains("missing or invalid"), "{text}");
    assert!(!text.contains("wr0ng") && !error.is_outage());
    assert_eq!(server.seen().len(), 1);
}

#[test]
fn a_wrong_address_is_not_an_empty_service() {
    for answer in [Answer::status(404, "<html>"), Answer::status(405, "")] {
        let error = fails_with(answer);
        assert!(matches!(error, BackendError::WrongAddress { .. }), "{error:?}");
        assert!(error.to_string().contains("/psa"), "{error}");
    }
    let server = ServiceServer::start();
    server.interfere(|_, _| Some(Answer::status(404, "gone")));
    assert!(service(&server).remove(&root(1)).is_err(), "removed nothing, and says so");
}

#[test]
fn refusals_keep_what_the_service_says() {
    let funds =
        json!({"error": {"reason": "INSUFFICIENT_FUNDS", "details": "pay \u{1b}[2J first"}});
    for status in [409, 400, 200] {
        let server = ServiceServer::start();
        let body = funds.to_string().into_bytes();
        server.interfere(move |request, _| {
            (request.method == "POST").then(|| Answer::Whole(status, vec![], body.clone()))
        });
        let error = service(&server).add(&root(1)).unwrap_err();
        let BackendError::Refused { status: found, said, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*found, status);
        assert_eq!(said, "INSUFFICIENT_FUNDS: pay  [2J first");
        assert!(!error.may_pass() && !error.is_outage());
    }
}

#[test]
fn an_answer_about_something_else_is_an_error() {
    let other = json!({"count": 1, "results": [result(&root(2).to_string(), "a", &time(1))]});
    let server = ServiceServer::start();
    server.interfere(move |_, _| ok(&other));
    for error in [
        service(&server).status(&root(1)).unwrap_err(),
        service(&server).add(&root(1)).unwrap_err(),
        service(&server).remove(&root(1)).unwrap_err(),
    ] {
        let BackendError::OtherRoot { asked, found, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*asked, found), (root(1), &root(2).to_string()));
    }
    assert!(server.seen().iter().all(|request| request.method == "GET"), "nothing was deleted");
    let server = ServiceServer::start();
    server.interfere(|request, _| {
        (request.method == "POST")
            .then(|| Answer::ok(result(&root(2).to_string(), "a", &time(1)).to_string()))
    });
    let error = service(&server).add(&root(1)).unwrap_err();
    assert!(matches!(error, BackendError::OtherRoot { .. }), "{error:?}");
}

#[test]
fn the_version_in_which_a_cid_is_written_does_not_matter() {
    let v0 = Cid::v0_from_digest(*root(1).digest());
    let v1 = Cid::from_digest(Codec::DagPb, *v0.digest());
    let page = json!({"count": 1, "results": [result(&v1.to_string(), "a", &time(1))]});
    let server = ServiceServer::start();
    server.interfere(move |_, _| ok(&page));
    assert_eq!(service(&server).status(&v0).unwrap().pinned, 1);
}

#[test]
fn pages_without_an_end_are_an_error() {
    let cid = root(1).to_string();
    let fault = |page: Box<dyn Fn(u32) -> Value + Send>| {
        let server = ServiceServer::start();
        server.interfere(move |_, asked| ok(&page(asked)));
        match service(&server).list(50).unwrap_err() {
            BackendError::Listing { fault, .. } => Ok(fault),
            other => Err(other),
        }
    };
    let one = cid.clone();
    let repeats = move |_| json!({"count": 9, "results": [result(&one, "a", &time(1))]});
    assert_eq!(fault(Box::new(repeats)).unwrap(), ListingFault::Repeats);
    let empty = |_| json!({"count": 9, "results": []});
    assert_eq!(fault(Box::new(empty)).unwrap(), ListingFault::Repeats);
    // Always something new, at the same time or a later one.
    let one = cid.clone();
    let stands =
        move |n: u32| json!({"count": 9, "results": [result(&one, &n.to_string(), &time(5))]});
    assert_eq!(fault(Box::new(stands)).unwrap(), ListingFault::Repeats);
    // Always something new and older.
    let one = cid.clone();
    let endless = move |n: u32| {
        let time = time(80_000 - u64::from(n));
        json!({"count": 9, "results": [result(&one, &n.to_string(), &time)]})
    };
    let error = fault(Box::new(endless)).unwrap_err();
    assert!(matches!(error, BackendError::TooMany { limit: 50, .. }), "{error:?}");
    let one = cid.clone();
    let disorder = move |_| {
        let results = [result(&one, "a", &time(1)), result(&one, "b", &time(2))];
        json!({"count": 9, "results": results})
    };
    assert_eq!(fault(Box::new(disorder)).unwrap(), ListingFault::Disorder);
    let hides = move |n: u32| {
        if n.is_multiple_of(2) {
            json!({"count": 9, "results": [result(&cid, "a", &time(1))]})
        } else {
            json!({"count": 0, "results": []})
        }
    };
    let incomplete = ListingFault::Incomplete { told: 9, given: 1 };
    assert_eq!(fault(Box::new(hides)).unwrap(), incomplete);
}

#[test]
fn answers_that_are_none_are_errors() {
    let cid = root(1).to_string();
    let page = |change: &dyn Fn(&mut Value)| {
        let mut one = result(&cid, "a", &time(1));
        change(&mut one);
        Answer::ok(json!({"count": 1, "results": [one]}).to_string())
    };
    assert!(
        matches!(fails_with(Answer::ok("{")), BackendError::Malformed { .. }),
        "half of an object"
    );
    for answer in [
        Answer::ok(""),
        Answer::ok("null"),
        Answer::ok("<html>"),
        Answer::ok("{\"count\":0}"),
        Answer::ok("{\"count\":-1,\"results\":[]}"),
        Answer::ok("{\"count\":0,\"results\":[]} more"),
        Answer::ok("[".repeat(100_000)),
        Answer::status(204, ""),
        page(&|one| one["status"] = "PINNED".into()),
        page(&|one| one["created"] = "yesterday".into()),
        page(&|one| one["requestid"] = "".into()),
        page(&|one| one["requestid"] = "..".into()),
        page(&|one| one["requestid"] = "x".repeat(257).into()),
        page(&|one| one["pin"] = Value::Null),
    ] {
        let error = fails_with(answer.clone());
        assert!(matches!(error, BackendError::Malformed { .. }), "{answer:?} {error:?}");
        assert!(error.to_string().len() < 1000);
    }
    let results: Vec<_> = (0..1001).map(|i| result(&cid, &i.to_string(), &time(1))).collect();
    let error = fails_with(Answer::ok(json!({"count": 1001, "results": results}).to_string()));
    assert!(matches!(error, BackendError::Malformed { .. }), "{error:?}");
}

#[test]
fn what_is_not_known_in_an_answer_is_passed_over() {
    let mut one = result(&root(1).to_string(), "a", &time(1));
    (one["new"], one["info"], one["pin"]["meta"]) =
        (json!([1]), json!({"x": [1], "status_details": 7}), json!({"a": "b"}));
    one.as_object_mut().unwrap().remove("delegates");
    let page = json!({"count": 1, "results": [one], "next": null});
    let server = ServiceServer::start();
    server.interfere(move |_, _| ok(&page));
    assert_eq!(service(&server).status(&root(1)).unwrap().pinned, 1);
}

#[test]
fn answers_are_bounded_in_bytes_and_time() {
    let outage = |answer, options: fn(&str) -> EndpointOptions| {
        let error = fails(answer, options(&format!("bearer:{TOKEN}")));
        assert!(matches!(error, BackendError::Unreachable { .. }), "{error:?}");
        error.to_string()
    };
    let flood = outage(Answer::Endless(vec![b' '; 1 << 20], Duration::ZERO), options);
    assert!(flood.contains("more than"), "{flood}");
    for answer in [
        Answer::Nothing,
        Answer::Stalled(b"{".to_vec()),
        // A byte now and then, each in time.
        Answer::Endless(b" ".to_vec(), Duration::from_millis(20)),
    ] {
        assert!(outage(answer, impatient).contains("0.4 s"));
    }
    assert!(outage(Answer::Truncated(b"{".to_vec(), 2), options).contains("broke"));
}

#[test]
fn ids_cannot_lead_elsewhere() {
    let server = ServiceServer::start();
    let service = service(&server);
    service.add(&root(1)).unwrap();
    let Entry { id, .. } = server.state().requests[0].clone();
    assert_eq!(id, "Unique/1?");
    assert!(service.remove(&root(1)).unwrap());
    let last = server.seen().pop().unwrap();
    assert_eq!((last.method.as_str(), last.target.as_str()), ("DELETE", "/psa/pins/Unique%2F1%3F"));
}
