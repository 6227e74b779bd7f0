use super::*;
use crate::keys::KeyAlgorithm;
use rand_core::UnwrapErr;

fn rng() -> impl CryptoRng {
    UnwrapErr(getrandom::SysRng)
}

const PASSWORD: &str = "correct horse battery staple";

fn locked() -> (Identity, Vec<u8>) {
    let identity = Identity::generate(&mut rng());
    let bytes = lock(&identity, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    (identity, bytes)
}

/// The file with its parts changed, in canonical encoding.
fn changed(bytes: &[u8], change: impl FnOnce(&mut File)) -> Vec<u8> {
    let mut file: File = cbor::decode(bytes, 4096).unwrap();
    change(&mut file);
    cbor::encode(&file)
}

#[test]
fn what_is_locked_unlocks_with_its_password_only() {
    let (identity, bytes) = locked();
    assert_eq!(unlock(&bytes, PASSWORD), Ok(identity));
    for wrong in ["", "correct horse battery stapl", "Correct horse battery staple"] {
        assert_eq!(unlock(&bytes, wrong), Err(UnlockError::WrongPasswordOrDamaged));
    }
}

#[test]
fn an_identity_with_later_keys_keeps_its_id() {
    let identity = Identity::with_id(
        MemberId::from_bytes([7; 16]),
        SigningKey::generate(&mut rng()),
        HpkeSecretKey::generate(&mut rng()),
    );
    let bytes = lock(&identity, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    let info = peek(&bytes).unwrap();
    assert_eq!((info.id, &info.public), (identity.id(), identity.public()));
    assert_eq!(unlock(&bytes, PASSWORD), Ok(identity));
}

#[test]
fn passwords_match_however_their_characters_are_composed() {
    let (identity, _) = locked();
    let params = LockParams::weak_for_tests();
    let bytes = lock(&identity, "\u{e9}t\u{e9}", &params, &mut rng()).unwrap();
    assert_eq!(unlock(&bytes, "e\u{301}te\u{301}"), Ok(identity));
}

#[test]
fn pitfall_04_each_lock_has_its_own_salt() {
    let (identity, one) = locked();
    let two = lock(&identity, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    let parts = |bytes: &[u8]| {
        let File(header, ciphertext) = cbor::decode(bytes, 4096).unwrap();
        (header.kdf.salt, ciphertext)
    };
    assert_ne!(parts(&one).0, parts(&two).0);
    assert_ne!(parts(&one).1, parts(&two).1);
}

#[test]
fn every_changed_byte_fails_typed() {
    let (identity, bytes) = locked();
    for i in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[i] ^= 1 << (i % 8);
        match unlock(&bad, PASSWORD) {
            Err(_) => {}
            Ok(found) => panic!("byte {i} changed, yet {found:?} came out of {identity:?}"),
        }
    }
}

#[test]
fn pitfall_06_truncated_and_extended_files_fail_typed() {
    let (_, bytes) = locked();
    for len in 0..bytes.len() {
        assert!(matches!(unlock(&bytes[..len], PASSWORD), Err(UnlockError::Encoding(_))), "{len}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(unlock(&longer, PASSWORD), Err(UnlockError::Encoding(_))));
    let huge = vec![0; 5000];
    assert_eq!(
        unlock(&huge, PASSWORD),
        Err(UnlockError::Encoding(DecodeError::TooLong { found: 5000, limit: 4096 }))
    );
    let short = changed(&bytes, |file| file.1.truncate(79));
    assert_eq!(unlock(&short, PASSWORD), Err(UnlockError::Length { expected: 80, found: 79 }));
}

#[test]
fn pitfall_50_an_unknown_version_is_refused_by_name() {
    let (_, bytes) = locked();
    let later = changed(&bytes, |file| file.0.v = 3);
    assert_eq!(unlock(&later, PASSWORD), Err(UnlockError::Version { found: 3 }));
    assert_eq!(
        peek(&later).unwrap_err().to_string(),
        "the locked identity has version 3; this program reads version 2 and those before"
    );
    // Whatever else a later version holds.
    let other = cbor::encode(&(std::collections::BTreeMap::from([("v", 9), ("new", 1)]), "more"));
    assert_eq!(peek(&other), Err(UnlockError::Version { found: 9 }));
}

#[test]
fn pitfall_38_a_hostile_file_cannot_ask_for_much_work() {
    let (_, bytes) = locked();
    let with = |m, t, p| {
        let bad = changed(&bytes, |file| {
            (file.0.kdf.m, file.0.kdf.t, file.0.kdf.p) = (m, t, p);
        });
        match unlock(&bad, PASSWORD) {
            Err(UnlockError::Params(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(with(8191, 1, 1), "memory in KiB must be from 8192 to 1048576, found 8191");
    assert_eq!(with(1_048_577, 1, 1), "memory in KiB must be from 8192 to 1048576, found 1048577");
    assert!(with(u32::MAX, 1, 1).ends_with("found 4294967295"));
    assert_eq!(with(8192, 0, 1), "passes must be from 1 to 16, found 0");
    assert_eq!(with(8192, 17, 1), "passes must be from 1 to 16, found 17");
    assert_eq!(with(8192, 1, 0), "lanes must be from 1 to 16, found 0");
    assert_eq!(with(8192, 1, 17), "lanes must be from 1 to 16, found 17");
}

#[test]
fn keys_other_than_those_named_outside_are_refused() {
    // Made by someone who knows the password: everything authentic, but the keys do not belong
    // together.
    let (mut identity, _) = locked();
    identity.signing = SigningKey::generate(&mut rng());
    let bytes = lock(&identity, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    assert_eq!(unlock(&bytes, PASSWORD), Err(UnlockError::WrongPasswordOrDamaged));
}

#[test]
fn an_empty_password_is_refused() {
    let (identity, _) = locked();
    let result = lock(&identity, "", &LockParams::weak_for_tests(), &mut rng());
    assert_eq!(result, Err(LockError::EmptyPassword));
}

// RFC 9106 gives vectors with a secret and associated data only, which are not used here; this one
// is of the reference implementation (phc-winner-argon2, test.c): 64 MiB, two passes, one lane.
#[test]
fn argon2id_of_the_reference_implementation() {
    let params = LockParams::new(64 * 1024, 2, 1).unwrap();
    let argon = |salt: &[u8]| {
        let params = Params::new(params.memory_kib, params.passes, params.lanes, None).unwrap();
        let mut out = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"password", salt, &mut out)
            .unwrap();
        data_encoding::HEXLOWER.encode(&out)
    };
    assert_eq!(
        argon(b"somesalt"),
        "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
    );
    let ours = password_key("password", &params, b"0123456789abcdef").unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&*ours), argon(b"0123456789abcdef"));
}

#[test]
fn former_keys_are_locked_with_the_present_ones() {
    let mut identity = Identity::generate_with(HpkeAlgorithm::X25519, &mut rng());
    for count in 1..=limit::FORMER_KEYS {
        let algorithm = HpkeAlgorithm::ALL[count % 2];
        identity = identity.next(algorithm, &mut rng()).unwrap();
        let bytes = lock(&identity, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
        assert!(bytes.len() <= limit::LOCKED_IDENTITY_BYTES, "{} bytes", bytes.len());
        assert_eq!(peek(&bytes).unwrap().former, count);
        assert_eq!(unlock(&bytes, PASSWORD).as_ref(), Ok(&identity));
    }
    // One more than may be, and a part of one.
    let bytes = lock(&identity, PASSWORD, &LockParams::weak_for_tests(), &mut rng()).unwrap();
    for extra in [1, 33] {
        let longer = changed(&bytes, |file| file.1.extend(vec![0; extra]));
        let found = 80 + 8 * 33 + extra;
        assert_eq!(unlock(&longer, PASSWORD), Err(UnlockError::Length { expected: 80, found }));
    }
}

#[test]
fn pitfall_50_a_former_key_of_an_unknown_algorithm_is_refused() {
    let identity = Identity::generate(&mut rng());
    assert_eq!(former_key(&[9; 33]), None);
    assert_eq!(former_key(&[KeyAlgorithm::Ed25519.code(); 33]), None);
    let mut known = [7; 33];
    known[0] = KeyAlgorithm::XWing.code();
    assert!(former_key(&known).is_some());
    assert!(identity.former_hpke_keys().is_empty());
}

/// Written by the program when the format of locked identities was at version 1.
const VERSION_1: &[u8] = include_bytes!("version-1.identity");

#[test]
fn files_of_version_1_are_still_read() {
    let info = peek(VERSION_1).unwrap();
    assert_eq!((info.version, info.former), (1, 0));
    assert!(info.is_outdated(&LockParams::default()));
    let identity = unlock(VERSION_1, "locked by version 1").unwrap();
    assert_eq!((identity.id(), identity.public()), (info.id, &info.public));
    assert_eq!(identity.public().hpke_key().algorithm(), HpkeAlgorithm::X25519);
    assert_eq!(unlock(VERSION_1, "another"), Err(UnlockError::WrongPasswordOrDamaged));
    // Locked anew it is of the present version, and the same identity.
    let params = LockParams::default();
    let anew = lock(&identity, "locked by version 1", &params, &mut rng()).unwrap();
    assert!(!peek(&anew).unwrap().is_outdated(&params));
    assert_eq!(unlock(&anew, "locked by version 1"), Ok(identity));
    // What version 1 never held.
    let longer = changed(VERSION_1, |file| file.1.extend([0; 33]));
    assert_eq!(peek(&longer), Err(UnlockError::Length { expected: 80, found: 113 }));
}

#[test]
fn weaker_parameters_are_told_from_stronger_ones() {
    let of = |m, t| LockParams::new(m, t, 1).unwrap();
    let (present, info) = (of(16 * 1024, 2), |params| LockedInfo {
        id: MemberId::from_bytes([1; 16]),
        public: Identity::generate_with(HpkeAlgorithm::X25519, &mut rng()).public().clone(),
        params,
        version: LOCKED_VERSION,
        former: 0,
    });
    for (params, outdated) in [
        (present, false),
        (of(16 * 1024, 3), false),
        (of(32 * 1024, 1), false),
        (of(16 * 1024, 1), true),
        (of(8 * 1024, 4), true),
        (of(8 * 1024, 16), true),
    ] {
        assert_eq!(info(params).is_outdated(&present), outdated, "{params:?}");
    }
}
