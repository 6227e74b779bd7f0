//! What must hold of every input, whether the decoder takes it or not.

use ipld_core::ipld::Ipld;
use medledger_core::{Cid, cbor};
use serde::{Serialize, de::DeserializeOwned};

/// No target needs more bytes.
const LIMIT: usize = 1 << 20;

/// A DAG-CBOR structure: what is accepted is written back as the same bytes, and neither what is
/// cut off nor what is appended goes unnoticed.
pub fn dag_cbor<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(value) = cbor::decode::<T>(data, LIMIT) else { return };
    assert_eq!(cbor::encode(&value), data, "one value, one encoding");
    assert!(cbor::decode::<T>(&data[..data.len() - 1], LIMIT).is_err(), "cut, yet accepted");
    assert!(cbor::decode::<T>(&[data, &[0]].concat(), LIMIT).is_err(), "longer, yet accepted");
    assert!(cbor::decode::<T>(data, data.len() - 1).is_err(), "over the limit, yet accepted");
}

/// Any DAG-CBOR at all, with an independent CBOR reader that must see the same value.
pub fn cbor_any(data: &[u8]) {
    dag_cbor::<Ipld>(data);
    let Ok(ours) = cbor::decode::<Ipld>(data, LIMIT) else { return };
    let theirs: ciborium::Value =
        ciborium::from_reader(data).expect("what is strict DAG-CBOR is CBOR");
    assert!(same(&ours, &theirs), "{ours:?} is not {theirs:?}");
}

fn same(ours: &Ipld, theirs: &ciborium::Value) -> bool {
    use ciborium::Value;
    match (ours, theirs) {
        (Ipld::Null, Value::Null) => true,
        (Ipld::Bool(a), Value::Bool(b)) => a == b,
        (Ipld::Integer(a), Value::Integer(b)) => *a == i128::from(*b),
        (Ipld::Bytes(a), Value::Bytes(b)) => a == b,
        (Ipld::String(a), Value::Text(b)) => a == b,
        (Ipld::List(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Ipld::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && b.iter().all(|(key, value)| {
                    key.as_text().and_then(|key| a.get(key)).is_some_and(|ours| same(ours, value))
                })
        }
        // A link is tag 42 over a zero byte and the CID.
        (Ipld::Link(a), Value::Tag(42, b)) => {
            b.as_bytes().is_some_and(|b| b.split_first() == Some((&0, a.to_bytes().as_slice())))
        }
        _ => false,
    }
}

/// A CID in binary: what is accepted is written back alike, and is what the crate `cid` reads.
pub fn cid_bytes(data: &[u8]) {
    let Ok(ours) = Cid::from_bytes(data) else { return };
    assert_eq!(ours.to_bytes(), data, "one CID, one binary form");
    let theirs = cid::Cid::try_from(data).expect("a narrower reader accepts no more");
    assert_eq!(theirs.codec(), ours.codec().code());
    assert_eq!(theirs.hash().digest(), ours.digest());
}

/// A CID as text: what is accepted is a CID that its own text names again.
pub fn cid_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(ours) = text.parse::<Cid>() else { return };
    assert_eq!(ours.to_string().parse(), Ok(ours), "its own text names another CID");
    let theirs: cid::Cid = text.parse().expect("a narrower reader accepts no more");
    assert_eq!(theirs.to_bytes(), ours.to_bytes());
}
