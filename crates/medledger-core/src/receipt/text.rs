//! Receipts as C2SP tlog-proof text: the same receipt in the form that tools of transparency logs read.
//!
//! The log's leaf is the block's id. What leads from the record to it (all of the receipt but the path in
//! the log and the checkpoint, which the text has its own lines for) is the proof's extra data.

use super::{CheckError, Receipt};
use crate::cbor;
use crate::checkpoint::{Checkpoint, SignedNote, TlogProof};
use crate::finality::Handover;
use crate::keys::Signature;
use crate::merkle::InclusionProof;
use crate::pow::Header;
use crate::registry::limit;
use serde::{Deserialize, Serialize};

/// The extra data: the fields of a receipt that a tlog-proof has no lines for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extra {
    v: u16,
    genesis_header: Header,
    #[serde(with = "serde_bytes")]
    genesis: Vec<u8>,
    #[serde(with = "serde_bytes")]
    record: Vec<u8>,
    record_path: InclusionProof,
    header: Header,
    signature: Signature,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    handovers: Vec<Handover>,
}

impl Receipt {
    /// The receipt as a C2SP [tlog-proof](https://c2sp.org/tlog-proof).
    ///
    /// # Errors
    /// For a receipt that proves nothing anyway: when its checkpoint cannot be read
    /// ([`CheckError::Note`], [`CheckError::Checkpoint`]) or covers another number of blocks than its
    /// path is for ([`CheckError::Size`]).
    pub fn to_tlog_proof(&self) -> Result<String, CheckError> {
        let note = SignedNote::from_bytes(self.checkpoint.as_bytes())?;
        let size = size_of(&note)?;
        if size != self.block_path.size {
            return Err(CheckError::Size { proof: self.block_path.size, checkpoint: size });
        }
        let extra = Extra {
            v: self.v,
            genesis_header: self.genesis_header,
            genesis: self.genesis.clone(),
            record: self.record.clone(),
            record_path: self.record_path.clone(),
            header: self.header,
            signature: self.signature,
            handovers: self.handovers.clone(),
        };
        let proof = TlogProof {
            extra: Some(cbor::encode(&extra)),
            index: self.block_path.index,
            path: self.block_path.path.clone(),
            checkpoint: note,
        };
        Ok(proof.to_string())
    }

    /// Reads a receipt that is a tlog-proof; checks nothing it says.
    ///
    /// # Errors
    /// [`CheckError::TlogProof`], [`CheckError::NoExtra`], [`CheckError::Malformed`], [`CheckError::UnknownVersion`], and
    /// [`CheckError::Checkpoint`] when the note in it is no checkpoint.
    pub fn from_tlog_proof(bytes: &[u8]) -> Result<Self, CheckError> {
        let proof = TlogProof::from_bytes(bytes)?;
        let extra = proof.extra.as_deref().ok_or(CheckError::NoExtra)?;
        if let Some(found) = cbor::check_version(extra, limit::RECEIPT_BYTES)? {
            return Err(CheckError::UnknownVersion { found });
        }
        let extra: Extra = cbor::decode(extra, limit::RECEIPT_BYTES)?;
        let size = size_of(&proof.checkpoint)?;
        Ok(Self {
            v: extra.v,
            genesis_header: extra.genesis_header,
            genesis: extra.genesis,
            record: extra.record,
            record_path: extra.record_path,
            header: extra.header,
            signature: extra.signature,
            block_path: InclusionProof { index: proof.index, size, path: proof.path },
            checkpoint: proof.checkpoint.to_string(),
            handovers: extra.handovers,
        })
    }

    /// Reads a receipt in either form, DAG-CBOR or tlog-proof; checks nothing it says.
    ///
    /// # Errors
    /// See [`decode`](Self::decode) and [`from_tlog_proof`](Self::from_tlog_proof).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckError> {
        if TlogProof::is_one(bytes) { Self::from_tlog_proof(bytes) } else { Self::decode(bytes) }
    }
}

/// The size is not a line of a tlog-proof: it is the checkpoint's.
fn size_of(note: &SignedNote) -> Result<u64, CheckError> {
    let checkpoint: Checkpoint =
        note.text().parse().map_err(crate::checkpoint::FinalityError::from)?;
    Ok(checkpoint.size)
}
