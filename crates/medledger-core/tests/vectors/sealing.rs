//! What is sealed under a report's key: bodies and envelopes.

use super::case::{Case, File};
use super::{file, kind};
use medledger_core::cid::Codec;
use medledger_core::context::BodyContext;
use medledger_core::dek::Dek;
use medledger_core::envelope::{Envelope, Metadata, seal_meta, unseal_meta};
use medledger_core::ids::{MemberId, ReportId};
use medledger_core::registry::CipherSuite;
use medledger_core::seal::{Backend, Salt, seal_with, unseal};
use medledger_core::{Cid, cbor};
use serde_json::json;

fn context() -> BodyContext {
    BodyContext {
        report: ReportId::from_bytes([1; 16]),
        version: 1,
        epoch: 1,
        patient: MemberId::from_bytes([2; 16]),
        author: MemberId::from_bytes([3; 16]),
    }
}

const DEK: [u8; 16] = [4; 16];
const SALT: [u8; 24] = [5; 24];

fn sealed(context: &BodyContext, plain: &[u8]) -> Vec<u8> {
    let dek = Dek::from_bytes(DEK);
    seal_with(Backend::best(), &dek, &Salt::from_bytes(SALT), &context.to_bytes(), plain).unwrap()
}

fn read_context(case: &Case) -> BodyContext {
    let number = |field: &str| case.get(field).unwrap().as_u64().unwrap() as u32;
    BodyContext {
        report: case.text("report").parse().unwrap(),
        version: number("version"),
        epoch: number("epoch"),
        patient: case.text("patient").parse().unwrap(),
        author: case.text("author").parse().unwrap(),
    }
}

pub(crate) fn seal() -> File {
    let mut file = file(
        "A report's body: Cobblestone-128 (c2sp.org/chunked-encryption) under the report's key, with \
         `context` made of the domain and the ids.",
        |case| {
            let context = read_context(case);
            assert_eq!(context.to_bytes(), case.bytes("context"), "{}", case.name());
            match unseal(
                &Dek::from_bytes(case.array("dek")),
                &context.to_bytes(),
                &case.bytes("sealed"),
            ) {
                Ok(plain) => {
                    assert!(plain == case.bytes("plain"), "{}", case.name());
                    let dek = Dek::from_bytes(case.array("dek"));
                    let salt = Salt::from_bytes(case.array("salt"));
                    for backend in Backend::all() {
                        let again = seal_with(*backend, &dek, &salt, &context.to_bytes(), &plain);
                        assert!(again.unwrap() == case.bytes("sealed"), "{}", case.name());
                    }
                    "ok".into()
                }
                Err(error) => kind(&error),
            }
        },
    );
    let mut add = |name: &str,
                   expect: &str,
                   reason: &str,
                   pitfall,
                   place: &BodyContext,
                   plain: &[u8],
                   bytes: &[u8]| {
        let mut case = Case::new(name, expect, reason);
        if let Some(number) = pitfall {
            case = case.pitfall(number);
        }
        let case = case
            .with("report", place.report.to_string())
            .with("version", place.version)
            .with("epoch", place.epoch)
            .with("patient", place.patient.to_string())
            .with("author", place.author.to_string())
            .hex("context", place.to_bytes())
            .hex("dek", if name == "other_key" { [9; 16] } else { DEK })
            .hex("salt", SALT);
        let case = if plain.len() > 64 {
            case.with("plain", json!({ "repeat": super::hex(&plain[..1]), "count": plain.len() }))
        } else {
            case.hex("plain", plain)
        };
        file.push(case.hex("sealed", bytes));
    };
    let right = context();
    let text = b"a report";
    let good = sealed(&right, text);
    add("report", "ok", "a short report", None, &right, text, &good);
    add("empty", "ok", "nothing is one short chunk", None, &right, b"", &sealed(&right, b""));
    let chunk = vec![0x61; 16 * 1024];
    let full = sealed(&right, &chunk);
    add(
        "full_chunk",
        "ok",
        "a full chunk is followed by an empty last one",
        None,
        &right,
        &chunk,
        &full,
    );
    let cut = &full[..full.len() - 16];
    add(
        "last_chunk_missing",
        "truncated",
        "nothing says that the report ends",
        Some(6),
        &right,
        &chunk,
        cut,
    );
    let other = MemberId::from_bytes([9; 16]);
    for (name, place) in [
        ("other_report", BodyContext { report: ReportId::from_bytes([9; 16]), ..right }),
        ("other_version", BodyContext { version: 2, ..right }),
        ("other_epoch", BodyContext { epoch: 2, ..right }),
        ("other_patient", BodyContext { patient: other, ..right }),
        ("other_author", BodyContext { author: other, ..right }),
    ] {
        let reason = "the ciphertext was moved to where it does not belong";
        add(name, "wrong_key_or_context", reason, Some(7), &place, text, &good);
    }
    add(
        "other_key",
        "wrong_key_or_context",
        "the commitment is to another key",
        Some(5),
        &right,
        text,
        &good,
    );
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    add(
        "salt_flipped",
        "wrong_key_or_context",
        "the salt is part of the key",
        None,
        &right,
        text,
        &flip(0),
    );
    let reason = "the commitment differs by a bit";
    add("commitment_flipped", "wrong_key_or_context", reason, Some(5), &right, text, &flip(55));
    add("text_flipped", "damaged", "the tag does not match", Some(3), &right, text, &flip(56));
    add(
        "tag_flipped",
        "damaged",
        "the tag does not match",
        Some(3),
        &right,
        text,
        &flip(good.len() - 1),
    );
    let shorter = &good[..good.len() - 1];
    add(
        "cut_by_one",
        "damaged",
        "the tag is read one byte too early",
        Some(6),
        &right,
        text,
        shorter,
    );
    let longer = [&good[..], &[0]].concat();
    add(
        "longer_by_one",
        "damaged",
        "the tag is read one byte too late",
        Some(6),
        &right,
        text,
        &longer,
    );
    let reason = "no report is shorter than head and tag";
    add("head_only", "truncated", "not even a last chunk", Some(6), &right, text, &good[..56]);
    add("short_head", "invalid_length", reason, Some(6), &right, text, &good[..55]);
    add("short_tag", "invalid_length", reason, Some(6), &right, text, &good[..71]);
    file
}

fn metadata() -> Metadata {
    Metadata::new("R\u{f6}ntgen.pdf", "application/pdf", 8).unwrap().with_note("left hand").unwrap()
}

pub(crate) fn envelopes() -> File {
    let mut file = file(
        "Envelopes: the DAG-CBOR node that ties a sealed body to its sealed metadata. The metadata in \
         them opens under the key and the context of seal.json.",
        |case| match Envelope::decode(&case.bytes("bytes")) {
            Ok(envelope) => {
                assert_eq!(envelope.encode(), case.bytes("bytes"));
                assert_eq!(envelope.cid().to_string(), case.text("cid"));
                assert_eq!(envelope.body.to_string(), case.text("body"));
                let context = context().meta(envelope.body);
                let opened = unseal_meta(&Dek::from_bytes(DEK), &context, &envelope.meta);
                assert_eq!(opened.unwrap().file_name(), case.text("file_name"));
                "ok".into()
            }
            Err(error) => kind(&error),
        },
    );
    let bytes = sealed(&context(), b"a report");
    let body = Cid::of(Codec::Raw, &bytes);
    let dek = Dek::from_bytes(DEK);
    let mut fixed = FixedSalt;
    let good = Envelope {
        suite: CipherSuite::Cobblestone128,
        body,
        size: bytes.len() as u64,
        head: bytes[..56].try_into().unwrap(),
        meta: seal_meta(&dek, &context().meta(body), &metadata(), &mut fixed).unwrap(),
    };
    file.push(
        Case::new("envelope", "ok", "a report of eight bytes")
            .hex("bytes", good.encode())
            .with("cid", good.cid().to_string())
            .with("body", body.to_string())
            .with("file_name", "R\u{f6}ntgen.pdf"),
    );
    let mut add = |name: &str, expect: &str, reason: &str, bytes: Vec<u8>| {
        file.push(Case::new(name, expect, reason).hex("bytes", bytes));
    };
    let encoded = good.encode();
    let with = |envelope: Envelope| envelope.encode();
    // The map has six entries and begins with `v`, so version and head stand at fixed places.
    let mut later = encoded.clone();
    later[3] = 2;
    add("later_version", "unknown_version", "version 2", later);
    let mut suite = encoded.clone();
    *suite.last_mut().unwrap() = 2;
    add("unknown_suite", "unknown_suite", "suite 2", suite);
    let body = Cid::of(Codec::DagCbor, b"x");
    add(
        "body_is_no_file",
        "invalid_body",
        "a body is raw or dag-pb",
        with(Envelope { body, ..good.clone() }),
    );
    for (name, size) in [("no_tag", 71), ("only_full_chunks", 56 + 16_400), ("endless", u64::MAX)] {
        let reason = "no report seals to this size";
        add(name, "invalid_size", reason, with(Envelope { size, ..good.clone() }));
    }
    for (name, len) in
        [("no_metadata", 0), ("metadata_off_step", 72 + 511), ("metadata_too_long", 72 + 512 * 20)]
    {
        let reason = "sealed metadata comes in steps of 512 bytes, nineteen at most";
        add(name, "invalid_meta", reason, with(Envelope { meta: vec![0; len], ..good.clone() }));
    }
    add("cut", "malformed", "the last byte is missing", encoded[..encoded.len() - 1].to_vec());
    add("longer", "malformed", "a byte too many", [&encoded[..], &[0]].concat());
    let mut more = encoded.clone();
    more[0] += 1;
    more.extend_from_slice(b"\x67unknown\x00");
    add("unknown_field", "malformed", "a seventh entry", more);
    let mut missing = encoded[..encoded.len() - 7].to_vec();
    missing[0] -= 1;
    add("missing_field", "malformed", "no suite", missing);
    add("list", "malformed", "a list is no map", cbor::encode(&[1u8, 1]));
    add("empty", "malformed", "nothing", Vec::new());
    file
}

/// The same salt each time, for the file only.
struct FixedSalt;

impl medledger_core::rand_core::TryRng for FixedSalt {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(6)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(6)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(6);
        Ok(())
    }
}

impl medledger_core::rand_core::TryCryptoRng for FixedSalt {}
