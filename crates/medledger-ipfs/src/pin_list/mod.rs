//! Roots that a node keeps together, and why, in one small block above them.
//!
//! A node has one name for a pin, and writes its books and syncs them for each. So what a session pins is named
//! by one list, and the list is what the node is asked to keep: with all that lies below it.

mod owner;

pub use owner::{Owner, OwnerError};

use crate::block::MAX_BLOCK_BYTES;
use crate::store::{Keep, Pin};
use medledger_core::Cid;
use medledger_core::cbor::{self, DecodeError};
use medledger_core::cid::{Codec, Link};
use medledger_core::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// The most roots in one list.
pub const MAX_LISTED_ROOTS: usize = 1024;
/// The longest list in bytes.
pub const MAX_LIST_BYTES: usize = MAX_BLOCK_BYTES / 2;
/// Bytes that a root may take besides the words of its reasons, and a reason besides its own.
const ROOT_BYTES: usize = 48;
const REASON_BYTES: usize = 16;
const VERSION: u64 = 1;
/// What the name of every list begins with.
const OURS: &str = "medledger";
/// What the name of a list says that has more than one reason.
const MANY: &str = "list";

/// Roots, and why each is kept.
///
/// ```
/// use medledger_ipfs::pin_list::{Owner, PinList};
/// use medledger_ipfs::store::{Keep, Pin, Reason};
/// use medledger_ipfs::{Cid, cid::Codec};
/// let pin = Pin::new(Cid::of(Codec::Raw, b"root"), Keep::now(Reason::Untold));
/// let lists = PinList::of(Owner::default(), vec![pin]);
/// assert_eq!(PinList::decode(&lists[0].encode()).as_ref(), Ok(&lists[0]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinList {
    owner: Owner,
    pins: Vec<Pin>,
}

/// Bytes that are no list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinListError {
    /// Not the DAG-CBOR of such a structure.
    #[error(transparent)]
    Cbor(#[from] DecodeError),
    /// Another version of the format.
    #[error("a list of pins of version {0} is not known here")]
    Version(u64),
    /// An owner, a time or a reason that cannot be.
    #[error("not an owner, or not a reason: {0:?}")]
    Word(String),
    /// Too many roots, or none; or roots or reasons that are not in order, or stand there twice.
    #[error("not written as lists of pins are written")]
    NotCanonical,
}

/// Since when, and why.
type WrittenKeep = (Option<u64>, String);

/// The longest name of a pin, in bytes.
pub const MAX_PIN_NAME_BYTES: usize = 255;

#[derive(Serialize, Deserialize)]
struct Written {
    owner: String,
    pins: Vec<(Link, Vec<WrittenKeep>)>,
    v: u64,
}

impl PinList {
    /// As many lists as these pins take; each root should stand among them once.
    #[must_use]
    pub fn of(owner: Owner, mut pins: Vec<Pin>) -> Vec<Self> {
        pins.sort_by_key(|pin| pin.root);
        let mut lists: Vec<Self> = Vec::new();
        let mut bytes = MAX_LIST_BYTES;
        for pin in pins {
            let words = pin.reasons.iter().map(|k| k.reason.to_string().len() + REASON_BYTES);
            let more = ROOT_BYTES + words.sum::<usize>();
            match lists.last_mut() {
                Some(list)
                    if bytes + more <= MAX_LIST_BYTES && list.pins.len() < MAX_LISTED_ROOTS =>
                {
                    bytes += more;
                    list.pins.push(pin);
                }
                _ => {
                    bytes = 64 + more;
                    lists.push(Self { owner, pins: vec![pin] });
                }
            }
        }
        lists
    }

    /// Who keeps them.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// The roots and their reasons, sorted by root, each once.
    #[must_use]
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// The block.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kept = |keep: &Keep| (keep.since.map(|at| at.as_secs()), keep.reason.to_string());
        let pin = |pin: &Pin| (Link(pin.root), pin.reasons.iter().map(kept).collect());
        let pins = self.pins.iter().map(pin).collect();
        cbor::encode(&Written { owner: self.owner.to_string(), pins, v: VERSION })
    }

    /// Reads a block.
    ///
    /// # Errors
    /// When it is no list, or could be written otherwise.
    pub fn decode(block: &[u8]) -> Result<Self, PinListError> {
        let written: Written = cbor::decode(block, MAX_LIST_BYTES)?;
        if written.v != VERSION {
            return Err(PinListError::Version(written.v));
        }
        let word = |text: &str| PinListError::Word(text.chars().take(120).collect());
        let owner = written.owner.parse().map_err(|_| word(&written.owner))?;
        let mut pins = Vec::with_capacity(written.pins.len());
        for (Link(root), kept) in written.pins {
            let mut reasons = Vec::with_capacity(kept.len());
            for (since, reason) in kept {
                let since = since.map(Timestamp::from_secs);
                reasons.push(Keep { reason: reason.parse().map_err(|_| word(&reason))?, since });
            }
            pins.push(Pin { root, reasons });
        }
        let in_order = |pin: &Pin| {
            !pin.reasons.is_empty()
                && pin.reasons.windows(2).all(|two| two[0].reason < two[1].reason)
        };
        let sorted = pins.windows(2).all(|two| two[0].root < two[1].root);
        if pins.is_empty() || pins.len() > MAX_LISTED_ROOTS || !sorted || !pins.iter().all(in_order)
        {
            return Err(PinListError::NotCanonical);
        }
        Ok(Self { owner, pins })
    }

    /// The CID of a block that [`encode`](Self::encode) made.
    #[must_use]
    pub fn cid(block: &[u8]) -> Cid {
        Cid::of(Codec::DagCbor, block)
    }

    /// What its pin is called: who keeps it, and why where that is one reason alone.
    #[must_use]
    pub fn name(&self) -> String {
        let what = match self.pins.as_slice() {
            [Pin { reasons, .. }] if reasons.len() == 1 => told(&reasons[0]),
            _ => MANY.to_owned(),
        };
        format!("{}{what}", prefix(self.owner))
    }

    /// The same without a reason of a root; none when nothing is left, and `Err` when it was not in.
    #[cfg(feature = "http")]
    pub(crate) fn without(
        &self,
        root: &Cid,
        mut gone: impl FnMut(&Keep) -> bool,
    ) -> Result<Option<Self>, ()> {
        let mut left = self.clone();
        let at = left.pins.binary_search_by_key(root, |pin| pin.root).map_err(drop)?;
        let reasons = &mut left.pins[at].reasons;
        let before = reasons.len();
        reasons.retain(|keep| !gone(keep));
        if reasons.len() == before {
            return Err(());
        }
        if reasons.is_empty() {
            left.pins.remove(at);
        }
        Ok((!left.pins.is_empty()).then_some(left))
    }
}

fn told(Keep { reason, since }: &Keep) -> String {
    match since {
        Some(since) => format!("{since} {reason}"),
        None => format!("- {reason}"),
    }
}

/// What the names of an owner's lists begin with.
pub(crate) fn prefix(owner: Owner) -> String {
    format!("{OURS} {owner} ")
}

/// Whether a list under this name may hold this reason. A name is what can be told before the block is read.
#[cfg(feature = "http")]
pub(crate) fn may_hold(name: &str, owner: Owner, reason: &str) -> bool {
    let what = name.strip_prefix(&prefix(owner));
    what.is_some_and(|what| {
        what == MANY || what.split_once(' ').is_some_and(|(_, told)| told == reason)
    })
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::*;
    use crate::store::{MAX_WORD_BYTES, Reason, Word};
    use medledger_core::ids::ReportId;
    use proptest::prelude::*;

    const OWNER: Owner = Owner::from_bytes([0x5a; 8]);

    fn root(n: u32) -> Cid {
        Cid::of(Codec::DagCbor, &n.to_be_bytes())
    }

    fn report(n: u8) -> Keep {
        let reason = Reason::Report(ReportId::from_bytes([n; 16]));
        Keep::since(reason, Timestamp::from_secs(1_764_115_200))
    }

    fn one(pin: Pin) -> PinList {
        PinList::of(OWNER, vec![pin]).remove(0)
    }

    #[test]
    fn a_list_of_one_reason_says_it_in_its_name() {
        let list = one(Pin::new(root(1), report(7)));
        let reason = "report 07070707070707070707070707070707";
        assert_eq!(list.name(), format!("medledger 5a5a5a5a5a5a5a5a 1764115200 {reason}"));
        assert!(may_hold(&list.name(), OWNER, reason));
        assert!(!may_hold(&list.name(), OWNER, "untold"));
        assert!(!may_hold(&list.name(), Owner::default(), reason), "another's");
        let word = Word::new("x".repeat(MAX_WORD_BYTES)).unwrap();
        let keep = Keep::since(Reason::Import(word), Timestamp::from_secs(u64::MAX));
        assert!(one(Pin::new(root(1), keep)).name().len() <= MAX_PIN_NAME_BYTES);
        let lists =
            PinList::of(OWNER, vec![Pin::new(root(1), report(7)), Pin::new(root(2), report(8))]);
        assert_eq!(lists[0].name(), "medledger 5a5a5a5a5a5a5a5a list");
        assert!(may_hold(&lists[0].name(), OWNER, reason));
    }

    #[test]
    fn the_links_of_a_list_are_its_roots() {
        let pins: Vec<Pin> = (0..20).map(|n| Pin::new(root(n), report(1))).collect();
        let list = PinList::of(OWNER, pins).remove(0);
        let roots: Vec<Cid> = list.pins().iter().map(|pin| pin.root).collect();
        let links = crate::links::links_of(Codec::DagCbor, &list.encode()).unwrap();
        assert_eq!(links, roots);
    }

    #[test]
    fn many_pins_take_several_lists_and_none_is_too_long() {
        let mut many = Pin::new(root(0), Keep { reason: Reason::Untold, since: None });
        for n in 0..crate::store::MAX_REASONS - 1 {
            let word = format!("{n:05}{}", "x".repeat(MAX_WORD_BYTES - 5));
            let keep =
                Keep::since(Reason::User(Word::new(word).unwrap()), Timestamp::from_secs(u64::MAX));
            assert!(many.add(keep));
        }
        let mut pins: Vec<Pin> = (1..3000).map(|n| Pin::new(root(n), report(1))).collect();
        for n in 3000..3030 {
            pins.push(Pin { root: root(n), ..many.clone() });
        }
        let lists = PinList::of(OWNER, pins.clone());
        assert!(lists.len() > 3);
        for list in &lists {
            assert_eq!(PinList::decode(&list.encode()).as_ref(), Ok(list));
        }
        pins.sort_by_key(|pin| pin.root);
        assert!(lists.iter().flat_map(|list| list.pins()).eq(&pins), "all of them, once");
        assert!(PinList::of(OWNER, Vec::new()).is_empty());
    }

    #[test]
    fn reasons_go_one_by_one_and_the_list_with_the_last() {
        let mut pin = Pin::new(root(1), report(1));
        pin.add(report(2));
        let list = one(pin);
        assert_eq!(list.without(&root(2), |_| true), Err(()));
        assert_eq!(list.without(&root(1), |_| false), Err(()));
        let left = list.without(&root(1), |keep| *keep == report(1)).unwrap().unwrap();
        assert_eq!(left.pins(), [Pin::new(root(1), report(2))]);
        assert_eq!(left.without(&root(1), |_| true), Ok(None));
    }

    #[test]
    fn what_is_written_otherwise_is_refused() {
        let good = || Written {
            owner: OWNER.to_string(),
            pins: vec![(Link(root(1)), vec![(Some(7), "untold".into())])],
            v: 1,
        };
        let decode = |written: &Written| PinList::decode(&cbor::encode(written));
        assert!(decode(&good()).is_ok());
        type Change = fn(&mut Written);
        let bad: [(&str, Change); 7] = [
            ("version", |w| w.v = 2),
            ("owner", |w| w.owner = "5A".repeat(8)),
            ("reason", |w| w.pins[0].1[0].1 = "because".into()),
            ("none", |w| w.pins.clear()),
            ("no reasons", |w| w.pins[0].1.clear()),
            ("reasons twice", |w| {
                let again = w.pins[0].1[0].clone();
                w.pins[0].1.push(again);
            }),
            ("roots twice", |w| {
                let again = (w.pins[0].0, w.pins[0].1.clone());
                w.pins.push(again);
            }),
        ];
        for (what, change) in bad {
            let mut written = good();
            change(&mut written);
            assert!(decode(&written).is_err(), "{what}");
        }
        let long = vec![0; MAX_LIST_BYTES + 1];
        assert!(matches!(
            PinList::decode(&long),
            Err(PinListError::Cbor(DecodeError::TooLong { .. }))
        ));
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same(at in 0usize..400, byte: u8) {
            let mut pin = Pin::new(root(1), report(1));
            pin.add(Keep { reason: Reason::Untold, since: None });
            let lists = PinList::of(OWNER, vec![pin, Pin::new(root(2), report(3))]);
            let mut block = lists[0].encode();
            let at = at % block.len();
            block[at] = byte;
            if let Ok(list) = PinList::decode(&block) {
                prop_assert_eq!(list.encode(), block);
            }
        }
    }
}
