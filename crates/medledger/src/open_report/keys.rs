//! By which grant a reader reads, and the report's key that it leads to.

use super::OpenReportError;
use crate::approve::Key;
use crate::grants::grantee_id;
use crate::ledger::Ledger;
use crate::secrets::{KeyPlace, with_any_key};
use crate::slots::{SlotPlace, SlotSource, slot_in};
use medledger_core::clock::Timestamp;
use medledger_core::dek::Dek;
use medledger_core::identity::Identity;
use medledger_core::ids::{GrantId, MemberId, ReportId};
use medledger_core::key_slot::{KeyOwner, KeySlotRole};
use medledger_core::keys::HpkeSecretKey;
use medledger_core::record::{Grantee, Scope};
use medledger_core::slot::{SlotError, SlotRole};
use medledger_core::state::{GrantEntry, GrantStanding, MemberEntry, ReportEntry, State};
use medledger_core::store::Standing;
use medledger_core::token::Token;

impl Ledger {
    /// The grants that let this member read, by their tokens where they need one: one at least, that given last first.
    /// Each is live both in the newest block and after everything accepted since: a revocation counts at once.
    pub(crate) fn live_grants_for(
        &self,
        reader: &MemberId,
        member: &MemberEntry,
        report: &ReportId,
        entry: &ReportEntry,
        key: &Key<'_>,
    ) -> Result<Vec<(GrantId, GrantEntry)>, OpenReportError> {
        let view = self.view()?;
        let tip = medledger_core::chain::tip(view.as_ref())?;
        // Neither a slow clock nor a slow chain makes a grant live longer.
        let now = self.now().max(tip.median_time);
        let mined = State::new(view.as_ref());
        // Those given before others may be wrapped to keys that were lost.
        let mut live: Vec<((u64, u32), (GrantId, GrantEntry))> = Vec::new();
        // A reader may know what became of their own grants: of several, of the one given last.
        let mut dead: Option<(Timestamp, OpenReportError)> = None;
        let mut other_key = false;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            let pending = State::new(state);
            for (id, grant) in pending.grants_reaching(reader, member, report, entry)? {
                if !self.key_fits(&id, &grant, key) {
                    other_key = true;
                    continue;
                }
                let reason = match pending.standing(&grant, now)? {
                    GrantStanding::Revoked => OpenReportError::Revoked,
                    GrantStanding::Expired => OpenReportError::Expired,
                    GrantStanding::Live if mined.grant(&id)?.is_none() => OpenReportError::NotMined,
                    GrantStanding::Live => {
                        let place = view.record(&grant.record)?.map(|stored| stored.standing);
                        let place = match place {
                            Some(Standing::Mined { height, index }) => (height, index),
                            _ => (0, 0),
                        };
                        live.push((place, (id, grant)));
                        continue;
                    }
                };
                let given = view.record(&grant.record)?.map_or(Timestamp::default(), |r| r.time);
                if dead.as_ref().is_none_or(|(before, _)| given >= *before) {
                    dead = Some((given, reason));
                }
            }
            Ok(())
        })?;
        if live.is_empty() {
            return Err(match dead {
                Some((_, reason)) => reason,
                None if other_key => OpenReportError::WrongKey,
                None => OpenReportError::NoAccess,
            });
        }
        live.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(live.into_iter().map(|(_, found)| found).collect())
    }

    /// The report's key by the first of these grants whose slot is here and opens; otherwise what was wrong with the very
    /// first of them.
    pub(crate) fn first_that_unwraps(
        &self,
        slots: &dyn SlotSource,
        reader: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        grants: &[(GrantId, GrantEntry)],
        key: &Key<'_>,
    ) -> Result<(Option<GrantId>, Dek), OpenReportError> {
        let mut first = None;
        for (id, grant) in grants {
            match self.reader_dek(slots, reader, report, entry, id, grant, key) {
                Ok(dek) => return Ok((Some(*id), dek)),
                Err(
                    error @ (OpenReportError::WrongKey
                    | OpenReportError::NoSlot(_)
                    | OpenReportError::Slot(SlotError::OtherSuite { .. })),
                ) => {
                    first.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or(OpenReportError::NoAccess))
    }

    pub(crate) fn key_fits(&self, id: &GrantId, grant: &GrantEntry, key: &Key<'_>) -> bool {
        match (key, &grant.token) {
            (Key::Access(key), Some(hash)) => {
                crate::effort::token();
                Token::derive(key, id).matches(&self.chain(), id, hash)
            }
            (Key::Identity, None) => true,
            _ => false,
        }
    }

    /// The report's key for a reader with a live grant.
    #[expect(clippy::too_many_arguments, reason = "each names another party or place")]
    pub(crate) fn reader_dek(
        &self,
        slots: &dyn SlotSource,
        reader: &Identity,
        report: &ReportId,
        entry: &ReportEntry,
        id: &GrantId,
        grant: &GrantEntry,
        key: &Key<'_>,
    ) -> Result<Dek, OpenReportError> {
        crate::effort::unwrap();
        let no_slot = || OpenReportError::NoSlot(grant.custodian);
        let current = |role, grant, reader| SlotPlace::current(*report, entry, role, grant, reader);
        if let Scope::Collection(_) = grant.scope {
            let place = current(SlotRole::Collection, None, entry.patient);
            let slot = slot_in(slots, &place)?.ok_or_else(no_slot)?;
            let (epoch, secret) = self.granted_collection(slots, reader, id, grant, key)?;
            let owner = KeyOwner::Collection { patient: entry.patient, hospital: entry.hospital };
            let secret = self.older_secret(slots, owner, secret, epoch, entry.collection)?;
            let context = self.slot_context(&place, entry.envelope);
            return Ok(slot.unwrap_with(&secret.ok_or_else(no_slot)?, &context)?);
        }
        let place = current(SlotRole::Grant, Some(*id), grantee_id(&grant.reader));
        let slot = slot_in(slots, &place)?.ok_or_else(no_slot)?;
        let context = self.slot_context(&place, entry.envelope);
        let opened = match (key, &grant.reader) {
            (_, Grantee::Group(at)) => {
                let keys = self.group_secrets(slots, reader, at)?;
                first_that_opens(&keys, |key| slot.unwrap_with(key, &context))
            }
            (Key::Access(key), _) => slot.unwrap_with_access_key(key, &context),
            (Key::Identity, _) => with_any_key(reader, |key| slot.unwrap_with(key, &context)),
        };
        Ok(opened?)
    }

    /// The newest key of a collection that a grant gives this reader, and its epoch.
    pub(crate) fn granted_collection(
        &self,
        slots: &dyn SlotSource,
        reader: &Identity,
        id: &GrantId,
        grant: &GrantEntry,
        key: &Key<'_>,
    ) -> Result<(u32, HpkeSecretKey), OpenReportError> {
        let Scope::Collection(hospital) = grant.scope else {
            return Err(OpenReportError::NoAccess);
        };
        let view = self.view()?;
        let owner = KeyOwner::Collection { patient: grant.patient, hospital };
        let newest = State::new(view.as_ref()).enrolment(&grant.patient, &hospital)?;
        let (grant_id, grantee) = (Some(*id), Some(grantee_id(&grant.reader)));
        for epoch in (1..=newest.map_or(0, |newest| newest.epoch)).rev() {
            let role = KeySlotRole::Collection;
            let place = KeyPlace { owner, epoch, role, grant: grant_id, reader: grantee };
            let Some(kept) = self.secret(slots, &place)? else { continue };
            let secret = match (key, &grant.reader) {
                (_, Grantee::Group(at)) => {
                    let keys = self.group_secrets(slots, reader, at)?;
                    first_that_opens(&keys, |key| kept.unwrap(key))
                }
                (Key::Access(key), _) => kept.unwrap_with_access_key(key),
                (Key::Identity, _) => with_any_key(reader, |key| kept.unwrap(key)),
            };
            return Ok((epoch, secret?));
        }
        Err(OpenReportError::NoSlot(grant.custodian))
    }
}

/// What was wrapped for a group was wrapped to its key of that time: the newest that opens it.
fn first_that_opens<T>(
    keys: &[HpkeSecretKey],
    open: impl Fn(&HpkeSecretKey) -> Result<T, SlotError>,
) -> Result<T, SlotError> {
    let mut last = Err(SlotError::WrongKeyOrMoved);
    for key in keys {
        last = open(key);
        // An older epoch may be of another suite.
        if !matches!(last, Err(SlotError::WrongKeyOrMoved | SlotError::OtherSuite { .. })) {
            break;
        }
    }
    last
}
