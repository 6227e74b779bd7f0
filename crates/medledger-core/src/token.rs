//! Tokens: what a granted reader shows for a slot; the ledger holds only their hash.

use crate::access_key::AccessKey;
use crate::ids::{ChainId, GrantId, TokenHash, sha256};
use crate::kdf;
use crate::registry::domain;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Thirty-two secret bytes that prove that a reader has the access key of a grant, without showing
/// the access key to the custodian.
///
/// HKDF-SHA256(access key, domain | grant id), so it is as strong as the 128 random bits of the
/// access key, and the hash of it on the ledger cannot be searched for.
///
/// ```
/// use medledger_core::{access_key::AccessKey, token::Token};
/// use medledger_core::ids::{ChainId, GrantId};
/// let (chain, grant) = (ChainId::from_bytes([1; 32]), GrantId::from_bytes([2; 16]));
/// let token = Token::derive(&AccessKey::from_bytes([3; 16]), &grant);
/// let on_ledger = token.hash(&chain, &grant);
/// assert!(token.matches(&chain, &grant, &on_ledger));
/// ```
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Token([u8; 32]);

impl Token {
    /// The token of the reader who has `key`, for `grant`.
    #[must_use]
    pub fn derive(key: &AccessKey, grant: &GrantId) -> Self {
        Self(*kdf::derive(key.expose(), &[domain::TOKEN, grant.as_bytes()]))
    }

    /// The token with these bytes, as a reader sent it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret bytes, to be sent to the custodian.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256(domain | chain | grant | token), as a Grant record holds it.
    #[must_use]
    pub fn hash(&self, chain: &ChainId, grant: &GrantId) -> TokenHash {
        let parts = [domain::TOKEN_HASH, chain.as_bytes(), grant.as_bytes(), &self.0];
        TokenHash::from_bytes(sha256(&parts))
    }

    /// Whether the ledger holds this token's hash for this grant; compared in constant time.
    #[must_use]
    pub fn matches(&self, chain: &ChainId, grant: &GrantId, on_ledger: &TokenHash) -> bool {
        self.hash(chain, grant).as_bytes().ct_eq(on_ledger.as_bytes()).into()
    }
}

impl PartialEq for Token {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (ChainId, GrantId, AccessKey) {
        (ChainId::from_bytes([1; 32]), GrantId::from_bytes([2; 16]), AccessKey::from_bytes([3; 16]))
    }

    #[test]
    fn pitfall_43_a_token_fits_one_access_key_one_grant_and_one_chain() {
        let (chain, grant, key) = ids();
        let token = Token::derive(&key, &grant);
        let hash = token.hash(&chain, &grant);
        assert!(token.matches(&chain, &grant, &hash));
        let other_grant = GrantId::from_bytes([9; 16]);
        assert_ne!(Token::derive(&key, &other_grant), token);
        assert!(!token.matches(&chain, &other_grant, &hash));
        assert!(!token.matches(&ChainId::from_bytes([9; 32]), &grant, &hash));
        let other_key = AccessKey::from_bytes([9; 16]);
        assert!(!Token::derive(&other_key, &grant).matches(&chain, &grant, &hash));
        // Whoever reads the hash on the ledger cannot show it as the token.
        assert!(!Token::from_bytes(*hash.as_bytes()).matches(&chain, &grant, &hash));
    }

    #[test]
    fn derivation_and_hash_are_as_documented() {
        let (chain, grant, key) = ids();
        let token = Token::derive(&key, &grant);
        let info = [&b"medledger/v1/token\0"[..], &[2; 16]].concat();
        assert_eq!(token.expose(), &*kdf::derive::<32>(&[3; 16], &[&info]));
        let hashed =
            [&b"medledger/v1/token-hash\0"[..], &[1; 32], &[2; 16], token.expose()].concat();
        assert_eq!(token.hash(&chain, &grant).as_bytes(), &sha256(&[&hashed]));
        // From a separate program.
        assert_eq!(
            token.hash(&chain, &grant).to_string(),
            "01d2715825397e4e4aed0e51d8e6af8bcfa57dbd066c615d716eb2034ec820a2"
        );
    }

    #[test]
    fn pitfall_42_one_flipped_bit_of_the_hash_does_not_match() {
        let (chain, grant, key) = ids();
        let token = Token::derive(&key, &grant);
        let good = *token.hash(&chain, &grant).as_bytes();
        for bit in 0..256 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!token.matches(&chain, &grant, &TokenHash::from_bytes(bad)));
        }
    }

    #[test]
    fn pitfall_41_debug_is_redacted() {
        assert_eq!(format!("{:?}", Token::from_bytes([0xab; 32])), "Token(..)");
    }
}
