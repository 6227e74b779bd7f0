//! Delegate: a reader passes on what a patient permitted, where the patient said they may.

use crate::approve::{ApproveError, Approved, Key, ReaderKey};
use crate::attempts::Target;
use crate::grants::{Opened, Permission, Reader};
use crate::ledger::Ledger;
use crate::open_report::OpenReportError;
use medledger_core::clock::Timestamp;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, RecordNonce};
use medledger_core::record::{Delegate, Grantee, Scope};
use medledger_core::registry::VoidCode;
use medledger_core::state::{GrantEntry, GrantStanding, State};

/// What is passed on of a grant: all of it, unless said otherwise; never more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delegation {
    /// Who may read.
    pub reader: Reader,
    /// A part of what the grant covers; all of it by default.
    pub scope: Option<Scope>,
    /// An earlier end; that of the grant by default.
    pub until: Option<Timestamp>,
    /// How many times it may be passed on further; below what the grant says, 0 by default.
    pub delegate: u8,
    /// How the reader will unwrap theirs.
    pub reader_key: ReaderKey,
}

impl Delegation {
    /// Passes all of a grant on to `reader`, who gets an access key.
    #[must_use]
    pub fn to(reader: impl Into<Reader>) -> Self {
        let reader_key = ReaderKey::default();
        Self { reader: reader.into(), scope: None, until: None, delegate: 0, reader_key }
    }
}

impl Ledger {
    /// Passes a grant on. `key` is what opens it for its holder. The patient, and whoever passed it on, can
    /// take it back; it ends with the grant it came from.
    ///
    /// # Errors
    /// See [`ApproveError`]; `Refused` when the grant is somebody else's, dead, or not to be passed on.
    pub fn delegate(
        &self,
        holder: &Identity,
        grant: &GrantId,
        key: &Key<'_>,
        delegation: Delegation,
    ) -> Result<Approved, ApproveError> {
        self.limited(holder, Target::Grant(*grant), key, || {
            self.delegate_once(holder, grant, key, delegation)
        })
    }

    fn delegate_once(
        &self,
        holder: &Identity,
        grant: &GrantId,
        key: &Key<'_>,
        delegation: Delegation,
    ) -> Result<Approved, ApproveError> {
        let parent = self.held(holder, grant, key)?;
        let Delegation { reader, scope, until, delegate, reader_key } = delegation;
        let permission = Permission {
            scope: scope.unwrap_or_else(|| parent.scope.clone()),
            reader,
            purpose: parent.purpose,
            until: until.unwrap_or(parent.until),
            delegate,
        };
        let parties = self.parties(&parent.patient, &permission)?;
        let view = self.view()?;
        let slots = self.stored_slots(view.as_ref());
        let mut opened = Vec::with_capacity(parties.reports.len().max(1));
        if let Scope::Collection(hospital) = permission.scope {
            // Of anything less there is no such key to give.
            let (epoch, secret) = self.granted_collection(&slots, holder, grant, &parent, key)?;
            opened.push(Opened::Collection { hospital, epoch, secret });
        }
        for (id, entry) in &parties.reports {
            if !parent.covers(id, entry) {
                return Err(ApproveError::Refused(VoidCode::TooWide));
            }
            let dek = self.reader_dek(&slots, holder, id, entry, grant, &parent, key)?;
            opened.push(Opened::Report { id: *id, entry: entry.clone(), dek });
        }
        drop(view);
        let nonce = RecordNonce::random(&mut self.rng());
        let (patient, author) = (parent.patient, holder.id());
        let signed =
            self.sign_grant(&author, &patient, nonce, &opened, &parties, reader_key, |token| {
                let body = Delegate {
                    grant: *grant,
                    scope: permission.scope.clone(),
                    reader: parties.recipient.grantee,
                    until: permission.until,
                    token,
                    delegate: permission.delegate,
                };
                self.sign_with_nonce(holder, nonce, body)
            });
        self.accept_grant(holder, signed, permission, None)
    }

    /// A live grant that names this member, who has its key.
    fn held(
        &self,
        holder: &Identity,
        grant: &GrantId,
        key: &Key<'_>,
    ) -> Result<GrantEntry, ApproveError> {
        // Somebody else's grant and one that does not exist look the same.
        let unknown = || ApproveError::Refused(VoidCode::UnknownGrant);
        self.acting(holder)?.map_err(ApproveError::Refused)?;
        let view = self.view()?;
        let now = self.now().max(medledger_core::chain::tip(view.as_ref())?.median_time);
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let state = State::new(state);
            if let Some(entry) = state.grant(grant)? {
                found = Some((state.standing(&entry, now)?, entry));
            }
            Ok(())
        })?;
        let (standing, entry) = found.ok_or_else(unknown)?;
        if entry.reader != Grantee::Member(holder.id()) {
            return Err(unknown());
        }
        match standing {
            GrantStanding::Revoked => Err(ApproveError::Refused(VoidCode::Revoked)),
            GrantStanding::Expired => Err(ApproveError::Refused(VoidCode::Expired)),
            GrantStanding::Live if self.key_fits(grant, &entry, key) => Ok(entry),
            GrantStanding::Live => Err(ApproveError::WrongKey),
        }
    }
}

impl From<OpenReportError> for ApproveError {
    /// What can go wrong on the way to a key.
    fn from(error: OpenReportError) -> Self {
        match error {
            OpenReportError::WrongKey => Self::WrongKey,
            OpenReportError::Slot(error) => Self::Slot(error),
            OpenReportError::Store(error) => Self::Store(error),
            _ => Self::NoSlot,
        }
    }
}
