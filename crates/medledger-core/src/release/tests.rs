use super::*;
use crate::ids::{GrantId, ReportId};
use crate::record::{Read, Refuse};
use crate::testing::{DOCTOR, HOSPITAL, OTHER_DOCTOR, OTHER_HOSPITAL, World, id, member};
use rand_core::UnwrapErr;

fn rng() -> impl CryptoRng {
    UnwrapErr(getrandom::SysRng)
}

fn hpke(number: u8) -> HpkePublicKey {
    member(number).public().hpke_key()
}

fn request(world: &mut World) -> SlotRequest {
    let body = Read {
        grant: Some(GrantId::from_bytes([1; 16])),
        report: ReportId::from_bytes([2; 16]),
        version: 1,
        head: crate::ids::BlockId::from_bytes([3; 32]),
    };
    SlotRequest { read: world.sign(DOCTOR, body), token: Some(Token::from_bytes([4; 32])) }
}

fn release() -> SlotRelease {
    let rows = vec![(vec![1; 57], vec![2; 80]), (vec![3; 57], vec![4; 120])];
    SlotRelease { read: RecordId::from_bytes([5; 32]), rows }
}

#[test]
fn a_request_reaches_its_custodian_and_nobody_else() {
    let mut world = World::peopled();
    let chain = world.at.chain;
    let asked = request(&mut world);
    let bytes = asked.seal(&id(HOSPITAL), &hpke(HOSPITAL), &mut rng());
    let found = SlotRequest::open(&bytes, &chain, &member(HOSPITAL)).unwrap();
    assert_eq!((&found.read, &found.token), (&asked.read, &asked.token));
    let other = SlotRequest::open(&bytes, &chain, &member(OTHER_HOSPITAL)).unwrap_err();
    assert_eq!(other, ReleaseError::NotForYou { found: id(HOSPITAL) });
    let elsewhere = ChainId::from_bytes([9; 32]);
    let other = SlotRequest::open(&bytes, &elsewhere, &member(HOSPITAL)).unwrap_err();
    assert_eq!(other, ReleaseError::OtherChain { found: chain });
    // Sealed to another key than that of whom it names.
    let bytes = asked.seal(&id(HOSPITAL), &hpke(OTHER_HOSPITAL), &mut rng());
    let refused = SlotRequest::open(&bytes, &chain, &member(HOSPITAL)).unwrap_err();
    assert_eq!(refused, ReleaseError::NotOpened);
    let refuse = Refuse { request: RecordId::from_bytes([1; 32]) };
    let asked = SlotRequest { read: world.sign(DOCTOR, refuse), token: None };
    let bytes = asked.seal(&id(HOSPITAL), &hpke(HOSPITAL), &mut rng());
    let refused = SlotRequest::open(&bytes, &chain, &member(HOSPITAL)).unwrap_err();
    assert_eq!(refused, ReleaseError::NotARead);
}

#[test]
fn a_release_is_of_its_custodian_for_its_reader() {
    let chain = ChainId::from_bytes([7; 32]);
    let (hospital, doctor) = (member(HOSPITAL), member(DOCTOR));
    let bytes = release().seal(&chain, &hospital, &id(DOCTOR), &hpke(DOCTOR), &mut rng());
    let key = |number| member(number).public().signing_key();
    let open =
        |bytes: &[u8], reader: &Identity, by| SlotRelease::open(bytes, &chain, reader, &key(by));
    assert_eq!(open(&bytes, &doctor, HOSPITAL), Ok(release()));
    assert_eq!(open(&bytes, &doctor, OTHER_HOSPITAL), Err(ReleaseError::NotSigned));
    let other = open(&bytes, &member(OTHER_DOCTOR), HOSPITAL);
    assert_eq!(other, Err(ReleaseError::NotForYou { found: id(DOCTOR) }));
    // Opened by its reader and sealed on to another, it is not for them.
    let rows = release().wire_rows();
    let message = signed_message(&chain, &release().read, &id(DOCTOR), &rows);
    let signature = hospital.sign(domain::SLOT_RELEASE, &message);
    let plain = cbor::encode(&Given(release().read, rows, signature));
    let (to, domain) = (id(OTHER_DOCTOR), domain::SLOT_RELEASE);
    let passed_on = seal(domain, &chain, &to, &hpke(OTHER_DOCTOR), &plain, &mut rng());
    let refused = open(&passed_on, &member(OTHER_DOCTOR), HOSPITAL);
    assert_eq!(refused, Err(ReleaseError::NotSigned));
}

#[test]
fn pitfall_50_a_request_is_no_release_and_pitfall_38_damage_is_refused() {
    let mut world = World::peopled();
    let chain = world.at.chain;
    let asked = request(&mut world);
    let hospital = member(HOSPITAL);
    let bytes = asked.seal(&id(HOSPITAL), &hpke(HOSPITAL), &mut rng());
    let key = hospital.public().signing_key();
    let refused = SlotRelease::open(&bytes, &chain, &hospital, &key).unwrap_err();
    assert_eq!(refused, ReleaseError::NotOpened, "another domain");
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(SlotRequest::open(&bad, &chain, &hospital).is_err(), "byte {at}");
        assert!(SlotRequest::open(&bytes[..at], &chain, &hospital).is_err(), "cut at {at}");
    }
    assert!(SlotRequest::open(&[&bytes[..], &[0]].concat(), &chain, &hospital).is_err());
}
