use super::*;
use crate::keys::{
    HpkeAlgorithm, HpkePublicKey, HpkeSecretKey, KeyAlgorithm, KeyError, open, seal,
};
use ::hpke::{Deserializable, kem::XWing};
use aes_gcm::aead::{AeadInOut, KeyInit};
use hkdf::Hkdf;
use rand_core::UnwrapErr;
use sha2::Sha256;

type CratesKey = <XWing as ::hpke::Kem>::PublicKey;

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

struct Published(serde_json::Value);

impl Published {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/hpke/x-wing.json");
        let file: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        Self(file["vectors"][0].clone())
    }

    fn bytes(&self, pointer: &str) -> Vec<u8> {
        let text = self.0.pointer(pointer).unwrap().as_str().unwrap();
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }
}

/// `KeySchedule` of RFC 9180 section 5.1 in base mode, written out: key and base nonce.
fn key_schedule(aead: u16, key_bytes: usize, secret: &[u8], info: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let suite =
        [&b"HPKE"[..], &0x647au16.to_be_bytes(), &1u16.to_be_bytes(), &aead.to_be_bytes()].concat();
    let extract = |salt: &[u8], label: &[u8], ikm: &[u8]| {
        let ikm = [b"HPKE-v1", &suite[..], label, ikm].concat();
        Hkdf::<Sha256>::extract(Some(salt), &ikm)
    };
    let (id_hash, _) = extract(b"", b"psk_id_hash", b"");
    let (info_hash, _) = extract(b"", b"info_hash", info);
    let context = [&[0][..], &id_hash, &info_hash].concat();
    let (_, secret) = extract(secret, b"secret", b"");
    let expand = |label: &[u8], len: usize| {
        let length = u16::try_from(len).unwrap().to_be_bytes();
        let mut out = vec![0; len];
        let info = [&length[..], b"HPKE-v1", &suite, label, &context];
        secret.expand_multi_info(&info, &mut out).unwrap();
        out
    };
    (expand(b"key", key_bytes), expand(b"base_nonce", 12))
}

// The published vector is for ChaCha20-Poly1305. Its shared secret goes through the key schedule above, which is first
// held to the published key and nonce, and then asked for AES-128-GCM.
#[test]
fn published_vector_of_the_hpke_pq_draft() {
    let vector = Published::read();
    let (secret, info) = (vector.bytes("/shared_secret"), vector.bytes("/info"));
    let published = (vector.bytes("/key"), vector.bytes("/base_nonce"));
    assert_eq!(key_schedule(3, 32, &secret, &info), published);

    let ikm: [u8; 32] = vector.bytes("/ikmR").try_into().unwrap();
    let key = HpkeSecretKey::derive(HpkeAlgorithm::XWing, &ikm);
    assert_eq!(key.expose()[..], vector.bytes("/skRm"));
    assert_eq!(key.public_key().as_bytes(), vector.bytes("/pkRm"));
    let seed = key.expose();
    assert_eq!(HpkeSecretKey::from_bytes(HpkeAlgorithm::XWing, &seed), key);
    assert_eq!(HpkePublicKey::from_bytes(&vector.bytes("/pkRm")), Ok(key.public_key()));

    let (plain, aad) = (vector.bytes("/encryptions/0/pt"), vector.bytes("/encryptions/0/aad"));
    let (aes_key, nonce) = key_schedule(1, 16, &secret, &info);
    let mut ciphertext = plain.clone();
    let tag = aes_gcm::Aes128Gcm::new_from_slice(&aes_key)
        .unwrap()
        .encrypt_inout_detached(
            &aes_gcm::Nonce::try_from(&nonce[..]).unwrap(),
            &aad,
            ciphertext.as_mut_slice().into(),
        )
        .unwrap();
    let wanted = [vector.bytes("/enc"), ciphertext, tag.to_vec()].concat();
    let mut randomness = crate::keys::tests::Replay(vector.bytes("/ikmE"));
    assert_eq!(seal(&key.public_key(), &info, &aad, &plain, &mut randomness), Ok(wanted.clone()));
    assert_eq!(*open(&key, &info, &aad, &wanted).unwrap(), plain);
}

fn public() -> Vec<u8> {
    HpkeSecretKey::generate(&mut rng()).public_key().as_bytes().to_vec()
}

/// The key with one of its 768 numbers replaced.
fn with_number(mut key: Vec<u8>, index: usize, number: u16) -> Vec<u8> {
    let at = index / 2 * 3;
    let [low, high] = number.to_le_bytes();
    if index.is_multiple_of(2) {
        key[at] = low;
        key[at + 1] = key[at + 1] & 0xf0 | high;
    } else {
        key[at + 1] = key[at + 1] & 0x0f | low << 4;
        key[at + 2] = low >> 4 | high << 4;
    }
    key
}

#[test]
fn pitfall_51_numbers_beyond_the_modulus_are_refused_as_fips_203_demands() {
    let key = public();
    let not_canonical = Err(KeyError::NotCanonical(KeyAlgorithm::XWing));
    for index in [0, 1, 2, 255, 256, 383, 766, 767] {
        for number in [0, 1, 3327, 3328, 3329, 3330, 4094, 4095] {
            let key = with_number(key.clone(), index, number);
            let found = HpkePublicKey::from_bytes(&key);
            // An implementation of its own, whose answer is compared.
            assert_eq!(found.is_ok(), CratesKey::from_bytes(&key).is_ok(), "{index} {number}");
            if number < Q {
                assert_eq!(found.unwrap().as_bytes(), key);
            } else {
                assert_eq!(found, not_canonical, "{index} {number}");
            }
        }
    }
}

#[test]
fn pitfall_51_the_x25519_half_is_neither_of_small_order_nor_misspelt() {
    let with_point = |first: u8, rest: u8, last: u8| {
        let mut key = public();
        let point = key.last_chunk_mut::<32>().unwrap();
        point.fill(rest);
        (point[0], point[31]) = (first, last);
        HpkePublicKey::from_bytes(&key)
    };
    let (small, misspelt) = (
        Err(KeyError::SmallOrder(KeyAlgorithm::XWing)),
        Err(KeyError::NotCanonical(KeyAlgorithm::XWing)),
    );
    assert_eq!(with_point(0, 0, 0), small);
    assert_eq!(with_point(1, 0, 0), small);
    assert_eq!(with_point(0xec, 0xff, 0x7f), small);
    assert_eq!(with_point(0xed, 0xff, 0xff), small, "whatever the top bit");
    assert_eq!(with_point(9, 0, 0x80), misspelt);
    assert_eq!(with_point(0xf0, 0xff, 0x7f), misspelt);
    assert!(with_point(9, 0, 0).is_ok());
    // X-Wing would take such a point in what is sealed; no honest sender makes one.
    let key = HpkeSecretKey::generate(&mut rng());
    let mut sealed = seal(&key.public_key(), b"", b"", b"secret", &mut rng()).unwrap();
    assert!(open(&key, b"", b"", &sealed).is_ok());
    sealed[ENCAPSULATED_BYTES - 32..ENCAPSULATED_BYTES].fill(0);
    assert!(open(&key, b"", b"", &sealed).is_err());
}

#[test]
fn keys_of_other_lengths_are_refused_by_name() {
    let key = public();
    let wanted = |algorithm: HpkeAlgorithm, found| {
        let expected = algorithm.public_bytes();
        Err(KeyError::Length { algorithm: algorithm.key_algorithm(), expected, found })
    };
    for (algorithm, len) in
        [(HpkeAlgorithm::XWing, 1215), (HpkeAlgorithm::XWing, 32), (HpkeAlgorithm::X25519, 1216)]
    {
        assert_eq!(HpkePublicKey::from_bytes_of(algorithm, &key[..len]), wanted(algorithm, len));
    }
    assert_eq!(HpkePublicKey::from_bytes(&[]), wanted(HpkeAlgorithm::X25519, 0));
    let longer = [&key[..], &[0]].concat();
    assert_eq!(HpkePublicKey::from_bytes(&longer), wanted(HpkeAlgorithm::X25519, 1217));
}

#[test]
fn every_changed_byte_of_what_was_sealed_is_refused() {
    let key = HpkeSecretKey::generate(&mut rng());
    let sealed = seal(&key.public_key(), b"info", b"aad", b"secret", &mut rng()).unwrap();
    assert_eq!(sealed.len(), ENCAPSULATED_BYTES + 6 + 16);
    for at in (0..sealed.len()).step_by(31).chain([sealed.len() - 1]) {
        let mut bad = sealed.clone();
        bad[at] ^= 1;
        assert!(open(&key, b"info", b"aad", &bad).is_err(), "byte {at}");
    }
    for len in [0, 32, ENCAPSULATED_BYTES - 1, ENCAPSULATED_BYTES, sealed.len() - 1] {
        assert!(open(&key, b"info", b"aad", &sealed[..len]).is_err(), "{len} bytes");
    }
    assert!(open(&key, b"other", b"aad", &sealed).is_err());
    assert!(open(&key, b"info", b"other", &sealed).is_err());
    let other = HpkeSecretKey::generate(&mut rng());
    assert!(open(&other, b"info", b"aad", &sealed).is_err());
}
