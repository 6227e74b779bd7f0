//! What this node keeps for itself: rows that open, rows in clear, and that none is missing where the chain tells.

use super::Finding;
use crate::ledger::Ledger;
use crate::people::LAST_MEMBER;
use crate::{create, mail, restore, rotate};
use medledger_core::ids::MemberId;
use medledger_core::rows;
use medledger_core::state::State;
use medledger_core::store::{Drawer, StoreError, View};
use std::collections::BTreeSet;

/// Drawers whose rows are sealed.
const SEALED: [Drawer; 8] = [
    Drawer::Slots,
    Drawer::Mail,
    Drawer::Idempotency,
    Drawer::Contacts,
    Drawer::Labels,
    Drawer::Pickup,
    Drawer::Attempts,
    Drawer::Audit,
];

impl Ledger {
    /// Whether every encrypted row opens in its place.
    pub(super) fn verify_sealed(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for drawer in SEALED {
            for (key, sealed) in view.local_scan(drawer, &[], None, usize::MAX)? {
                if self.node_key().unseal(drawer, &key, &sealed).is_err() {
                    findings.push(Finding::Local { drawer, key: hex(&key) });
                }
            }
        }
        Ok(findings)
    }

    /// Whether every row that is in clear can be read, is whole, and fits the chain.
    pub(super) fn verify_clear(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let faults = rows::check(view, self.rules(), &self.hospital())?;
        let row = |fault: rows::RowFault| Finding::Row {
            drawer: fault.drawer,
            key: hex(&fault.key),
            what: fault.what,
        };
        Ok(faults.into_iter().map(row).collect())
    }

    /// Whether what this node keeps of itself fits its chain and its other rows.
    pub(super) fn verify_node(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        let mut findings = Vec::new();
        for (key, value) in view.local_scan(Drawer::Node, &[], None, usize::MAX)? {
            if let Some(what) = self.node_row(view, &key, &value)? {
                let (drawer, key) = (Drawer::Node, hex(&key));
                findings.push(Finding::Row { drawer, key, what: what.to_owned() });
            }
        }
        let counted = [
            (LAST_MEMBER, self.highest_number(view)?),
            (mail::LAST_LETTER, mail::highest_number(view)?),
        ];
        for (row, highest) in counted {
            let last = view.local(Drawer::Node, row)?.unwrap_or_else(|| vec![0; 4]);
            // Another length is told above.
            if last.len() == 4 && last.as_slice() < &highest.to_be_bytes()[..] {
                let (drawer, key) = (Drawer::Node, hex(row));
                let what = format!("the number {highest} was given, and would be given again");
                findings.push(Finding::Row { drawer, key, what });
            }
        }
        findings.extend(self.verify_mining_key(view)?);
        Ok(findings)
    }

    /// What is wrong with a row of the node; how far it is known.
    fn node_row(
        &self,
        view: &dyn View,
        key: &[u8],
        value: &[u8],
    ) -> Result<Option<&'static str>, StoreError> {
        let wrong = |wrong: bool, what| Ok(wrong.then_some(what));
        match key {
            // The newest checkpoint and the mining key are looked at by themselves, and the hospital by its contact.
            b"checkpoint" | b"checkpoint-ahead" | create::MINING_KEY | create::HOSPITAL => Ok(None),
            create::FOLLOWER => wrong(value != [1], "it does not say whether this node follows"),
            LAST_MEMBER | mail::LAST_LETTER => wrong(value.len() != 4, "it is no number"),
            b"kept-from" => {
                let height = <[u8; 8]>::try_from(value).ok().map(u64::from_be_bytes);
                let top = medledger_core::chain::tip(view)?.height;
                wrong(height.is_none_or(|height| height > top), "there is no block at this height")
            }
            b"submitted" => wrong(value.len() != 32, "it is no hash"),
            crate::labels::NEWEST_SECOND => wrong(
                value.len() % MemberId::LEN != 8,
                "it is no second with the patients that got a label in it",
            ),
            _ if key.starts_with(restore::LOSS) => {
                wrong(!restore::is_loss(key, value), "it is no loss that was accepted")
            }
            _ if key.starts_with(rotate::ROTATE) => {
                let mut known = false;
                if let Some((patient, report)) = rotate::marked(key) {
                    self.engine().with_pending(view, &mut |state| {
                        let entry = State::new(state).report(&report)?;
                        known = entry.is_some_and(|entry| entry.patient == patient);
                        Ok(())
                    })?;
                }
                wrong(!known || !value.is_empty(), "it marks no report that there is")
            }
            // Checked against what they prove.
            _ if [&b"checkpoint-conflict:"[..], b"evidence", b"handover"]
                .iter()
                .any(|known| key.starts_with(known)) =>
            {
                Ok(None)
            }
            _ => Ok(Some("nothing is kept under this name")),
        }
    }

    /// Whether blocks can be signed here as the chain expects it.
    fn verify_mining_key(&self, view: &dyn View) -> Result<Option<Finding>, StoreError> {
        let hospital = self.hospital();
        let member = State::new(view).member(&hospital)?;
        // One that was expelled, or is not admitted yet, has no key that the chain knows.
        let known = member.map(|member| member.mining).filter(|known| !known.is_empty());
        let Some(known) = known.filter(|_| !self.is_follower()) else { return Ok(None) };
        let what = match create::mining_key(view, self.node_key()) {
            Ok(Some(key)) if known.contains(&key.verifying_key()) => return Ok(None),
            Ok(Some(_)) => "another one",
            Ok(None) => "missing",
            Err(StoreError::Damaged(_)) => "damaged",
            Err(error) => return Err(error),
        };
        Ok(Some(Finding::MiningKey { hospital, what }))
    }

    /// Whether every member that was registered and every group that was made here still has its name.
    pub(super) fn verify_names(&self, view: &dyn View) -> Result<Vec<Finding>, StoreError> {
        if self.is_follower() {
            return Ok(Vec::new());
        }
        let here = self.hospital();
        let (mut members, mut groups) = (BTreeSet::from([here]), Vec::new());
        // Those whose registration waits have a name, too.
        self.engine().with_pending(view, &mut |state| {
            let state = State::new(state);
            let registered = state.members()?.into_iter();
            let own = registered.filter(|(_, entry)| entry.hospital == here);
            members.extend(own.map(|(id, _)| id));
            let made = state.groups()?.into_iter();
            let named = made.filter(|(_, entry)| entry.hospital == here && entry.role.is_none());
            groups.extend(named.map(|(id, _)| id));
            Ok(())
        })?;
        let mut findings = Vec::new();
        for member in members {
            if view.local(Drawer::Contacts, member.as_bytes())?.is_none() {
                findings.push(Finding::NoContact { member });
            }
        }
        for group in groups {
            if view.local(Drawer::Labels, group.as_bytes())?.is_none() {
                findings.push(Finding::NoName { group });
            }
        }
        Ok(findings)
    }

    /// The audit log, recomputed.
    pub(super) fn verify_log(&self) -> Result<Vec<Finding>, StoreError> {
        Ok(self.verify_audit()?.findings.into_iter().map(Finding::Audit).collect())
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}
