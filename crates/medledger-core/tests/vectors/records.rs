//! Records and their signatures.

use super::case::{Case, File};
use super::world::{DOCTOR, HOSPITAL, PATIENT, member, record, records as all};
use super::{file, kind};
use medledger_core::cbor;
use medledger_core::hospital::Application;
use medledger_core::identity::PublicIdentity;
use medledger_core::ids::{ChainId, GrantId, SetHash};
use medledger_core::keys::SigningKey;
use medledger_core::record::{Admit, Approval, HospitalChange, Revoke, SignedRecord};
use medledger_core::registry::{Kind, domain, limit};
use serde_json::json;

fn judge(case: &Case) -> String {
    let record = match SignedRecord::decode(&case.bytes("bytes")) {
        Ok(record) => record,
        Err(error) => return kind(&error),
    };
    assert_eq!(record.encode(), case.bytes("bytes"), "{}", case.name());
    let author = PublicIdentity::from_bytes(&case.bytes("author_keys")).unwrap();
    if record.verify(&author.signing_key()).is_err() {
        return "bad_signature".into();
    }
    assert_eq!(record.id().to_string(), case.text("id"));
    assert_eq!(record.record().kind().name(), case.text("kind"));
    assert_eq!(record.record().author, author.member_id());
    "ok".into()
}

/// A hospital is admitted, and one is expelled; on what chain that takes effect is a matter of its hospitals.
fn changes(chain: ChainId) -> Vec<(&'static str, SignedRecord)> {
    let hospital = member(HOSPITAL);
    let (new, key) = (member(40), SigningKey::from_seed(&[41; 32]));
    let set = SetHash::from_bytes([0x33; 32]);
    let change = HospitalChange::from(Application::new(Some(chain), &new, &key));
    let admit = Admit { set, change, approvals: Vec::new() };
    let signature = new.sign(domain::HOSPITAL_CHANGE, b"an approval of something else");
    let approvals = vec![Approval { hospital: new.id(), signature }];
    let expel = Admit { set, change: HospitalChange::Expel(new.id()), approvals };
    [("admit", 20, admit), ("expel", 21, expel)]
        .map(|(name, number, body)| (name, record(chain, HOSPITAL, number, body).sign(&hospital)))
        .into()
}

pub(crate) fn records() -> File {
    let mut file = file(
        "Signed records: a DAG-CBOR list of the record's bytes and the author's Ed25519 signature (ZIP \
         215) over domain and record id. `author_keys` is the author's public identity.",
        judge,
    );
    let chain = ChainId::from_bytes([0x11; 32]);
    let mut records = all(chain);
    records.extend(changes(chain));
    for (name, signed) in &records {
        let author = [HOSPITAL, DOCTOR, PATIENT]
            .map(member)
            .into_iter()
            .find(|member| member.id() == signed.record().author)
            .unwrap();
        file.push(
            Case::new(name, "ok", "well formed and signed")
                .hex("author_keys", author.public().to_bytes())
                .hex("bytes", signed.encode())
                .with("id", signed.id().to_string())
                .with("kind", signed.record().kind().name()),
        );
    }
    let keys = member(PATIENT).public().to_bytes();
    let mut add = |name: &str, expect: &str, reason: &str, pitfall: Option<u8>, bytes: Vec<u8>| {
        let case = Case::new(name, expect, reason).hex("author_keys", &keys);
        let case = if let Some(number) = pitfall { case.pitfall(number) } else { case };
        file.push(case.hex("bytes", bytes));
    };
    let grant = GrantId::from_bytes([2; 16]);
    let plain = record(chain, PATIENT, 1, Revoke { grant });
    let signed = plain.clone().sign(&member(PATIENT));
    let good = signed.encode();
    let wrap = |inner: &[u8]| {
        let inner = serde_bytes::Bytes::new(inner);
        cbor::encode(&(inner, signed.signature()))
    };
    // Signatures.
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let last = good.len() - 1;
    add("signature_flipped", "bad_signature", "the last bit differs", None, flip(last));
    add("signature_r_flipped", "bad_signature", "a bit of R differs", None, flip(last - 40));
    let zeros = cbor::encode(&(
        serde_bytes::Bytes::new(&plain.encode()),
        medledger_core::keys::Signature::from_bytes([0; 64]),
    ));
    add("signature_of_zeros", "bad_signature", "R and S are zero", Some(31), zeros);
    let forged = cbor::encode(&(
        serde_bytes::Bytes::new(&plain.encode()),
        member(DOCTOR)
            .sign(medledger_core::registry::domain::RECORD_SIGNATURE, signed.id().as_bytes()),
    ));
    add(
        "signed_by_another",
        "bad_signature",
        "the doctor signed for the patient",
        Some(32),
        forged,
    );
    let domain = cbor::encode(&(
        serde_bytes::Bytes::new(&plain.encode()),
        member(PATIENT).sign(medledger_core::registry::domain::POSSESSION, signed.id().as_bytes()),
    ));
    add("signed_as_something_else", "bad_signature", "the domain is another", Some(30), domain);
    let mut other = plain.clone();
    other.chain = ChainId::from_bytes([0x12; 32]);
    let moved = wrap(&other.encode());
    add("moved_to_another_chain", "bad_signature", "the chain is signed", Some(30), moved);
    let later = super::world::record(chain, PATIENT, 2, Revoke { grant });
    add(
        "other_nonce",
        "bad_signature",
        "nonce and time are signed",
        Some(30),
        wrap(&later.encode()),
    );
    // The list around the record.
    add("cut", "malformed", "the last byte is missing", None, good[..last].to_vec());
    add("longer", "malformed", "a byte too many", None, [&good[..], &[0]].concat());
    add("empty", "malformed", "nothing", None, Vec::new());
    let bytes = plain.encode();
    add("unsigned", "malformed", "the record alone", None, bytes.clone());
    let short = cbor::encode(&(serde_bytes::Bytes::new(&bytes), serde_bytes::Bytes::new(&[0; 63])));
    add("short_signature", "malformed", "a signature has 64 bytes", None, short);
    let three = cbor::encode(&(serde_bytes::Bytes::new(&bytes), signed.signature(), 0u8));
    add("three_items", "malformed", "the list has two items", None, three);
    // The record itself.
    let after = |pattern: &[u8]| {
        bytes.windows(pattern.len()).position(|w| w == pattern).unwrap() + pattern.len()
    };
    let put = |at: usize, old: usize, new: &[u8]| [&bytes[..at], new, &bytes[at + old..]].concat();
    let version = after(b"\x61v");
    let kind_at = after(b"\x64kind");
    add(
        "version_2",
        "unknown_version",
        "a later version: update needed",
        Some(50),
        wrap(&put(version, 1, &[2])),
    );
    add(
        "version_0",
        "unknown_version",
        "there is no version 0",
        Some(50),
        wrap(&put(version, 1, &[0])),
    );
    add(
        "version_2_only",
        "unknown_version",
        "whatever else a later version has",
        Some(50),
        wrap(b"\xa1\x61v\x02"),
    );
    for kind in Kind::ALL.iter().filter(|kind| !kind.in_force()) {
        let name = format!("reserved_{}", kind.name().replace('-', "_"));
        let bytes = wrap(&put(kind_at, 2, &cbor::encode(&kind.code())));
        add(&name, "not_in_force", "reserved, not yet in force", None, bytes);
    }
    for code in [0u16, 6, 81, 65_535] {
        let bytes = wrap(&put(kind_at, 2, &cbor::encode(&code)));
        add(&format!("kind_{code}"), "unknown_kind", "no such kind: update needed", None, bytes);
    }
    let as_refuse = wrap(&put(kind_at, 2, &cbor::encode(&Kind::Refuse.code())));
    add("body_of_another_kind", "malformed", "a revocation called a refusal", None, as_refuse);
    let long = wrap(&put(version, 1, &[0x18, 1]));
    add("version_in_two_bytes", "malformed", "1 fits in one byte", None, long);
    let mut more = bytes.clone();
    more[0] += 1;
    more.extend_from_slice(b"\x67unknown\x00");
    add("unknown_field", "malformed", "an eighth entry", None, wrap(&more));
    let body = after(b"\x64body");
    let mut more = bytes.clone();
    more[body] += 1;
    let end = body + 1 + 6 + 17;
    more.splice(end..end, b"\x67unknown\x00".iter().copied());
    add("unknown_field_in_body", "malformed", "a second entry in the body", None, wrap(&more));
    let text = put(body + 7, 17, &cbor::encode(&grant.to_string()));
    add("id_as_text", "malformed", "ids are byte strings", None, wrap(&text));
    let short = put(body + 7, 17, &cbor::encode(serde_bytes::Bytes::new(&[2; 15])));
    add("short_id", "malformed", "a grant id has 16 bytes", None, wrap(&short));
    let author = after(b"\x66author");
    add("no_author", "malformed", "null is no member", None, wrap(&put(author, 17, &[0xf6])));
    let time = after(b"\x64time");
    add(
        "time_before_1970",
        "malformed",
        "times are not negative",
        None,
        wrap(&put(time, 5, &[0x20])),
    );
    let half = put(time, 5, &[0xfb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0]);
    add("time_as_float", "malformed", "there are no floats", None, wrap(&half));
    // Where text stands in a record it is one of a few codes.
    let (_, asked) = &records[4];
    let bytes = asked.record().encode();
    let at = bytes.windows(5).position(|w| w == b"TREAT").unwrap();
    let mut lower = bytes.clone();
    lower[at..at + 5].copy_from_slice(b"treat");
    add(
        "purpose_in_lower_case",
        "malformed",
        "purposes are the codes of the table",
        None,
        wrap(&lower),
    );
    let mut accent = bytes;
    accent[at..at + 5].copy_from_slice(b"TRe\xcc\x81");
    add(
        "purpose_not_in_nfc",
        "malformed",
        "purposes are the codes of the table",
        None,
        wrap(&accent),
    );
    file.push(
        Case::new("longer_than_any_record", "malformed", "a record has 16 KiB at most")
            .pitfall(38)
            .hex("author_keys", &keys)
            .with("bytes", json!({ "repeat": "00", "count": limit::RECORD_BYTES + 1 })),
    );
    file
}
