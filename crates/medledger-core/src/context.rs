//! What a sealed report is bound to: the contexts of its body and of its metadata.
//!
//! A context is a domain string and the DAG-CBOR list of the other fields. It is not stored: whoever
//! opens gives it again from the ledger, so a ciphertext that was moved to another report, version,
//! epoch, patient or author does not open.

use crate::Cid;
use crate::cbor;
use crate::ids::{MemberId, ReportId};
use crate::registry::domain;

/// Context of a report's body; all of it is known before the first byte is sealed.
///
/// The chain is not part of it: a report survives a move to another chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyContext {
    /// The report.
    pub report: ReportId,
    /// Which contents of the report.
    pub version: u32,
    /// Which key of this version.
    pub epoch: u32,
    /// Whose report it is.
    pub patient: MemberId,
    /// Who wrote it.
    pub author: MemberId,
}

impl BodyContext {
    /// The bytes for [`seal`](crate::seal).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { report, version, epoch, patient, author } = self;
        bytes(domain::BODY_CONTEXT, &(report, version, epoch, patient, author))
    }

    /// The context of the metadata that belongs to this body, once its CID is known.
    #[must_use]
    pub const fn meta(&self, body: Cid) -> MetaContext {
        MetaContext { report: self.report, version: self.version, epoch: self.epoch, body }
    }
}

/// Context of a report's sealed metadata, which it ties to one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetaContext {
    /// The report.
    pub report: ReportId,
    /// Which contents of the report.
    pub version: u32,
    /// Which key of this version.
    pub epoch: u32,
    /// Root of the sealed body.
    pub body: Cid,
}

impl MetaContext {
    /// The bytes for [`seal`](crate::seal).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { report, version, epoch, body } = self;
        bytes(domain::META_CONTEXT, &(report, version, epoch, body))
    }
}

fn bytes(domain: &[u8], fields: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = domain.to_vec();
    bytes.extend_from_slice(&cbor::encode(fields));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cid::Codec;
    use crate::dek::Dek;
    use crate::seal::{Backend, Salt, UnsealError, seal_with, unseal};

    fn body() -> BodyContext {
        BodyContext {
            report: ReportId::from_bytes([1; 16]),
            version: 1,
            epoch: 0,
            patient: MemberId::from_bytes([2; 16]),
            author: MemberId::from_bytes([3; 16]),
        }
    }

    #[test]
    fn bytes_are_the_domain_and_a_list() {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let id = |b: &str| format!("50{}", b.repeat(16));
        let want = format!("85{}0100{}{}", id("01"), id("02"), id("03"));
        assert_eq!(hex(&body().to_bytes()), hex(b"medledger/v1/body\0") + &want);
        let cid = Cid::of(Codec::Raw, b"body");
        let want = format!("84{}01005824{}", id("01"), hex(&cid.to_bytes()));
        assert_eq!(hex(&body().meta(cid).to_bytes()), hex(b"medledger/v1/meta\0") + &want);
    }

    #[test]
    fn pitfall_07_every_field_of_a_context_must_match() {
        let (dek, salt) = (Dek::from_bytes([1; 16]), Salt::from_bytes([2; 24]));
        let other = MemberId::from_bytes([9; 16]);
        let right = body();
        let cid = Cid::of(Codec::Raw, b"body");
        let meta = right.meta(cid);
        let report = ReportId::from_bytes([9; 16]);
        let bodies = [
            BodyContext { report, ..right },
            BodyContext { version: 2, ..right },
            BodyContext { epoch: 1, ..right },
            BodyContext { patient: other, ..right },
            BodyContext { author: other, ..right },
            BodyContext { patient: right.author, author: right.patient, ..right },
            BodyContext { version: 0, epoch: 1, ..right },
        ];
        let metas = [
            MetaContext { report, ..meta },
            MetaContext { version: 2, ..meta },
            MetaContext { epoch: 1, ..meta },
            MetaContext { body: Cid::of(Codec::Raw, b"another"), ..meta },
            MetaContext { body: Cid::from_digest(Codec::DagPb, *cid.digest()), ..meta },
            MetaContext { version: 0, epoch: 1, ..meta },
        ];
        let check = |right: Vec<u8>, wrong: Vec<Vec<u8>>| {
            let sealed = seal_with(Backend::best(), &dek, &salt, &right, b"report").unwrap();
            assert_eq!(unseal(&dek, &right, &sealed).unwrap(), b"report");
            for (i, context) in wrong.iter().enumerate() {
                let result = unseal(&dek, context, &sealed);
                assert!(matches!(result, Err(UnsealError::WrongKeyOrContext)), "case {i}");
            }
        };
        let meta_bytes = meta.to_bytes();
        let mut wrong: Vec<_> = bodies.iter().map(BodyContext::to_bytes).collect();
        wrong.extend([meta_bytes.clone(), Vec::new()]);
        check(right.to_bytes(), wrong);
        let mut wrong: Vec<_> = metas.iter().map(MetaContext::to_bytes).collect();
        wrong.push(right.to_bytes());
        check(meta_bytes, wrong);
    }
}
