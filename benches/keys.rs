//! Wrapping a report's key for a reader and opening it again, beside the crate `hpke` called directly.
#![allow(missing_docs, unreachable_pub)]

mod common;

use common::{Bench, Work};
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use medledger::core::dek::Dek;
use medledger::core::ids::{ChainId, GrantId, MemberId, ReportId};
use medledger::core::keys::{HpkeAlgorithm, HpkePublicKey, HpkeSecretKey};
use medledger::core::rand_core::UnwrapErr;
use medledger::core::slot::{Slot, SlotContext, SlotRole, SlotSuite};
use medledger::core::{Cid, cid::Codec};
use std::hint::black_box;
use std::time::Duration;

/// What is wrapped.
const DEK: [u8; 16] = [0xd0; 16];

fn main() {
    let mut bench = Bench::start(
        "keys",
        "a slot wrapped to a reader's public key and opened again, with its context made anew each time; the crate hpke with the \
         same KEM, KDF and AEAD, keys decoded once, info made once, as long",
    );
    bench.time = Duration::from_secs(3);
    suite::<X25519HkdfSha256>(&mut bench, HpkeAlgorithm::X25519);
    suite::<XWing>(&mut bench, HpkeAlgorithm::XWing);
    bench.end();
}

fn context() -> SlotContext {
    SlotContext {
        chain: ChainId::from_bytes([1; 32]),
        report: ReportId::from_bytes([2; 16]),
        version: 1,
        epoch: 1,
        role: SlotRole::Grant,
        grant: Some(GrantId::from_bytes([5; 16])),
        reader: MemberId::from_bytes([6; 16]),
        envelope: Cid::of(Codec::DagCbor, b"envelope"),
    }
}

fn suite<K: Kem>(bench: &mut Bench, algorithm: HpkeAlgorithm) {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let secret = HpkeSecretKey::generate_with(algorithm, &mut rng);
    // As a reader's key comes out of the state.
    let key = HpkePublicKey::from_bytes(secret.public_key().as_bytes()).unwrap();
    let (dek, context) = (Dek::from_bytes(DEK), context());
    let (wraps, opens) = (Work::Each(1, "wraps"), Work::Each(1, "opens"));
    let name = |what: &str| format!("{what}, {algorithm}");

    let info = context.to_bytes(SlotSuite::of(&key), Some(&key));
    let their_key = K::PublicKey::from_bytes(key.as_bytes()).unwrap();
    let their_secret = K::PrivateKey::from_bytes(&*secret.expose()).unwrap();
    let seal = |rng: &mut UnwrapErr<getrandom::SysRng>| {
        hpke::single_shot_seal_with_rng::<AesGcm128, HkdfSha256, K>(
            &OpModeS::Base,
            &their_key,
            &info,
            &DEK,
            b"",
            rng,
        )
        .unwrap()
    };
    let wrap = |rng: &mut UnwrapErr<getrandom::SysRng>| Slot::wrap_to(&dek, &key, &context, rng);

    let (encapsulated, sealed) = seal(&mut rng);
    let encapsulated = encapsulated.to_bytes();
    let slot = wrap(&mut rng);
    let their_open = || {
        let encapsulated = K::EncappedKey::from_bytes(&encapsulated).unwrap();
        hpke::single_shot_open::<AesGcm128, HkdfSha256, K>(
            &OpModeR::Base,
            &their_secret,
            &encapsulated,
            &info,
            &sealed,
            b"",
        )
        .unwrap()
    };
    let open = || slot.unwrap_with(&secret, &context).unwrap();
    assert!(open() == dek && their_open() == DEK, "both open to the key");

    let (mut first, mut second) = (UnwrapErr(getrandom::SysRng), UnwrapErr(getrandom::SysRng));
    bench.beside(
        &name("we wrap"),
        &name("hpke wraps"),
        wraps,
        || drop(black_box(wrap(&mut first))),
        || drop(black_box(seal(&mut second))),
    );
    bench.beside(
        &name("we open"),
        &name("hpke opens"),
        opens,
        || drop(black_box(open())),
        || drop(black_box(their_open())),
    );
    for (ours, theirs) in [("we wrap", "hpke wraps"), ("we open", "hpke opens")] {
        let rate = bench.rate(&name(theirs));
        bench.ratio(&name(ours), &name(theirs), rate, Some(0.9));
    }
}
