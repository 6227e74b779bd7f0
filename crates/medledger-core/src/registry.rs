//! The one table of numbers: versions, domains, limits, suites, roles and purposes.
//!
//! Whatever two programs must agree on to read each other's bytes is listed here and nowhere else.
//! `docs/format.md` prints the same tables.

mod codes;

pub use codes::{Custody, Kind, Purpose, Role, UnknownCode, VoidCode};

/// Version of every structure this crate writes. Readers refuse others by name.
pub const FORMAT_VERSION: u16 = 1;

/// Domain strings: ASCII, ending in a zero byte, first in whatever is signed, hashed or derived.
pub mod domain {
    /// Member id of a public identity.
    pub const MEMBER_ID: &[u8] = b"medledger/v1/member-id\0";
    /// Record id of the bytes of a record.
    pub const RECORD_ID: &[u8] = b"medledger/v1/record-id\0";
    /// Signature of a record by its author.
    pub const RECORD_SIGNATURE: &[u8] = b"medledger/v1/record-signature\0";
    /// Report id, from author and nonce of the record that adds it.
    pub const REPORT_ID: &[u8] = b"medledger/v1/report-id\0";
    /// Grant id, from author and nonce of the record that gives it.
    pub const GRANT_ID: &[u8] = b"medledger/v1/grant-id\0";
    /// Group id, from author and nonce of the record that makes it.
    pub const GROUP_ID: &[u8] = b"medledger/v1/group-id\0";
    /// Seed of a group's key for one epoch.
    pub const GROUP: &[u8] = b"medledger/v1/group\0";
    /// Hash of the losses of keys among a group's members.
    pub const GROUP_LOSSES: &[u8] = b"medledger/v1/group-losses\0";
    /// Context of a secret key or access key that is wrapped for somebody.
    pub const KEY_SLOT: &[u8] = b"medledger/v1/key-slot\0";
    /// Request for a slot, sealed to its custodian.
    pub const SLOT_REQUEST: &[u8] = b"medledger/v1/slot-request\0";
    /// Release of slots, signed by their custodian and sealed to the reader.
    pub const SLOT_RELEASE: &[u8] = b"medledger/v1/slot-release\0";
    /// Proof that a new member holds the signing key that is being registered.
    pub const POSSESSION: &[u8] = b"medledger/v1/possession\0";
    /// Proof that the keys that succeed a member's keys are at hand.
    pub const SUCCESSION: &[u8] = b"medledger/v1/succession\0";
    /// Consent of suspended keys to the keys that succeed them.
    pub const SUCCESSION_CONSENT: &[u8] = b"medledger/v1/succession-consent\0";
    /// Hash of public keys that people compare.
    pub const KEY_FINGERPRINT: &[u8] = b"medledger/v1/key-fingerprint\0";
    /// First leaf of a block: its descriptor.
    pub const BLOCK_DESCRIPTOR: &[u8] = b"medledger/v1/block-descriptor\0";
    /// Signature of the mining hospital over a block.
    pub const BLOCK_SIGNATURE: &[u8] = b"medledger/v1/block-signature\0";
    /// The genesis configuration, only leaf of the genesis block.
    pub const GENESIS: &[u8] = b"medledger/v1/genesis\0";
    /// Cobblestone context of a report's body.
    pub const BODY_CONTEXT: &[u8] = b"medledger/v1/body\0";
    /// Cobblestone context of a report's sealed metadata.
    pub const META_CONTEXT: &[u8] = b"medledger/v1/meta\0";
    /// Slot context: `info` of HKDF and of HPKE alike.
    pub const SLOT: &[u8] = b"medledger/v1/slot\0";
    /// Token of a granted reader, derived from the reader's access key.
    pub const TOKEN: &[u8] = b"medledger/v1/token\0";
    /// Hash of a token, as the ledger holds it.
    pub const TOKEN_HASH: &[u8] = b"medledger/v1/token-hash\0";
    /// Seed of a patient's collection key at one hospital for one epoch.
    pub const COLLECTION: &[u8] = b"medledger/v1/collection\0";
    /// Key and associated data of an identity locked with a password.
    pub const LOCKED_IDENTITY: &[u8] = b"medledger/v1/locked-identity\0";
    /// Hash over the ids of the records ever submitted to a node; local, on no ledger.
    pub const SUBMITTED: &[u8] = b"medledger/v1/submitted\0";
    /// Key and associated data of a local row encrypted under the node key.
    pub const LOCAL_ROW: &[u8] = b"medledger/v1/local-row\0";
    /// Hash of a request that took an idempotency key.
    pub const IDEMPOTENCY: &[u8] = b"medledger/v1/idempotency\0";
    /// Idempotency key of one of several uploads that were asked for under one key.
    pub const IDEMPOTENCY_PART: &[u8] = b"medledger/v1/idempotency-part\0";
    /// Vote of a hospital about what is final.
    pub const VOTE: &[u8] = b"medledger/v1/vote\0";
    /// Signatures of a hospital that is to be a member: its keys.
    pub const HOSPITAL: &[u8] = b"medledger/v1/hospital\0";
    /// Hash that names a set of hospitals.
    pub const HOSPITAL_SET: &[u8] = b"medledger/v1/hospital-set\0";
    /// Approval of a change of the hospitals.
    pub const HOSPITAL_CHANGE: &[u8] = b"medledger/v1/hospital-change\0";
    /// Start and entries of a hospital's local audit log.
    pub const AUDIT: &[u8] = b"medledger/v1/audit\0";
    /// Every domain, for the test that no two are equal and each ends in a zero byte.
    pub const ALL: &[&[u8]] = &[
        MEMBER_ID,
        RECORD_ID,
        RECORD_SIGNATURE,
        REPORT_ID,
        GRANT_ID,
        GROUP_ID,
        GROUP,
        GROUP_LOSSES,
        KEY_SLOT,
        SLOT_REQUEST,
        SLOT_RELEASE,
        POSSESSION,
        SUCCESSION,
        SUCCESSION_CONSENT,
        KEY_FINGERPRINT,
        BLOCK_DESCRIPTOR,
        BLOCK_SIGNATURE,
        GENESIS,
        BODY_CONTEXT,
        META_CONTEXT,
        SLOT,
        TOKEN,
        TOKEN_HASH,
        COLLECTION,
        LOCKED_IDENTITY,
        SUBMITTED,
        LOCAL_ROW,
        IDEMPOTENCY,
        IDEMPOTENCY_PART,
        VOTE,
        HOSPITAL,
        HOSPITAL_SET,
        HOSPITAL_CHANGE,
        AUDIT,
    ];
}

/// Limits on bytes and counts, checked before anything is decoded or allocated.
pub mod limit {
    /// Bytes of one signed record.
    pub const RECORD_BYTES: usize = 16 * 1024;
    /// Records of one block, its descriptor not counted.
    pub const BLOCK_RECORDS: usize = 16 * 1024;
    /// Bytes of all signed records of one block together.
    pub const BLOCK_BYTES: usize = 8 * 1024 * 1024;
    /// Bytes of one page of records of a block node.
    pub const PAGE_BYTES: usize = 512 * 1024;
    /// Bytes of a genesis configuration.
    pub const GENESIS_BYTES: usize = 64 * 1024;
    /// Bytes of an envelope node.
    pub const ENVELOPE_BYTES: usize = 64 * 1024;
    /// Bytes of a receipt.
    pub const RECEIPT_BYTES: usize = 256 * 1024;
    /// Bytes of a stored slot; suite 3 needs more than half of them.
    pub const SLOT_BYTES: usize = 2 * 1024;
    /// Bytes of a public identity on its own.
    pub const PUBLIC_IDENTITY_BYTES: usize = 4 * 1024;
    /// Bytes of a signed checkpoint with all its signatures.
    pub const CHECKPOINT_BYTES: usize = 64 * 1024;
    /// Signatures on one checkpoint.
    pub const CHECKPOINT_SIGNATURES: usize = 256;
    /// Evidence of two checkpoints that conflict: both of them, and a path.
    pub const CHECKPOINT_EVIDENCE_BYTES: usize = 2 * CHECKPOINT_BYTES + 4096;
    /// Bytes of a locked identity file.
    pub const LOCKED_IDENTITY_BYTES: usize = 4 * 1024;
    /// Bytes of a patient's consent to new keys.
    pub const KEY_CONSENT_BYTES: usize = 4 * 1024;
    /// Former HPKE keys an identity holds until its slots are wrapped again.
    pub const FORMER_KEYS: usize = 8;
    /// Nesting of DAG-CBOR; no structure of this crate needs more.
    pub const CBOR_DEPTH: usize = 16;
    /// Bytes of a file name, in UTF-8.
    pub const FILE_NAME_BYTES: usize = 1024;
    /// Bytes of a media type.
    pub const MEDIA_TYPE_BYTES: usize = 255;
    /// Bytes of a note, in UTF-8.
    pub const NOTE_BYTES: usize = 8 * 1024;
    /// Bytes of a report's metadata before padding; the longest texts fit.
    pub const METADATA_BYTES: usize = 19 * 512 - 4;
    /// Bytes of an idempotency key.
    pub const IDEMPOTENCY_KEY_BYTES: usize = 128;
    /// Reports that one grant names.
    pub const GRANT_REPORTS: usize = 256;
    /// How many times a grant may be passed on.
    pub const DELEGATIONS: u8 = 3;
    /// Members that one record lets join a group, and as many leave.
    pub const GROUP_CHANGES: usize = 256;
    /// Bytes of a request for a slot.
    pub const SLOT_REQUEST_BYTES: usize = 20 * 1024;
    /// Bytes of a release of slots.
    pub const SLOT_RELEASE_BYTES: usize = 256 * 1024;
    /// How long, in seconds, a slot is released for a reading, before or after its own time.
    pub const RELEASE_SECONDS: u64 = 15 * 60;
    /// How far, in seconds, a block may be ahead of the clock that judges it.
    pub const FUTURE_BLOCK_SECONDS: u64 = 2 * 60 * 60;
    /// How far, in seconds, a miner lets its own block be ahead of its clock.
    pub const MINER_AHEAD_SECONDS: u64 = 60 * 60;
    /// Records of others that wait at once.
    pub const QUEUE_RECORDS: usize = 64 * 1024;
    /// Bytes of records of others that wait at once.
    pub const QUEUE_BYTES: u64 = 64 * 1024 * 1024;
    /// Records of others by one author that wait at once.
    pub const QUEUE_OF_AUTHOR: usize = 8 * 1024;
    /// Records of others that wait at once though their author is unknown.
    pub const QUEUE_UNSIGNED: usize = 1024;
    /// How long, in seconds, a record of others waits for what it refers to.
    pub const QUEUE_SECONDS: u64 = 14 * 24 * 60 * 60;
    /// Blocks beside the best chain that are kept of one hospital.
    pub const BRANCH_BLOCKS: usize = 1024;
    /// Bytes of all blocks beside the best chain that are kept of one hospital.
    pub const BRANCH_BYTES: u64 = 64 * 1024 * 1024;
    /// Nodes of blocks that broke a rule and are remembered for it.
    pub const CONDEMNED: usize = 1024;
    /// Blocks whose median time a new block must exceed.
    pub const MEDIAN_TIME_BLOCKS: usize = 11;
    /// Bytes of a signed vote.
    pub const VOTE_BYTES: usize = 512;
    /// Bytes of the votes of a quorum for one block.
    pub const CERTIFICATE_BYTES: usize = 128 * 1024;
    /// Bytes of the state of a voter.
    pub const VOTER_STATE_BYTES: usize = 384 * 1024;
    /// Bytes of evidence against a hospital.
    pub const EVIDENCE_BYTES: usize = 256 * 1024;
    /// Headers in evidence against a hospital.
    pub const EVIDENCE_HEADERS: usize = 1024;
    /// Bytes of the card of a hospital that is to be a member.
    pub const HOSPITAL_CARD_BYTES: usize = 4 * 1024;
    /// Hospitals of a chain at once.
    pub const HOSPITALS: usize = 128;
    /// Bytes of a proposal to admit or expel a hospital.
    pub const PROPOSAL_BYTES: usize = 16 * 1024;
    /// Bytes of what a hospital tells the others beside its blocks.
    pub const NEWS_BYTES: usize = 32 * 1024 * 1024;
    /// Rounds of which the votes of one hospital in one phase are kept.
    pub const VOTE_ROUNDS: usize = 64;
    /// Failed attempts of one person on one report before they have to wait.
    pub const ATTEMPTS_OF_PAIR: u32 = 5;
    /// Failed attempts of one person on all reports together before they have to wait.
    pub const ATTEMPTS_OF_PERSON: u32 = 20;
    /// How long, in seconds, failed attempts count, and the first wait lasts; each further one lasts twice
    /// as long.
    pub const ATTEMPTS_SECONDS: u64 = 15 * 60;
    /// How long, in seconds, a wait lasts at most, and until when after one the next would be longer.
    pub const ATTEMPTS_WAIT_SECONDS: u64 = 24 * 60 * 60;
    /// Refusals of one person on one day that are each an entry of the audit log; what goes beyond is counted.
    pub const AUDIT_REFUSALS_A_DAY: u32 = 16;
    /// Bytes of an entry of the audit log.
    pub const AUDIT_ENTRY_BYTES: usize = 512;
}

/// How a report's body and metadata are sealed (u16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CipherSuite {
    /// 1: Cobblestone-128 of c2sp.org/chunked-encryption.
    Cobblestone128,
}

impl CipherSuite {
    /// The number in stored bytes.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Cobblestone128 => 1,
        }
    }

    /// The suite with this number, if it is known.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            1 => Some(Self::Cobblestone128),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::domain;

    #[test]
    fn domains_are_ascii_zero_terminated_and_prefix_free() {
        for (i, a) in domain::ALL.iter().enumerate() {
            assert_eq!(a.iter().position(|b| *b == 0), Some(a.len() - 1));
            assert!(a.is_ascii());
            for b in &domain::ALL[i + 1..] {
                assert!(!a.starts_with(b) && !b.starts_with(a));
            }
        }
    }
}
