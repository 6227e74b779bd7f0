//! How an access key reaches its owner: by mail, by waiting here until they pick it up, or through the caller.

use crate::attempts::Target;
use crate::audit::{AuditEvent, Noted};
use crate::ledger::Ledger;
use crate::mail::{LetterId, texts};
use crate::people::Contact;
use crate::refusals::Asker;
use medledger_core::access_key::AccessKey;
use medledger_core::cbor;
use medledger_core::clock::Timestamp;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, ReportId};
use medledger_core::record::Scope;
use medledger_core::store::{Drawer, StoreError, Unit};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How access keys reach the people they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeliveryMode {
    /// In a letter; through the caller where there is no mail or no address.
    Mail,
    /// It waits here, sealed, until its owner picks it up, once; a letter only says that it waits.
    Pickup,
    /// The caller gets it, once, and hands it over.
    Caller,
}

impl std::str::FromStr for DeliveryMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mail" => Ok(Self::Mail),
            "pickup" => Ok(Self::Pickup),
            "caller" => Ok(Self::Caller),
            other => {
                let found: String = other.chars().take(40).collect();
                Err(format!("unknown delivery {found:?}; known are mail, pickup, caller"))
            }
        }
    }
}

impl DeliveryMode {
    /// The name people see and type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Pickup => "pickup",
            Self::Caller => "caller",
        }
    }
}

/// A key that its owner picked up. Nothing keeps a copy.
#[derive(Debug)]
pub struct PickedUp {
    /// The key.
    pub key: AccessKey,
    /// The report it opens, where it is one.
    pub report: Option<ReportId>,
    /// What people call what it opens.
    pub label: String,
    /// The grant it belongs to; none for a patient's own key.
    pub grant: Option<GrantId>,
    /// Since when it waited.
    pub since: Timestamp,
}

/// A key that has to get to its owner.
pub(crate) struct Parcel<'a> {
    pub(crate) owner: &'a MemberId,
    pub(crate) scope: &'a Scope,
    /// Grant and its end; none for a patient's own key.
    pub(crate) grant: Option<(&'a GrantId, Timestamp)>,
    pub(crate) key: &'a AccessKey,
    /// What a letter says of a patient's own key.
    pub(crate) why: Why,
}

/// Why a patient gets a key to their own report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The report was added.
    Added,
    /// In place of one that was lost.
    Renewed,
    /// The report was put under another key, and the one before is not known here.
    Rotated,
}

/// What was done with it in a unit of work.
pub(crate) enum Sent {
    /// In the queue of letters.
    Letter(LetterId),
    /// It waits here.
    Waits,
    /// The caller has to hand it over.
    Caller,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    report: Option<ReportId>,
    grant: Option<GrantId>,
    since: Timestamp,
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
}

impl Drop for Row {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.key);
    }
}

fn row_key(owner: &MemberId, scope: &Scope, grant: Option<&GrantId>) -> Vec<u8> {
    let report = scope.report().map_or([0; ReportId::LEN], |report| *report.as_bytes());
    let grant = grant.map_or([0; GrantId::LEN], |grant| *grant.as_bytes());
    [&owner.as_bytes()[..], &report, &grant].concat()
}

impl Ledger {
    /// How keys reach this person: as they wish, else as the settings say, else by mail where there is any.
    pub(crate) fn delivery_of(&self, contact: &Contact) -> DeliveryMode {
        let mode = contact.delivery.or(self.settings().delivery).unwrap_or(DeliveryMode::Mail);
        match mode {
            DeliveryMode::Mail if contact.email.is_none() || !self.sends_mail() => {
                DeliveryMode::Caller
            }
            mode => mode,
        }
    }

    /// Sends a key on its way, in the unit of work that made it. One that is still under way for the same
    /// owner and purpose is replaced.
    pub(crate) fn deliver(
        &self,
        unit: &mut dyn Unit,
        parcel: &Parcel<'_>,
    ) -> Result<Sent, StoreError> {
        let contact = self.contact(unit, parcel.owner)?;
        let mode = self.delivery_of(&contact);
        let grant = parcel.grant.map(|(grant, _)| grant);
        let row = row_key(parcel.owner, parcel.scope, grant);
        if mode == DeliveryMode::Pickup {
            let plain = Zeroizing::new(cbor::encode(&Row {
                report: parcel.scope.report(),
                grant: grant.copied(),
                since: self.now(),
                key: parcel.key.expose().to_vec(),
            }));
            let sealed = self.node_key().seal(Drawer::Pickup, &row, &plain, &mut self.rng());
            unit.set_local(Drawer::Pickup, &row, Some(&sealed))?;
        } else {
            unit.set_local(Drawer::Pickup, &row, None)?;
        }
        let address = contact.email.as_deref().filter(|_| self.sends_mail());
        let letter = match (mode, address) {
            (DeliveryMode::Mail | DeliveryMode::Pickup, Some(address)) => {
                let (what, label) = self.describe_scope(unit, parcel.scope)?;
                let mailed = (mode == DeliveryMode::Mail).then_some(parcel.key);
                let letter = match (parcel.grant, mailed) {
                    (_, None) => texts::key_waits(&contact, address, &label),
                    (None, Some(key)) if parcel.why != Why::Added => {
                        let rotated = parcel.why == Why::Rotated;
                        texts::key_replaced(&contact, address, &what, &label, key, rotated)
                    }
                    (None, Some(key)) => {
                        let hospital = self.contact(unit, &self.hospital())?.name;
                        texts::report_added(&contact, address, &hospital, &what, &label, key)
                    }
                    (Some((_, until)), Some(key)) => {
                        texts::access_granted(&contact, address, &what, &label, until, Some(key))
                    }
                };
                let pictured = mailed.filter(|_| self.settings().mail_qr);
                Some(self.enqueue(unit, &letter.with_qr(pictured))?)
            }
            _ => None,
        };
        Ok(match (mode, letter) {
            (DeliveryMode::Pickup, _) => Sent::Waits,
            (DeliveryMode::Mail, Some(letter)) => Sent::Letter(letter),
            _ => Sent::Caller,
        })
    }

    /// The keys that wait for a member, each shown this once: they are destroyed here, and that they were
    /// picked up is in the audit log, before they are returned. Nobody but a member gets any.
    ///
    /// # Errors
    /// When the store fails; then no key is shown and none is destroyed.
    pub fn pick_up(&self, owner: &Identity) -> Result<Vec<PickedUp>, StoreError> {
        if self.authenticate(owner)?.is_none() {
            let target = Target::Collection(self.hospital());
            self.note_or_count(&Asker::Stranger(owner.id()), target)?;
            return Ok(Vec::new());
        }
        let member = owner.id();
        let mut unit = self.store().unit()?;
        let mut keys = Vec::new();
        for (row, sealed) in unit.local_scan(Drawer::Pickup, member.as_bytes(), None, usize::MAX)? {
            let plain = self.node_key().unseal(Drawer::Pickup, &row, &sealed)?;
            let damaged = |why: String| StoreError::Damaged(format!("key of {member}: {why}"));
            let waiting: Row =
                cbor::decode(&plain, 256).map_err(|error| damaged(error.to_string()))?;
            let key = <[u8; 16]>::try_from(&waiting.key[..])
                .map_err(|_| damaged("it has another length".into()))?;
            unit.set_local(Drawer::Pickup, &row, None)?;
            let scope = match (&waiting.grant, waiting.report) {
                (_, Some(report)) => Scope::Report(report),
                (Some(grant), None) => {
                    let missing = || damaged(format!("grant {grant} is missing"));
                    self.grant_entry(grant)?.ok_or_else(missing)?.scope
                }
                (None, None) => return Err(damaged("it is for nothing".into())),
            };
            let target = waiting.grant.map_or(Target::of(&scope), Target::Grant);
            self.audit(unit.as_mut(), AuditEvent::KeyPickedUp, &Noted::of(&member, target))?;
            keys.push(PickedUp {
                key: AccessKey::from_bytes(key),
                report: waiting.report,
                label: self.describe_scope(unit.as_ref(), &scope)?.1,
                grant: waiting.grant,
                since: waiting.since,
            });
        }
        if !keys.is_empty() {
            unit.commit()?;
        }
        Ok(keys)
    }

    /// Destroys a key of a grant that waits to be picked up.
    pub(crate) fn drop_parcel(
        &self,
        unit: &mut dyn Unit,
        owner: &MemberId,
        scope: &Scope,
        grant: Option<&GrantId>,
    ) -> Result<(), StoreError> {
        unit.set_local(Drawer::Pickup, &row_key(owner, scope, grant), None)
    }
}
