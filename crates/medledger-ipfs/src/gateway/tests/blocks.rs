use super::*;
use crate::http::HttpError;
use crate::sources::Sources;
use crate::{BlockRead, MAX_BLOCK_BYTES, MemoryStore, StoreError};
use medledger_core::cid::Codec;

fn hello() -> Cid {
    Cid::of(Codec::Raw, b"hello")
}

fn answered(answer: Answer) -> Result<Option<crate::Block>, GatewayError> {
    always(answer).1.block(&hello())
}

#[test]
fn a_block_is_asked_for_as_the_specification_says() {
    let server = TestServer::start(|_| raw(b"hello"));
    assert_eq!(&*gateway(&server).get(&hello()).unwrap().unwrap(), b"hello");
    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path()), ("GET", &*format!("/ipfs/{}", hello())));
    assert_eq!((seen.query("format"), seen.header("accept")), (Some("raw"), Some(RAW)));
    assert_eq!(seen.header("cache-control"), None);
    let endpoint = Endpoint::new(&format!("{}/behind/", server.url()), options()).unwrap();
    let cached = GatewayOptions { only_cached: true, ..GatewayOptions::default() };
    Gateway::with_options(endpoint, cached).get(&hello()).unwrap();
    let seen = server.seen().remove(1);
    assert_eq!(seen.path(), format!("/behind/ipfs/{}", hello()));
    assert_eq!(seen.header("cache-control"), Some("only-if-cached"));
}

#[test]
fn not_there_is_no_error() {
    for status in [404, 410, 412] {
        let (_server, gateway) = always(Answer::status(status, "no"));
        assert_eq!(gateway.get(&hello()).unwrap(), None, "{status}");
        assert!(!gateway.has(&hello()).unwrap());
        assert_eq!(gateway.size(&hello()).unwrap(), None);
    }
}

#[test]
fn pitfall_16_wrong_bytes_are_a_lie_whatever_they_are() {
    // Of the same length, another block that exists, less, more, nothing.
    for lie in [&b"hellO"[..], b"world", b"hell", b"hello!", b""] {
        let (server, gateway) = always(raw(lie));
        let error = gateway.block(&hello()).unwrap_err();
        assert!(matches!(&error, GatewayError::WrongBytes { cid, .. } if *cid == hello()));
        assert!(error.is_lie() && error.to_string().contains(&server.url()), "{error}");
        let error = gateway.get(&hello()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { cid, .. } if cid == hello()), "{error:?}");
        // A lie is not asked for twice.
        assert_eq!(server.seen().len(), 2);
    }
}

#[test]
fn pitfall_16_a_page_or_the_file_itself_is_no_block() {
    let page = Answer::ok("<html>hello</html>").header("Content-Type", "text/html");
    let file = Answer::ok("hello").header("Content-Type", "text/plain; charset=utf-8");
    for (answer, kind) in
        [(page, "text/html"), (file, "text/plain; charset=utf-8"), (Answer::ok("hello"), "")]
    {
        let error = answered(answer.clone()).unwrap_err();
        assert!(
            matches!(&error, GatewayError::NotTrustless { found, .. } if found == kind),
            "{error}"
        );
        assert!(!error.is_lie() && !error.may_pass());
        let (_server, gateway) = always(answer);
        assert!(matches!(gateway.has(&hello()), Err(StoreError::Backend { .. })));
    }
}

#[test]
fn who_sends_elsewhere_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let elsewhere = Answer::status(status, "").header("Location", "http://127.0.0.1:1/x");
        match answered(elsewhere).unwrap_err() {
            GatewayError::Redirected { status: told, location, .. } => {
                assert_eq!((told, location.as_str()), (status, "http://127.0.0.1:1/x"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn too_many_bytes_are_not_read() {
    let endless = Answer::Endless(vec![7; 60_000], Duration::ZERO).header("Content-Type", RAW);
    let long = raw(&vec![7; MAX_BLOCK_BYTES + 1]);
    for answer in [endless, long] {
        let error = answered(answer).unwrap_err();
        let limit = MAX_BLOCK_BYTES as u64;
        assert!(matches!(error, GatewayError::TooMuch { limit: l, .. } if l == limit), "{error:?}");
    }
    let largest = vec![7; MAX_BLOCK_BYTES];
    let (_server, gateway) = always(raw(&largest));
    let cid = Cid::of(Codec::Raw, &largest);
    assert_eq!(gateway.get(&cid).unwrap().unwrap().len(), MAX_BLOCK_BYTES);
}

#[test]
fn silence_and_drips_have_an_end() {
    for answer in [Answer::Nothing, Answer::Stalled(b"he".to_vec()).header("Content-Type", RAW)] {
        let error = answered(answer).unwrap_err();
        assert!(matches!(error, GatewayError::Http(HttpError::TimedOut { .. })), "{error:?}");
    }
    let drip = Answer::Endless(vec![7], Duration::from_millis(20)).header("Content-Type", RAW);
    let server = TestServer::start(move |_| drip.clone());
    let endpoint = Endpoint::new(&server.url(), options()).unwrap();
    let within = Duration::from_millis(200);
    let short = GatewayOptions { within, ..GatewayOptions::default() };
    let error = Gateway::with_options(endpoint, short).block(&hello()).unwrap_err();
    assert!(matches!(error, GatewayError::Slow { after, .. } if after == within), "{error:?}");
}

#[test]
fn an_answer_cut_off_is_an_error() {
    for answer in
        [Answer::Truncated(b"hel".to_vec(), 5).header("Content-Type", RAW), Answer::Closed]
    {
        let error = answered(answer).unwrap_err();
        assert!(matches!(error, GatewayError::Http(HttpError::Broken { .. })), "{error:?}");
    }
}

#[test]
fn what_may_pass_is_asked_for_again_and_what_may_not_is_not() {
    for (status, after, asked) in [
        (429, None, 2),
        (503, Some("0"), 2),
        (502, None, 2),
        // Longer than anybody waits here.
        (429, Some("3600"), 1),
        (429, Some("99999999999999999999"), 2),
        (400, None, 1),
        (451, None, 1),
        (500, None, 1),
    ] {
        let mut answer = Answer::status(status, "not now");
        if let Some(after) = after {
            answer = answer.header("Retry-After", after);
        }
        let (server, gateway) = always(answer);
        let error = gateway.block(&hello()).unwrap_err();
        assert!(matches!(&error, GatewayError::Refused { .. }), "{error:?}");
        assert!(error.to_string().ends_with(&format!("answered {status}: not now")), "{error}");
        assert_eq!(server.seen().len(), asked, "{status} {after:?}");
    }
    let once = std::sync::atomic::AtomicBool::new(true);
    let server = TestServer::start(move |_| {
        let first = once.swap(false, std::sync::atomic::Ordering::Relaxed);
        if first { Answer::status(503, "in a moment") } else { raw(b"hello") }
    });
    assert!(gateway(&server).get(&hello()).unwrap().is_some());
}

#[test]
fn heads_tell_what_is_there_and_how_large_where_a_gateway_knows_them() {
    let knows = TestServer::start(|_| raw(b"hello"));
    let gateway_1 = gateway(&knows);
    assert!(gateway_1.has(&hello()).unwrap());
    assert_eq!(gateway_1.size(&hello()).unwrap(), Some(5));
    assert!(knows.seen().iter().all(|request| request.method == "HEAD"));
    for status in [405, 501] {
        let server = TestServer::start(move |request| match request.method.as_str() {
            "HEAD" => Answer::status(status, ""),
            _ => raw(b"hello"),
        });
        let gateway = gateway(&server);
        assert!(gateway.has(&hello()).unwrap());
        assert_eq!(gateway.size(&hello()).unwrap(), Some(5));
        assert_eq!(server.seen().len(), 4);
    }
    let (_server, broken) = always(Answer::status(500, ""));
    assert!(broken.has(&hello()).is_err() && broken.size(&hello()).is_err());
}

#[test]
fn many_are_asked_for_at_once_and_come_in_order() {
    let together = std::sync::Arc::new((std::sync::Mutex::new((0, 0)), std::sync::Condvar::new()));
    let server = TestServer::start(move |request| {
        let (count, changed) = &*together;
        let mut now = count.lock().unwrap();
        now.0 += 1;
        now.1 = now.1.max(now.0);
        changed.notify_all();
        // The first ones wait until three are here at the same time.
        let (mut now, _) =
            changed.wait_timeout_while(now, Duration::from_secs(5), |now| now.1 < 3).unwrap();
        now.0 -= 1;
        let most = now.1;
        drop(now);
        let found =
            (0..20u8).find(|n| request.path().ends_with(&Cid::of(Codec::Raw, &[*n]).to_string()));
        if most != 3 {
            return Answer::status(400, "not three at once");
        }
        found.map_or_else(|| Answer::status(404, ""), |n| raw(&[n]))
    });
    let endpoint = EndpointOptions {
        patience: Patience { answer: Duration::from_secs(10), ..options().patience },
        ..options()
    };
    let endpoint = Endpoint::new(&server.url(), endpoint).unwrap();
    let three = GatewayOptions { parallel: 3, ..GatewayOptions::default() };
    let gateway = Gateway::with_options(endpoint, three);
    let cids: Vec<_> = (0..22u8).rev().map(|n| Cid::of(Codec::Raw, &[n])).collect();
    let blocks = gateway.get_many(&cids).unwrap();
    let got: Vec<_> = blocks.into_iter().map(|block| block.map(|b| b[0])).collect();
    let want: Vec<_> = (0..22u8).rev().map(|n| (n < 20).then_some(n)).collect();
    assert_eq!(got, want);
    assert_eq!(gateway.get_many(&[]).unwrap(), []);
}

#[test]
fn pitfall_16_one_lie_among_many_is_told() {
    let server = TestServer::start(|_| raw(&[3]));
    let cids: Vec<_> = (0..9u8).map(|n| Cid::of(Codec::Raw, &[n])).collect();
    assert!(matches!(gateway(&server).get_many(&cids), Err(StoreError::Damaged { .. })));
}

#[test]
fn pitfall_16_behind_a_liar_the_next_source_is_asked() {
    let (liar, lies) = always(raw(b"hellO"));
    let (page, website) = always(Answer::ok("<html>").header("Content-Type", "text/html"));
    let (_honest, honest) = always(raw(b"hello"));
    let sources = Sources::new()
        .own("disk", MemoryStore::new())
        .other("liar", lies)
        .other("website", website)
        .other("honest", honest);
    for _ in 0..3 {
        assert_eq!(&*sources.get(&hello()).unwrap().unwrap(), b"hello");
    }
    let health = sources.health();
    let count = |n: usize| (health[n].1.lies, health[n].1.backend_failures, health[n].1.successes);
    assert_eq!((count(1), count(2), count(3)), ((1, 0, 0), (0, 3, 0), (0, 0, 3)));
    assert_eq!((liar.seen().len(), page.seen().len()), (1, 3));
    let (_, said) = health[2].1.last_error.clone().unwrap();
    assert!(said.contains("is no trustless gateway"), "{said}");
}
