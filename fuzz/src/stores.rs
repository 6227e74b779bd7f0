//! Oracles for the small files of a block store, and seeds written by their own encoders.

use medledger_core::Cid;
use medledger_core::cid::Codec;
use medledger_core::clock::Timestamp;
use medledger_core::ids::{ChainId, ReportId};
use medledger_ipfs::links::links_of;
use medledger_ipfs::pin_list::{Owner, PinList};
use medledger_ipfs::replication::Record;
use medledger_ipfs::store::{Keep, Pin, Reason, Sharding, Word};

/// A pin file read is written back as the same bytes, or is one of the version before, which is its
/// CID alone; then it is written in the new form and reads back.
pub fn pin(data: &[u8]) {
    let Ok(pin) = Pin::decode(data) else { return };
    let written = pin.encode();
    assert_eq!(Pin::decode(written.as_bytes()), Ok(pin.clone()));
    if written.as_bytes() != data {
        assert_eq!(data.trim_ascii_end(), pin.root.to_string().as_bytes());
        assert_eq!(pin.reasons, [Keep { reason: Reason::Untold, since: None }]);
    }
}

pub(crate) fn pin_seeds() -> Vec<Vec<u8>> {
    let root = Cid::of(Codec::DagCbor, b"root");
    let mut pin = Pin::new(root, Keep { reason: Reason::Untold, since: None });
    let word = |text| Word::new(text).expect("a word");
    let at = Timestamp::from_secs(1_800_000_000);
    for reason in [
        Reason::Report(ReportId::from_bytes([7; 16])),
        Reason::Head(ChainId::from_bytes([9; 32])),
        Reason::Import(word("reports.car")),
        Reason::User(word("zweite Meinung, nächstes Jahr")),
    ] {
        pin.add(Keep::since(reason, at));
    }
    vec![pin.encode().into_bytes(), format!("{root}\n").into_bytes()]
}

/// A list of pins read is written back as the same bytes; its links are its roots, by the reader of links that
/// knows nothing of lists.
pub fn pin_list(data: &[u8]) {
    let Ok(list) = PinList::decode(data) else { return };
    assert_eq!(list.encode(), data);
    let roots: Vec<Cid> = list.pins().iter().map(|pin| pin.root).collect();
    assert_eq!(links_of(Codec::DagCbor, data).expect("DAG-CBOR"), roots);
    assert!(list.pins().iter().all(|pin| !pin.reasons.is_empty()));
}

pub(crate) fn pin_list_seeds() -> Vec<Vec<u8>> {
    let seeds = pin_seeds();
    let pins = seeds.iter().map(|file| Pin::decode(file).expect("a pin")).take(1);
    let other = Keep { reason: Reason::Untold, since: None };
    let other = Pin::new(Cid::v0_from_digest([3; 32]), other);
    let lists = PinList::of(Owner::from_bytes([0x5a; 8]), pins.chain([other]).collect());
    lists.iter().map(PinList::encode).collect()
}

/// What a file `SHARDING` says reads back from how it is written, and names folders of its length.
pub fn sharding(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(sharding) = text.parse::<Sharding>() else { return };
    assert_eq!(sharding.to_string(), text.trim());
    for name in ["", "A", "CIQLSTJHXGJU2PQIUUXFFV62PWV7VREE57RXUU4A52IIR55M4LX432I"] {
        assert_eq!(sharding.folder(name).chars().count(), sharding.length());
    }
}

pub(crate) fn sharding_seeds() -> Vec<Vec<u8>> {
    ["next-to-last/2", "prefix/5", "suffix/50"]
        .map(|way| format!("/repo/flatfs/shard/v1/{way}\n").into_bytes())
        .to_vec()
}

/// A record of replicas read is written back as the same bytes, and says what its words say.
pub fn replicas(data: &[u8]) {
    let Ok(record) = Record::decode(data) else { return };
    assert_eq!(record.encode().as_bytes(), data);
    let text = std::str::from_utf8(data).expect("text was read");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(record.root().to_string().as_str()));
    assert_eq!(lines.clone().count(), record.asked().len());
    for (line, asked) in lines.zip(record.asked()) {
        let (at, replicas) = asked
            .confirmed
            .map_or(("-".to_owned(), 0), |found| (found.at.as_secs().to_string(), found.replicas));
        let (backend, asked_at, forgot) = (&asked.backend, asked.at.as_secs(), asked.forgot);
        let words = [backend.to_string(), asked_at.to_string(), at, replicas.to_string()];
        assert_eq!(line.split(' ').collect::<Vec<_>>()[..4], words);
        assert_eq!(line.split(' ').nth(4), Some(forgot.to_string().as_str()));
    }
}

pub(crate) fn replicas_seeds() -> Vec<Vec<u8>> {
    let mut record = Record::new(Cid::of(Codec::DagPb, b"root"));
    let empty = record.encode();
    for (name, secs) in [("own-cluster", 1_800_000_000), ("partner.example", 1), ("x_2", u64::MAX)]
    {
        record.ask(name.parse().expect("a name"), Timestamp::from_secs(secs));
    }
    let asked = record.encode();
    // Only a check confirms; written here as it would be.
    let confirmed = asked.replacen(" - 0 0", " 1800086400 3 2", 1);
    vec![empty.into_bytes(), asked.into_bytes(), confirmed.into_bytes()]
}
