//! The header of a CARv1.

use super::CarError;
use crate::links::{LinkError, links_of};
use medledger_core::{Cid, cid::Codec};

/// Bytes of the longest header that is read or written: some fifty thousand roots.
pub const MAX_HEADER_BYTES: usize = 2 * 1024 * 1024;

const ROOTS: &[u8] = b"\x65roots";
const VERSION: &[u8] = b"\x67version";

/// The header as DAG-CBOR, without its length.
pub(super) fn encode(roots: &[Cid]) -> Vec<u8> {
    let mut out = vec![0xa2];
    out.extend_from_slice(ROOTS);
    put_head(&mut out, 4, roots.len() as u64);
    for root in roots {
        let cid = root.to_bytes();
        out.extend_from_slice(&[0xd8, 42]);
        put_head(&mut out, 2, cid.len() as u64 + 1);
        out.push(0);
        out.extend_from_slice(&cid);
    }
    out.extend_from_slice(VERSION);
    out.push(1);
    out
}

/// Major type and argument in their shortest form.
fn put_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let bytes = argument.to_be_bytes();
    let (info, width) = match argument {
        0..24 => {
            out.push(major << 5 | argument as u8);
            return;
        }
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    out.push(major << 5 | info);
    out.extend_from_slice(&bytes[8 - width..]);
}

/// The roots a header names. `at` is where in the stream it stands.
///
/// Strict by encoding again: the links are taken out, and the header must be what they encode to.
pub(super) fn decode(bytes: &[u8], at: u64) -> Result<Vec<Cid>, CarError> {
    if let Some(found) = version(bytes).filter(|found| *found != 1) {
        return Err(CarError::Version { found });
    }
    let roots = links_of(Codec::DagCbor, bytes).map_err(|error| match error {
        LinkError::Cid { source, .. } => CarError::Cid { at, source },
        _ => CarError::Header,
    })?;
    if encode(&roots) == bytes { Ok(roots) } else { Err(CarError::Header) }
}

/// Refuses what is no header of version 1, whatever roots it names.
pub(super) fn check_version(bytes: &[u8]) -> Result<(), CarError> {
    match version(bytes) {
        Some(1) => Ok(()),
        Some(found) => Err(CarError::Version { found }),
        None => Err(CarError::Header),
    }
}

/// The version, where the header ends as headers do.
fn version(bytes: &[u8]) -> Option<u8> {
    let (last, rest) = bytes.split_last()?;
    rest.ends_with(VERSION).then_some(*last).filter(|version| *version < 24)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cids(count: usize) -> Vec<Cid> {
        (0..count).map(|n| Cid::of(Codec::Raw, &n.to_be_bytes())).collect()
    }

    #[test]
    fn headers_of_any_number_of_roots_read_back() {
        for count in [0, 1, 2, 23, 24, 255, 256, 300, 50_000] {
            let roots = cids(count);
            let bytes = encode(&roots);
            assert!(bytes.len() <= MAX_HEADER_BYTES);
            assert_eq!(decode(&bytes, 0).unwrap(), roots);
        }
        let v0 = vec![Cid::v0_from_digest([7; 32])];
        assert_eq!(decode(&encode(&v0), 0).unwrap(), v0);
    }

    /// The same structure by the DAG-CBOR of others.
    #[test]
    fn the_bytes_are_those_of_a_dag_cbor_library() {
        use medledger_core::{cbor, cid::Link};
        let roots = cids(30);
        let links: Vec<Link> = roots.iter().copied().map(Link).collect();
        let whole = encode(&roots);
        let list = cbor::encode(&links);
        let by_hand = [&[0xa2][..], ROOTS, &list, VERSION, &[1]].concat();
        assert_eq!(whole, by_hand);
        assert_eq!(links_of(Codec::DagCbor, &whole).unwrap(), roots);
    }

    #[test]
    fn pitfall_16_other_versions_fields_and_hashes_are_typed_errors() {
        let good = encode(&cids(1));
        let mut two = good.clone();
        *two.last_mut().unwrap() = 2;
        assert!(matches!(decode(&two, 0), Err(CarError::Version { found: 2 })));
        assert!(matches!(decode(b"\xa1\x67version\x02", 0), Err(CarError::Version { found: 2 })));
        for bad in [
            b"".to_vec(),
            b"\xa1\x67version\x01".to_vec(),
            // A third field; roots after the version; an unknown number of roots.
            [b"\xa3\x61a\x01", &good[1..]].concat(),
            b"\xa2\x67version\x01\x65roots\x80".to_vec(),
            b"\xa2\x65roots\x9f\xff\x67version\x01".to_vec(),
            [&good[..], &[0]].concat(),
            b"\xa2\x65roots\xf6\x67version\x01".to_vec(),
        ] {
            assert!(matches!(decode(&bad, 0), Err(CarError::Header)), "{bad:02x?}");
        }
        // An identity CID as root.
        let identity = b"\xa2\x65roots\x81\xd8\x2a\x46\x00\x01\x55\x00\x01x\x67version\x01";
        assert!(matches!(
            decode(identity, 3),
            Err(CarError::Cid {
                at: 3,
                source: medledger_core::cid::CidError::UnknownHash { code: 0, len: 1 }
            })
        ));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_what_is_written(noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(roots) = decode(&noise, 0) {
                prop_assert_eq!(encode(&roots), noise);
            }
        }
    }
}
