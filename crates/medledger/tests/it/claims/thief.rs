//! Whoever has copies of the database, its node key and some keys: opens with them whatever they open, and goes
//! on with what comes of it, until nothing new comes.

use crate::support::World;
use medledger::core::Cid;
use medledger::core::cbor;
use medledger::core::dek::Dek;
use medledger::core::key_slot::{KeyOwner, KeySlot, KeySlotContext, KeySlotRole};
use medledger::core::keys::{HpkePublicKey, HpkeSecretKey};
use medledger::core::registry::domain;
use medledger::core::seal;
use medledger::core::slot::{Slot, SlotContext, SlotRole};
use medledger::core::store::{Drawer, Store};
use medledger::sqlite::SqliteStore;
use medledger::{AccessKey, ChainId, GrantId, GroupId, Identity, MemberId, ReportId};
use serde::{Deserialize, Serialize};

/// As rows of key slots are stored: public half of what is wrapped, key slot.
#[derive(Serialize, Deserialize)]
pub(super) struct KeyRow(
    pub(super) Option<HpkePublicKey>,
    #[serde(with = "serde_bytes")] pub(super) Vec<u8>,
);

/// A row of the drawer of slots, unsealed.
type Row = (Vec<u8>, Vec<u8>);

pub(super) struct Thief {
    chain: ChainId,
    hospital: MemberId,
    node: Dek,
    rows: Vec<Row>,
    envelopes: Vec<Cid>,
    secrets: Vec<HpkeSecretKey>,
    access: Vec<AccessKey>,
}

impl Thief {
    /// With the node key, which lies beside the database.
    pub(super) fn new(w: &World) -> Self {
        let (rows, envelopes, secrets, access) = Default::default();
        let (chain, hospital) = (w.ledger.chain(), w.hospital.id());
        Self { chain, hospital, node: node_key(w), rows, envelopes, secrets, access }
    }

    pub(super) fn knows(mut self, secret: &HpkeSecretKey) -> Self {
        self.secrets
            .push(HpkeSecretKey::from_bytes(secret.public_key().algorithm(), &secret.expose()));
        self
    }

    pub(super) fn is(self, who: &Identity) -> Self {
        self.knows(who.hpke_secret_key())
    }

    pub(super) fn has(mut self, key: &AccessKey) -> Self {
        self.access.push(AccessKey::from_bytes(*key.expose()));
        self
    }

    /// Takes a copy of the database, and of the chain with it.
    pub(super) fn copies(mut self, w: &World) -> Self {
        let view = w.ledger.view().unwrap();
        for (key, sealed) in view.local_scan(Drawer::Slots, &[], None, usize::MAX).unwrap() {
            let row = seal::unseal(&self.node, &context(&key), &sealed).unwrap();
            self.rows.push((key, row));
        }
        self.envelopes
            .extend(w.ledger.reports(&w.patient.id()).unwrap().iter().map(|r| r.envelope));
        self
    }

    /// The reports whose keys come of it, each with the epoch.
    pub(super) fn opens(&mut self) -> Vec<(ReportId, u32)> {
        let mut opened = Vec::new();
        loop {
            let (before, known) = (opened.len(), self.secrets.len() + self.access.len());
            let mut new = (Vec::new(), Vec::new());
            for (key, row) in &self.rows {
                if key[16..20] == [0; 4] {
                    self.try_key_slot(key, row, &mut new);
                } else if self.try_slot(key, row, &mut new.1) {
                    opened.push((report_of(key), epoch_of(key)));
                }
            }
            opened.sort_unstable();
            opened.dedup();
            for secret in new.0 {
                if self.secrets.iter().all(|known| known.public_key() != secret.public_key()) {
                    self.secrets.push(secret);
                }
            }
            for key in new.1 {
                if self.access.iter().all(|known| *known != key) {
                    self.access.push(key);
                }
            }
            if before == opened.len() && known == self.secrets.len() + self.access.len() {
                return opened;
            }
        }
    }

    /// Whether a slot gives the report's key; if it gives an access key, that.
    fn try_slot(&self, key: &[u8], row: &[u8], new: &mut Vec<AccessKey>) -> bool {
        let slot = Slot::from_bytes(row).unwrap();
        let (report, epoch, role) = (report_of(key), epoch_of(key), SlotRole::from_code(key[24]));
        let role = role.unwrap();
        let grant = id_at(key, 25).map(GrantId::from_bytes);
        let reader = MemberId::try_from(&key[41..]).unwrap();
        let chain = self.chain;
        self.envelopes.iter().any(|&envelope| {
            let c = SlotContext { chain, report, version: 1, epoch, role, grant, reader, envelope };
            if role == SlotRole::AccessKey {
                new.extend(self.secrets.iter().filter_map(|s| slot.unwrap_access_key(s, &c).ok()));
                return false;
            }
            self.secrets.iter().any(|secret| slot.unwrap_with(secret, &c).is_ok())
                || self.access.iter().any(|key| slot.unwrap_with_access_key(key, &c).is_ok())
        })
    }

    fn try_key_slot(&self, key: &[u8], row: &[u8], new: &mut (Vec<HpkeSecretKey>, Vec<AccessKey>)) {
        let KeyRow(wrapped, slot) = cbor::decode(row, 4096).unwrap();
        let slot = KeySlot::from_bytes(&slot).unwrap();
        let (subject, epoch) = (<[u8; 16]>::try_from(&key[..16]).unwrap(), epoch_of(key));
        let role = KeySlotRole::ALL.into_iter().find(|role| role.code() == key[24]).unwrap();
        let by_grant = matches!(role, KeySlotRole::Collection | KeySlotRole::AccessKey);
        let grant = id_at(key, 25).filter(|_| by_grant).map(GrantId::from_bytes);
        let reader = id_at(key, 41).map(MemberId::from_bytes);
        let patient = MemberId::from_bytes(subject);
        let owners = [
            KeyOwner::Collection { patient, hospital: self.hospital },
            KeyOwner::Group(GroupId::from_bytes(subject)),
        ];
        for owner in owners {
            let wrapped = wrapped.clone();
            let c =
                KeySlotContext { chain: self.chain, owner, epoch, role, grant, reader, wrapped };
            if role == KeySlotRole::AccessKey {
                new.1
                    .extend(self.secrets.iter().filter_map(|s| slot.unwrap_access_key(s, &c).ok()));
                continue;
            }
            new.0.extend(self.secrets.iter().filter_map(|s| slot.unwrap(s, &c).ok()));
            let by_key = |key| slot.unwrap_with_access_key(key, &c).ok();
            new.0.extend(self.access.iter().filter_map(by_key));
        }
    }
}

/// The node key, as it lies beside the database.
pub(super) fn node_key(w: &World) -> Dek {
    let text = std::fs::read_to_string(w.folder.join("node.key")).unwrap();
    let bytes = hex(text.lines().nth(1).unwrap());
    Dek::from_bytes(bytes.try_into().unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

pub(super) fn context(key: &[u8]) -> Vec<u8> {
    [domain::LOCAL_ROW, &[Drawer::Slots.code()], key].concat()
}

/// Writes a row as the custodian itself would: sealed under the node key, in its place.
pub(super) fn plant(w: &World, key: &[u8], row: &[u8]) {
    let sealed = seal::seal(&node_key(w), &context(key), row, &mut crate::support::rng()).unwrap();
    let store = SqliteStore::open(&w.folder.join("ledger.db"), false).unwrap();
    let mut unit = store.unit().unwrap();
    unit.set_local(Drawer::Slots, key, Some(&sealed)).unwrap();
    unit.commit().unwrap();
}

/// The one row in this role of this report or patient, unsealed.
pub(super) fn row(w: &World, subject: &[u8], role: u8) -> Row {
    let view = w.ledger.view().unwrap();
    let mut rows = view.local_scan(Drawer::Slots, subject, None, usize::MAX).unwrap();
    rows.retain(|(key, _)| key[24] == role);
    let [(key, sealed)] = &rows[..] else { panic!("{} rows in role {role}", rows.len()) };
    (key.clone(), seal::unseal(&node_key(w), &context(key), sealed).unwrap())
}

fn report_of(key: &[u8]) -> ReportId {
    ReportId::try_from(&key[..16]).unwrap()
}

fn epoch_of(key: &[u8]) -> u32 {
    u32::from_be_bytes(key[20..24].try_into().unwrap())
}

fn id_at(key: &[u8], at: usize) -> Option<[u8; 16]> {
    let id = <[u8; 16]>::try_from(&key[at..at + 16]).unwrap();
    (id != [0; 16]).then_some(id)
}
