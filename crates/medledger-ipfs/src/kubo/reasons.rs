//! Why a node keeps a root, told in the name of its pin.
//!
//! A node has one name for a pin, of at most 255 bytes. Ours begin with a word that says so; then come
//! times and reasons as in the pin files of a folder. A pin that somebody else made is kept for a reason
//! of theirs, which stays when ours go.

use super::pin::MAX_PIN_NAME_BYTES;
use crate::store::{Keep, Pin, Reason, StoreError, Word};
use medledger_core::Cid;
use medledger_core::clock::Timestamp;

const OURS: &str = "medledger ";
/// What stands between reasons: words hold no such character.
const BETWEEN: &str = "; ";

/// The name of a pin.
pub(super) fn encode(pin: &Pin) -> Result<String, StoreError> {
    let reasons: Vec<String> = pin
        .reasons
        .iter()
        .map(|Keep { reason, since }| match since {
            Some(since) => format!("{since} {reason}"),
            None => format!("- {reason}"),
        })
        .collect();
    let name = format!("{OURS}{}", reasons.join(BETWEEN));
    if name.len() > MAX_PIN_NAME_BYTES || decode(&pin.root, &name).as_ref() != Some(pin) {
        let limit = reasons.len().saturating_sub(1);
        return Err(StoreError::TooManyReasons { root: pin.root, limit });
    }
    Ok(name)
}

/// The reasons that a name tells, if it is one of ours.
fn decode(root: &Cid, name: &str) -> Option<Pin> {
    let mut reasons = Vec::new();
    for reason in name.strip_prefix(OURS)?.split(BETWEEN) {
        let (since, reason) = reason.split_once(' ')?;
        let since = match since {
            "-" => None,
            secs => Some(Timestamp::from_secs(secs.parse().ok()?)),
        };
        reasons.push(Keep { reason: reason.parse().ok()?, since });
    }
    let pin = Pin { root: *root, reasons };
    let sorted = pin.reasons.is_sorted_by(|a, b| a.reason < b.reason);
    (sorted && !pin.reasons.is_empty()).then_some(pin)
}

/// The pin of a root under a name, whoever gave it.
pub(super) fn pin(root: &Cid, name: &str) -> Pin {
    decode(root, name).unwrap_or_else(|| {
        // Theirs; a name that no reason can tell is forgotten when ours is put in its place.
        let reason = Word::new(name).ok().filter(|_| !name.contains(BETWEEN)).map(Reason::User);
        Pin::new(*root, Keep { reason: reason.unwrap_or(Reason::Untold), since: None })
    })
}

/// Whether a name is one of ours.
pub(super) fn is_ours(root: &Cid, name: &str) -> bool {
    decode(root, name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use medledger_core::cid::Codec;
    use medledger_core::ids::ReportId;
    use proptest::prelude::*;

    fn root() -> Cid {
        Cid::of(Codec::Raw, b"root")
    }

    fn report(n: u8) -> Keep {
        let reason = Reason::Report(ReportId::from_bytes([n; 16]));
        Keep { reason, since: Some(Timestamp::from_secs(1_764_115_200)) }
    }

    #[test]
    fn a_name_is_what_a_person_can_read() {
        let name = encode(&Pin::new(root(), report(7))).unwrap();
        assert_eq!(name, "medledger 1764115200 report 07070707070707070707070707070707");
        assert_eq!(pin(&root(), &name), Pin::new(root(), report(7)));
    }

    #[test]
    fn pins_of_others_keep_their_own_reason() {
        for (name, reason) in [
            ("", Reason::Untold),
            ("backup 2026", Reason::User(Word::new("backup 2026").unwrap())),
            ("medledger nonsense", Reason::User(Word::new("medledger nonsense").unwrap())),
            ("a; b", Reason::Untold),
            ("two\nlines", Reason::Untold),
        ] {
            let found = pin(&root(), name);
            assert_eq!(found.reasons, [Keep { reason, since: None }], "{name:?}");
            assert!(!is_ours(&root(), name));
        }
    }

    #[test]
    fn reasons_beyond_the_room_of_a_name_are_refused() {
        let mut pin = Pin::new(root(), report(0));
        for n in 1.. {
            pin.add(report(n));
            match encode(&pin) {
                Ok(name) => assert!(name.len() <= MAX_PIN_NAME_BYTES),
                Err(error) => {
                    let limit = usize::from(n);
                    assert!(
                        matches!(error, StoreError::TooManyReasons { limit: l, .. } if l == limit)
                    );
                    assert!(n >= 3, "room for a few");
                    break;
                }
            }
        }
        // A word that would read as two reasons.
        let word = Reason::User(Word::new("a; - untold").unwrap());
        let pin = Pin::new(root(), Keep { reason: word, since: None });
        assert!(encode(&pin).is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_name_is_it_reads_as_one_pin(name in "(medledger )?[ -~\n]{0,60}") {
            let found = pin(&root(), &name);
            prop_assert!(!found.reasons.is_empty());
            if is_ours(&root(), &name) {
                prop_assert_eq!(encode(&found).unwrap(), name);
            }
        }
    }
}
