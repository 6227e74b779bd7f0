//! What an endpoint makes of servers that behave and of those that do not.

use super::error::Wait;
use super::test_server::{Answer, Request, TestServer};
use super::*;
use reqwest::Method;
use std::io::{self, Read, Write};
use std::time::Duration;

fn impatient() -> EndpointOptions {
    let short = Duration::from_millis(300);
    let patience = Patience { connect: Duration::from_secs(2), answer: short, idle: short };
    EndpointOptions { patience, ..EndpointOptions::default() }
}

fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::new(&server.url(), impatient()).unwrap()
}

fn get(endpoint: &Endpoint) -> Result<Vec<u8>, HttpError> {
    endpoint.call(Method::GET, "x", &[]).reply()?.success()?.body.all(1000)
}

fn answered(answer: Answer) -> Result<Vec<u8>, HttpError> {
    get(&endpoint(&TestServer::start(move |_| answer.clone())))
}

#[test]
fn a_whole_answer_is_read_whole_however_it_is_cut() {
    assert_eq!(answered(Answer::ok("abc")).unwrap(), b"abc");
    let chunks = vec![b"a".to_vec(), b"bc".to_vec()];
    assert_eq!(answered(Answer::Chunks(chunks, vec![])).unwrap(), b"abc");
    assert_eq!(answered(Answer::ok("")).unwrap(), b"");
}

#[test]
fn an_answer_that_is_not_whole_is_an_error() {
    let error = answered(Answer::Truncated(b"abc".to_vec(), 4)).unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
    let error = answered(Answer::Closed).unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error:?}");
}

#[test]
fn a_failure_told_behind_a_status_of_200_is_an_error() {
    let trailer = vec![("X-Stream-Error".to_owned(), "could not find block".to_owned())];
    let error = answered(Answer::Chunks(vec![b"abc".to_vec()], trailer)).unwrap_err();
    let HttpError::Failed { message, .. } = error else { panic!("{error:?}") };
    assert_eq!(message, "could not find block");
}

#[test]
fn an_empty_trailer_tells_of_no_failure() {
    let empty = ("X-Stream-Error".to_owned(), String::new());
    let whole = Answer::Chunks(vec![b"abc".to_vec()], vec![empty.clone()]);
    assert_eq!(answered(whole).unwrap(), b"abc");
    let told = ("X-Stream-Error".to_owned(), "a peer is gone".to_owned());
    let error = answered(Answer::Chunks(vec![b"abc".to_vec()], vec![empty, told])).unwrap_err();
    let HttpError::Failed { message, .. } = error else { panic!("{error:?}") };
    assert_eq!(message, "a peer is gone");
}

#[test]
fn silence_is_not_waited_for_for_ever() {
    let waited_for = |answer| match answered(answer).unwrap_err() {
        HttpError::TimedOut { what, .. } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(waited_for(Answer::Nothing), Wait::Answer);
    assert_eq!(waited_for(Answer::Stalled(b"abc".to_vec())), Wait::Bytes);
}

#[test]
fn an_endless_answer_is_cut_off() {
    let endless = Answer::Endless(vec![7; 100], Duration::ZERO);
    let error = answered(endless).unwrap_err();
    assert!(matches!(error, HttpError::TooLong { limit: 1000, .. }), "{error:?}");
}

#[test]
fn a_status_that_means_no_is_an_error_with_what_was_said() {
    let error = answered(Answer::status(404, "no such thing\n")).unwrap_err();
    let HttpError::Status { status, message, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*status, message.as_str()), (404, "no such thing"));
    assert!(!error.may_pass() && error.to_string().ends_with("answered 404: no such thing"));
    assert!(answered(Answer::status(503, "")).unwrap_err().may_pass());
    // A long text, or one that moves the cursor, does not reach a terminal.
    let HttpError::Status { message, .. } =
        answered(Answer::status(500, &"\u{1b}[2J".repeat(1000))).unwrap_err()
    else {
        panic!()
    };
    assert!(message.len() <= 2000 && !message.contains('\u{1b}'));
}

#[test]
fn a_server_that_sends_elsewhere_is_not_followed() {
    let location = vec![("Location".to_owned(), "http://127.0.0.1:1/".to_owned())];
    let error = answered(Answer::Whole(302, location, vec![])).unwrap_err();
    assert!(matches!(error, HttpError::Status { status: 302, .. }), "{error:?}");
}

#[test]
fn no_server_is_an_error_that_names_it() {
    let server = TestServer::start(|_| Answer::ok(""));
    let (url, endpoint) = (server.url(), endpoint(&server));
    drop(server);
    // The thread that listens ends a moment later.
    let error = (0..100).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        get(&endpoint).err().filter(|e| matches!(e, HttpError::Connect { .. }))
    });
    let error = error.expect("connecting fails in the end");
    assert!(error.to_string().contains(&url), "{error}");
    assert!(error.may_pass());
}

#[test]
fn credentials_are_sent_and_shown_nowhere() {
    let server = TestServer::start(|_| Answer::status(403, "no"));
    for (auth, header) in
        [("bearer:s3cret", "Bearer s3cret"), ("basic:ada:s3:cret", "Basic YWRhOnMzOmNyZXQ=")]
    {
        let auth: Auth = auth.parse().unwrap();
        let options = EndpointOptions { auth: Some(auth), ..impatient() };
        let endpoint = Endpoint::new(&server.url(), options.clone()).unwrap();
        let call = endpoint.call(Method::GET, "x", &[]);
        let shown = format!("{options:?} {endpoint:?} {call:?}");
        let error = call.reply().unwrap().success().unwrap_err();
        let shown = format!("{shown} {error} {error:?}");
        assert!(!shown.contains("cret") && !shown.contains("YWRh"), "{shown}");
        assert_eq!(server.seen().last().unwrap().header("authorization"), Some(header));
    }
}

#[test]
fn credentials_that_no_header_can_hold_are_refused_without_being_shown() {
    for text in ["bearer:", "token:x", "basic:ada", "bearer:s3cret\r\nX: y", "bearer:gr\u{fc}n", ""]
    {
        let error = text.parse::<Auth>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{text:?}");
    }
}

#[test]
fn a_body_streams_to_the_server_while_it_is_written() {
    let server = TestServer::start(|request| Answer::ok(request.body.len().to_string()));
    let endpoint = endpoint(&server);
    let (mut upload, body) = Upload::new(Duration::from_secs(5));
    let begun = endpoint.call(Method::POST, "x", &[]).body(reqwest::Body::wrap(body)).begin();
    // More than is ever kept in memory, in small pieces and large ones.
    let piece = vec![3; 700_000];
    for _ in 0..20 {
        upload.write_all(&piece).unwrap();
        upload.write_all(&[1, 2]).unwrap();
    }
    upload.finish().unwrap();
    let reply = begun.reply().unwrap().success().unwrap();
    assert_eq!(reply.body.all(100).unwrap(), (20 * 700_002).to_string().as_bytes());
    let seen = server.seen();
    assert_eq!(seen[0].body[700_000..700_003], [1, 2, 3]);
    assert!(seen[0].whole);
}

#[test]
fn files_of_a_form_are_sent_one_after_the_other() {
    let server = TestServer::start(|_| Answer::ok(""));
    let endpoint = endpoint(&server);
    let (mut first, first_body) = Upload::new(Duration::from_secs(5));
    let (mut second, second_body) = Upload::new(Duration::from_secs(5));
    let begun =
        endpoint.call(Method::POST, "x", &[]).files("file", [first_body, second_body]).begin();
    first.write_all(b"first file").unwrap();
    first.finish().unwrap();
    second.write_all(b"second file").unwrap();
    second.finish().unwrap();
    begun.reply().unwrap().success().unwrap();
    let body = String::from_utf8(server.seen()[0].body.clone()).unwrap();
    let at = |what: &str| body.find(what).unwrap_or_else(|| panic!("{what} in {body}"));
    assert!(at("first file") < at("second file"));
    assert_eq!(body.matches(" name=\"file\"").count(), 2);
}

#[test]
fn half_a_body_is_never_taken_for_a_whole_one() {
    let (arrived, arrival) = std::sync::mpsc::channel();
    let server = TestServer::with(
        |_| Answer::ok("taken"),
        move |_| {
            arrived.send(()).unwrap();
            None
        },
    );
    let endpoint = endpoint(&server);
    let (mut upload, body) = Upload::new(Duration::from_secs(5));
    let begun = endpoint.call(Method::POST, "x", &[]).body(reqwest::Body::wrap(body)).begin();
    upload.write_all(&[7; 100_000]).unwrap();
    arrival.recv_timeout(Duration::from_secs(10)).expect("the request begins");
    drop(upload);
    assert!(begun.reply().is_err());
    let request = (0..500).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        server.seen().into_iter().next()
    });
    assert!(!request.expect("the server notices").whole);
}

#[test]
fn an_answer_that_comes_before_the_body_was_sent_ends_the_writing_and_is_read() {
    let refuse = |_: &Request| Some(Answer::status(403, "not you"));
    let server = TestServer::with(|_| Answer::ok(""), refuse);
    let endpoint = endpoint(&server);
    let (mut upload, body) = Upload::new(Duration::from_secs(5));
    let begun = endpoint.call(Method::POST, "x", &[]).body(reqwest::Body::wrap(body)).begin();
    let piece = vec![0; 1 << 20];
    let written = (0..1000).try_for_each(|_| upload.write_all(&piece));
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    // Where the answer was lost on the way, that is an error all the same.
    match begun.reply().and_then(Reply::success).unwrap_err() {
        HttpError::Status { status: 403, message, .. } => assert_eq!(message, "not you"),
        HttpError::Broken { .. } => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_takes_nothing_is_not_waited_for_for_ever() {
    // Connections come about, and no one reads what comes over them.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = format!("http://{}", listener.local_addr().unwrap());
    let deaf = Endpoint::new(&deaf, impatient()).unwrap();
    let (mut upload, body) = Upload::new(Duration::from_millis(200));
    let _waiting = deaf.call(Method::POST, "x", &[]).body(reqwest::Body::wrap(body)).begin();
    let piece = vec![0; 1 << 20];
    let written = (0..1000).try_for_each(|_| upload.write_all(&piece));
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_slow_reader_holds_the_server_back_and_gets_everything() {
    let piece: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let pieces = vec![piece.clone(); 12];
    let server = TestServer::start(move |_| Answer::Chunks(pieces.clone(), vec![]));
    let reply = endpoint(&server).call(Method::GET, "x", &[]).reply().unwrap();
    let mut body = reply.body;
    std::thread::sleep(Duration::from_millis(700));
    let mut all = Vec::new();
    body.read_to_end(&mut all).unwrap();
    assert_eq!(all, piece.repeat(12));
}

/// `reqwest::blocking` and `block_on` panic there.
#[test]
fn calls_work_inside_an_asynchronous_runtime() {
    let server = TestServer::start(|_| Answer::ok("abc"));
    let endpoint = endpoint(&server);
    for runtime in [
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        tokio::runtime::Builder::new_current_thread().build().unwrap(),
    ] {
        let inner = endpoint.clone();
        runtime.block_on(async move {
            assert_eq!(get(&inner).unwrap(), b"abc");
            let (mut upload, body) = Upload::new(Duration::from_secs(5));
            let call = inner.call(Method::POST, "x", &[]).body(reqwest::Body::wrap(body));
            let begun = call.begin();
            upload.write_all(&[0; 5_000_000]).unwrap();
            upload.finish().unwrap();
            assert_eq!(begun.reply().unwrap().status, 200);
        });
    }
}

#[test]
fn many_threads_share_an_endpoint() {
    let server = TestServer::start(|request| Answer::ok(request.query("n").unwrap().to_owned()));
    let endpoint = endpoint(&server);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let endpoint = &endpoint;
            scope.spawn(move || {
                let n = n.to_string();
                let reply = endpoint.call(Method::GET, "x", &[("n", &n)]).reply().unwrap();
                assert_eq!(reply.body.all(100).unwrap(), n.as_bytes());
            });
        }
    });
}
