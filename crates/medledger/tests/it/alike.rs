//! Somebody else's and what does not exist: one answer, and the same look-ups and work with keys, counted.

use crate::support::{World, pick_up, rng, world};
use medledger::core::engine::SubmitError;
use medledger::core::ids::RecordNonce;
use medledger::core::record::{Read, Record, Scope};
use medledger::core::registry::{Kind, VoidCode};
use medledger::core::release::SlotRequest;
use medledger::core::store::RecordQuery;
use medledger::core::token::Token;
use medledger::effort::{Effort, counted};
use medledger::{
    AccessKey, Approved, Delegation, GrantId, Identity, Key, Permission, Purpose, ReaderKey,
    ReleaseSlotError, ReportId, RevokeError, Role,
};

fn share(w: &World, scope: impl Into<Scope>, reader: &Identity, key: ReaderKey) -> Approved {
    let permission =
        Permission::new(scope, reader.id(), Purpose::Treatment, w.in_days(1)).delegable(1);
    let shared = w.ledger.share(&w.patient, permission, &Key::Identity, key).unwrap();
    w.ledger.wait_mined(&shared.record).unwrap();
    shared
}

fn opens(w: &World, reader: &Identity, report: &ReportId) -> bool {
    w.ledger.open_report(reader, report, &Key::Identity).is_ok()
}

#[test]
fn pitfall_35_revoking_anothers_grant_is_like_revoking_none_and_takes_nothing() {
    let w = world();
    let (one, _) = w.upload(b"one");
    let [bob, joy, eve] = [
        w.add(Role::Doctor, "Dr Bob"),
        w.add(Role::Nurse, "Nurse Joy"),
        w.add(Role::Doctor, "Dr Eve"),
    ];
    let quinn = w.add(Role::Patient, "Quinn");
    let report = share(&w, one.report, &bob, ReaderKey::Identity);
    let collection = share(&w, Scope::Collection(w.hospital.id()), &bob, ReaderKey::Identity);
    let mut part = Delegation::to(joy.id());
    part.reader_key = ReaderKey::Identity;
    let passed = w.ledger.delegate(&bob, &report.grant, &Key::Identity, part).unwrap();
    w.ledger.wait_mined(&passed.record).unwrap();
    let grants: [GrantId; 4] =
        [GrantId::from_bytes([0xee; 16]), report.grant, collection.grant, passed.grant];

    // What a call answers and costs: first, and when it is said again.
    let revoke = |who: &Identity, grant: &GrantId| -> [(Option<VoidCode>, Effort); 2] {
        [(); 2].map(|()| {
            let (answer, effort) = counted(|| w.ledger.revoke(who, grant));
            let code = match answer {
                Ok(record) => {
                    w.ledger.wait_mined(&record).unwrap();
                    None
                }
                Err(RevokeError::Submit(SubmitError::Refused { code, .. })) => Some(code),
                Err(error) => panic!("{error}"),
            };
            (code, effort)
        })
    };
    for stranger in [&quinn, &eve] {
        let answers = grants.map(|grant| revoke(stranger, &grant));
        assert_eq!([answers[0][0].0, answers[0][1].0], [None, Some(VoidCode::Revoked)]);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    }
    // Nor does who only holds it.
    assert_eq!(revoke(&joy, &passed.grant), revoke(&joy, &grants[0]));
    let wrong_role = grants.map(|grant| revoke(&w.hospital, &grant));
    assert!(wrong_role.iter().all(|answer| *answer == wrong_role[0]), "{wrong_role:?}");

    // No slot went, no collection moved on, and the letters say nothing.
    assert!(opens(&w, &bob, &one.report) && opens(&w, &joy, &one.report));
    let (late, _) = w.upload(b"late");
    assert!(opens(&w, &bob, &late.report));
    // Those whose it is still can.
    w.ledger.revoke(&bob, &passed.grant).unwrap();
    assert!(!opens(&w, &joy, &one.report));
    w.ledger.revoke(&w.patient, &report.grant).unwrap();
    w.ledger.revoke(&w.patient, &collection.grant).unwrap();
    assert!(!opens(&w, &bob, &one.report) && !opens(&w, &bob, &late.report));
    assert!(w.ledger.verify(medledger::VerifyDepth::Full).unwrap().findings.is_empty());
}

#[test]
fn pitfall_35_a_custodian_refuses_a_slot_alike_whatever_is_wrong() {
    let w = world();
    let (one, _) = w.upload(b"one");
    let (two, _) = w.upload(b"two");
    let [bob, eve] = ["Dr Bob", "Dr Eve"].map(|name| w.add(Role::Doctor, name));
    let stranger = Identity::generate(&mut rng());
    let mut shared = share(&w, one.report, &bob, ReaderKey::Access);
    let key = pick_up(&mut shared.delivery);
    let of_eve = share(&w, two.report, &eve, ReaderKey::Identity);
    let gone = share(&w, two.report, &bob, ReaderKey::Identity);
    w.ledger.wait_mined(&w.ledger.revoke(&w.patient, &gone.grant).unwrap()).unwrap();

    let mut nonce = 0;
    let mut asks = |reader: &Identity, report: ReportId, grant: GrantId, token: Option<Token>| {
        nonce += 1;
        let head = medledger::core::ids::BlockId::from_bytes([1; 32]);
        let record = Record {
            chain: w.ledger.chain(),
            nonce: RecordNonce::from_bytes([nonce; 16]),
            author: reader.id(),
            time: w.ledger.now(),
            body: Read { grant: Some(grant), report, version: 1, head }.into(),
        };
        let request = SlotRequest { read: record.sign(reader), token };
        request.seal(&w.hospital.id(), &w.hospital.public().hpke_key(), &mut rng())
    };
    let reads = || {
        let query = RecordQuery { kind: Some(Kind::Read), ..RecordQuery::default() };
        w.ledger.view().unwrap().find(&query).unwrap().len()
    };
    let cost = |request: Vec<u8>| {
        let (answer, effort) = counted(|| w.ledger.release_slot(&w.hospital, &request));
        let error = answer.unwrap_err();
        assert!(matches!(error, ReleaseSlotError::NoAccess), "{error}");
        effort
    };
    let (none, nothing) = (GrantId::from_bytes([9; 16]), ReportId::from_bytes([9; 16]));
    // Bob's keys, but others than he signs with.
    let forged = Identity::with_id(
        bob.id(),
        medledger::core::keys::SigningKey::generate(&mut rng()),
        medledger::core::keys::HpkeSecretKey::generate(&mut rng()),
    );
    // With a token and without one, as whoever asks knows which they showed.
    for with_token in [true, false] {
        let token =
            |grant: &GrantId, key: &AccessKey| with_token.then(|| Token::derive(key, grant));
        let wrong = AccessKey::from_bytes([7; 16]);
        let cases: [(&str, &Identity, ReportId, GrantId, &AccessKey); 8] = [
            ("no grant", &bob, one.report, none, &key),
            ("no report", &bob, nothing, none, &key),
            ("another report's grant", &bob, two.report, shared.grant, &key),
            ("another reader's grant", &bob, two.report, of_eve.grant, &wrong),
            ("a grant taken back", &bob, two.report, gone.grant, &wrong),
            ("another key", &bob, one.report, shared.grant, &wrong),
            ("somebody unknown", &stranger, one.report, shared.grant, &key),
            ("a forged signature", &forged, one.report, shared.grant, &key),
        ];
        let efforts = cases.map(|(what, who, report, grant, key)| {
            // Not so many that a wait begins.
            w.pass(medledger::core::registry::limit::ATTEMPTS_SECONDS);
            (what, cost(asks(who, report, grant, token(&grant, key))))
        });
        let first = efforts[0].1;
        for (what, effort) in &efforts {
            assert_eq!(*effort, first, "{what}");
        }
        assert!(first.lookups > 0 && first.checks == 1);
        assert_eq!(first.tokens > 0, with_token);
    }
    assert_eq!(reads(), 0);
    let good = asks(&bob, one.report, shared.grant, Some(Token::derive(&key, &shared.grant)));
    w.ledger.release_slot(&w.hospital, &good).unwrap();
    assert_eq!(reads(), 1);
}

#[test]
fn pitfall_35_a_custodian_tells_of_a_suspension_those_alone_who_have_the_keys() {
    let w = world();
    let (one, _) = w.upload(b"one");
    let bob = w.add(Role::Doctor, "Dr Bob");
    let shared = share(&w, one.report, &bob, ReaderKey::Identity);
    w.ledger.wait_mined(&w.ledger.suspend(&w.hospital, &bob.id()).unwrap()).unwrap();
    let since = w.ledger.suspension(&bob.id()).unwrap().expect("suspended");
    let ask = |by: &Identity, report: ReportId, grant: GrantId| {
        let head = medledger::core::ids::BlockId::from_bytes([1; 32]);
        let record = Record {
            chain: w.ledger.chain(),
            nonce: RecordNonce::random(&mut rng()),
            author: by.id(),
            time: w.ledger.now(),
            body: Read { grant: Some(grant), report, version: 1, head }.into(),
        };
        let request = SlotRequest { read: record.sign(by), token: None };
        let to = w.hospital.public().hpke_key();
        let bytes = request.seal(&w.hospital.id(), &to, &mut rng());
        counted(|| w.ledger.release_slot(&w.hospital, &bytes).unwrap_err())
    };
    // The first of a day makes a row to count the others in.
    ask(&bob, one.report, shared.grant);
    // The same whether there is such a report and permission or not.
    let (there, effort) = ask(&bob, one.report, shared.grant);
    assert!(matches!(there, ReleaseSlotError::Suspended(found) if found == since), "{there}");
    assert!(there.to_string().contains(&since.to_string()), "{there}");
    let (none, nothing) = (GrantId::from_bytes([9; 16]), ReportId::from_bytes([9; 16]));
    let (absent, same) = ask(&bob, nothing, none);
    assert_eq!((absent.to_string(), same), (there.to_string(), effort));
    // Who only claims to be that reader is told what strangers are told.
    let forged = Identity::with_id(
        bob.id(),
        medledger::core::keys::SigningKey::generate(&mut rng()),
        medledger::core::keys::HpkeSecretKey::generate(&mut rng()),
    );
    let (stranger, _) = ask(&forged, one.report, shared.grant);
    assert!(matches!(stranger, ReleaseSlotError::NoAccess), "{stranger}");
    // It costs the reader no attempts: with new keys nothing has to be waited for.
    for _ in 0..20 {
        ask(&bob, one.report, shared.grant);
    }
    let (next, succession) = w.ledger.replace_keys(&w.hospital, &bob.id(), "new").unwrap();
    w.ledger.wait_mined(&succession.record).unwrap();
    let (refused, _) = ask(&next, nothing, none);
    assert!(matches!(refused, ReleaseSlotError::NoAccess), "{refused}");
}
