//! How far the hospitals' audit logs have come: digests only grow.

use crate::ids::{AuditHash, RecordId};
use crate::record::AuditDigest;
use crate::registry::VoidCode;
use serde::{Deserialize, Serialize};

/// The newest digest of a hospital's audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditState {
    /// Entries covered.
    pub size: u64,
    /// Hash of the last of them.
    pub root: AuditHash,
    /// The record that said so.
    pub record: RecordId,
}

/// What `digest` makes of the newest one before it.
pub(super) fn follow(
    before: Option<AuditState>,
    digest: &AuditDigest,
    record: RecordId,
) -> Result<AuditState, VoidCode> {
    if digest.first > digest.size {
        return Err(VoidCode::AuditRange);
    }
    if before.is_some_and(|before| {
        digest.size < before.size || (digest.size == before.size && digest.root != before.root)
    }) {
        return Err(VoidCode::AuditShrinks);
    }
    Ok(AuditState { size: digest.size, root: digest.root, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitfall_47_a_digest_neither_shrinks_nor_contradicts_the_one_before() {
        let record = RecordId::from_bytes([1; 32]);
        let digest = |first, size, root| AuditDigest {
            first,
            size,
            root: AuditHash::from_bytes([root; 32]),
        };
        let five = follow(None, &digest(0, 5, 1), record).unwrap();
        assert_eq!((five.size, five.root), (5, AuditHash::from_bytes([1; 32])));
        let next = |first, size, root| follow(Some(five), &digest(first, size, root), record);
        assert_eq!(next(5, 5, 1), Ok(five));
        assert_eq!(next(5, 9, 2).map(|state| state.size), Ok(9));
        assert_eq!(next(0, 4, 1), Err(VoidCode::AuditShrinks));
        assert_eq!(next(5, 5, 2), Err(VoidCode::AuditShrinks));
        assert_eq!(next(10, 9, 2), Err(VoidCode::AuditRange));
        assert_eq!(follow(None, &digest(1, 0, 1), record), Err(VoidCode::AuditRange));
    }
}
