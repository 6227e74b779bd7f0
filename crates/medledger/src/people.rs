//! Members: registering them, their locked identity files, and what people call them.

use crate::delivery::DeliveryMode;
use crate::files::read_bounded;
use crate::ledger::Ledger;
use crate::mail::{self, NotifyError};
use crate::node_key::NodeKey;
use crate::suspension::{Suspension, suspension};
use crate::system::os_rng;
use medledger_core::cbor;
use medledger_core::engine::SubmitError;
use medledger_core::identity::{self, Identity, LockError, LockParams, UnlockError, peek};
use medledger_core::ids::{MemberId, RecordId};
use medledger_core::record::{Enrol, Register};
use medledger_core::registry::{Custody, Role, VoidCode, limit};
use medledger_core::state::{MemberEntry, State};
use medledger_core::store::{Drawer, StoreError, Unit, View};
use medledger_core::text::{has_outer_spaces, is_blank, is_refused_in_name};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What people call a member and where mail reaches them. Kept locally and encrypted; none of it is
/// ever on the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The person's or the hospital's name.
    pub name: String,
    /// Mail address, if keys and notices should come by mail.
    pub email: Option<String>,
    /// How keys reach this person, if not as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryMode>,
}

impl Contact {
    /// A contact with a name and no address.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same contact with a mail address.
    #[must_use]
    pub fn with_email(mut self, address: impl Into<String>) -> Self {
        self.email = Some(address.into());
        self
    }

    /// The same contact, whom keys reach in this way.
    #[must_use]
    pub const fn with_delivery(mut self, delivery: DeliveryMode) -> Self {
        self.delivery = Some(delivery);
        self
    }
}

#[derive(Serialize, Deserialize)]
struct ContactRow {
    number: u32,
    contact: Contact,
}

/// A member with what this node knows of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The member's id.
    pub id: MemberId,
    /// Registration number at this node: short, for people; 0 where this node has none.
    pub number: u32,
    /// What people call them.
    pub contact: Contact,
    /// What the ledger says.
    pub entry: MemberEntry,
    /// Since when their keys are suspended, if they are.
    pub suspended: Option<Suspension>,
}

/// What registering returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The new member's id.
    pub member: MemberId,
    /// Registration number at this node.
    pub number: u32,
    /// The record that registered them.
    pub record: RecordId,
}

/// Why a member was not registered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The address is no address.
    #[error(transparent)]
    Address(#[from] NotifyError),
    /// The identity could not be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The name is empty or too long.
    #[error("a name has 1 to 200 characters, found {found}")]
    Name {
        /// Characters found.
        found: usize,
    },
    /// The name shows nothing.
    #[error(
        "a name has 1 to 200 characters that are not all spaces, found {found} that show nothing"
    )]
    Blank {
        /// Characters found.
        found: usize,
    },
    /// The name begins or ends with a space.
    #[error("a name does not begin or end with a space, found {found:?}")]
    Spaces {
        /// The name.
        found: String,
    },
    /// The name holds a character that controls what shows it, or hides.
    #[error("a name is a line of visible characters, found {found:?}")]
    Character {
        /// The first such character.
        found: char,
    },
    /// The identity file could not be written.
    #[error("identity file {path}: {source}")]
    IdentityFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed; nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an identity was not unlocked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// There is no file for this member here.
    #[error("no identity file of member {0} in this ledger's folder")]
    Missing(MemberId),
    /// The file is that of somebody else, put in this member's place.
    #[error("the identity file of member {wanted} holds the identity of {found}")]
    OtherMember {
        /// Whose it should be.
        wanted: MemberId,
        /// Whose it is.
        found: MemberId,
    },
    /// Wrong password, or the file is damaged.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// The file cannot be read.
    #[error("identity file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

impl Ledger {
    /// Registers a member who holds their own identity: the hospital signs, the member proves
    /// possession, and a patient enrols at the hospital in the same step.
    ///
    /// # Errors
    /// See [`RegisterError`]; `Submit` when the chain refuses, for example a member registered twice.
    pub fn register(
        &self,
        hospital: &Identity,
        member: &Identity,
        role: Role,
        contact: &Contact,
    ) -> Result<Registration, RegisterError> {
        self.register_with(hospital, member, role, Custody::Own, contact)
    }

    fn register_with(
        &self,
        hospital: &Identity,
        member: &Identity,
        role: Role,
        custody: Custody,
        contact: &Contact,
    ) -> Result<Registration, RegisterError> {
        check_contact(contact)?;
        let registrar = hospital.id();
        let register = Register {
            member: member.public().clone(),
            role,
            custody,
            proof: member.prove_possession(&self.chain(), &registrar),
        };
        let mut records = vec![self.sign(hospital, register)];
        if role == Role::Patient {
            let key = member.collection_key(&registrar, 1).public_key();
            records.push(self.sign(member, Enrol { hospital: registrar, epoch: 1, key }));
        }
        let record = records[0].id();
        let welcome = self.welcome(hospital, role, &member.id(), &member.public().hpke_key())?;
        let number = self.accept(&records, |unit| {
            if let Some((place, kept)) = &welcome {
                self.put_secret(unit, place, kept)?;
            }
            Ok::<_, RegisterError>(set_contact(unit, self.node_key(), &member.id(), contact)?)
        })?;
        Ok(Registration { member: member.id(), number, record })
    }

    /// Makes an identity, locks it with `password` into this ledger's folder and registers it, in the
    /// custody of the hospital. The way for people without software of their own.
    ///
    /// # Errors
    /// See [`RegisterError`]. When registering fails, the file is removed again.
    pub fn add_member(
        &self,
        hospital: &Identity,
        role: Role,
        contact: &Contact,
        password: &str,
    ) -> Result<(Identity, Registration), RegisterError> {
        check_contact(contact)?;
        let identity = Identity::generate(&mut self.rng());
        let path = save_identity(self.folder(), &identity, password, &self.lock_params)?;
        match self.register_with(hospital, &identity, role, Custody::Hospital, contact) {
            Ok(registration) => Ok((identity, registration)),
            Err(error) => {
                // Best effort: an identity nobody registered opens nothing.
                let _ = std::fs::remove_file(path);
                Err(error)
            }
        }
    }

    /// Unlocks a member's identity file of this ledger's folder.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn unlock(&self, member: &MemberId, password: &str) -> Result<Identity, IdentityError> {
        unlock_bytes(&self.identity_file(member)?, member, password)
    }

    /// Whose locked identity files lie in this ledger's folder. What is something else there, or
    /// cannot be read, is passed over.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn local_identities(&self) -> std::io::Result<Vec<MemberId>> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(self.folder().join(IDENTITIES))? {
            let path = entry?.path();
            // Not opened unless it is a file: a pipe would wait for ever.
            if path.metadata().is_ok_and(|found| found.is_file())
                && let Ok(bytes) = read_bounded(&path, limit::LOCKED_IDENTITY_BYTES)
                && let Ok(info) = peek(&bytes)
            {
                ids.push(info.id);
            }
        }
        ids.sort_unstable();
        // Keys that succeed lie beside those before.
        ids.dedup();
        Ok(ids)
    }

    fn contact_row(
        &self,
        view: &dyn View,
        member: &MemberId,
    ) -> Result<Option<ContactRow>, StoreError> {
        contact_row(view, self.node_key(), member)
    }

    /// The highest registration number that was given here; 0 when none was. Contacts that do not open are passed over.
    pub(crate) fn highest_number(&self, view: &dyn View) -> Result<u32, StoreError> {
        let mut highest = 0;
        for (key, _) in view.local_scan(Drawer::Contacts, &[], None, usize::MAX)? {
            let Ok(member) = MemberId::try_from(key.as_slice()) else { continue };
            match self.number(view, &member) {
                Ok(number) => highest = highest.max(number),
                Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(highest)
    }

    pub(crate) fn describe_member(
        &self,
        view: &dyn View,
        id: MemberId,
        entry: MemberEntry,
    ) -> Result<Member, StoreError> {
        let (number, contact) = self
            .contact_row(view, &id)?
            .map_or((0, Contact::named(id.to_string())), |row| (row.number, row.contact));
        let suspended = suspension(view, &entry)?;
        Ok(Member { id, number, contact, entry, suspended })
    }

    /// What people call a member; the id where nobody told this node.
    pub(crate) fn contact(&self, view: &dyn View, id: &MemberId) -> Result<Contact, StoreError> {
        contact_of(view, self.node_key(), id)
    }

    pub(crate) fn number(&self, view: &dyn View, id: &MemberId) -> Result<u32, StoreError> {
        Ok(self.contact_row(view, id)?.map_or(0, |row| row.number))
    }

    /// The member whose keys these are, accepted ones included. An identity that merely claims a
    /// member's id is nobody: it is told nothing and costs nothing but this look.
    pub(crate) fn authenticate(
        &self,
        identity: &Identity,
    ) -> Result<Option<MemberEntry>, StoreError> {
        Ok(self.acting(identity)?.ok())
    }

    /// The same, or why these keys act for nobody: in the words that the chain has for it.
    pub(crate) fn acting(
        &self,
        identity: &Identity,
    ) -> Result<Result<MemberEntry, VoidCode>, StoreError> {
        let view = self.view()?;
        let mut found = None;
        self.engine().with_pending(view.as_ref(), &mut |state| {
            found = State::new(state).member(&identity.id())?;
            Ok(())
        })?;
        Ok(match found {
            None => Err(VoidCode::UnknownAuthor),
            // Former keys, or anybody's who claims the id, are nobody's.
            Some(entry) if entry.identity != *identity.public() => Err(VoidCode::UnknownAuthor),
            Some(entry) if entry.suspended.is_some() => Err(VoidCode::Suspended),
            Some(entry) => Ok(entry),
        })
    }

    /// Every member, those accepted but not yet mined included, by registration number.
    ///
    /// # Errors
    /// When the store fails.
    pub fn members(&self) -> Result<Vec<Member>, StoreError> {
        let view = self.view()?;
        let mut members = Vec::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            for (id, entry) in State::new(state).members()? {
                members.push(self.describe_member(view.as_ref(), id, entry)?);
            }
            Ok(())
        })?;
        members.sort_by_key(|member| (member.number, member.id));
        Ok(members)
    }
}

/// Folder of locked identity files in a ledger's folder.
pub(crate) const IDENTITIES: &str = "identities";

/// Unlocks a member's identity file of a ledger's folder.
pub(crate) fn unlock_in(
    folder: &Path,
    member: &MemberId,
    password: &str,
) -> Result<Identity, IdentityError> {
    let path = crate::identity_file::path_of(folder, member);
    let read = read_bounded(&path, limit::LOCKED_IDENTITY_BYTES);
    let bytes = read.map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => IdentityError::Missing(*member),
        _ => IdentityError::Io { path: path.clone(), source },
    })?;
    unlock_bytes(&bytes, member, password)
}

fn unlock_bytes(
    bytes: &[u8],
    member: &MemberId,
    password: &str,
) -> Result<Identity, IdentityError> {
    let identity = identity::unlock(bytes, password)?;
    // A file put in another's place would act as somebody else.
    let found = identity.id();
    if found == *member {
        Ok(identity)
    } else {
        Err(IdentityError::OtherMember { wanted: *member, found })
    }
}

/// Locks an identity with a password into a file of a ledger's folder.
pub(crate) fn save_identity(
    folder: &Path,
    identity: &Identity,
    password: &str,
    params: &LockParams,
) -> Result<PathBuf, RegisterError> {
    let path = crate::identity_file::path_of(folder, &identity.id());
    let locked = identity::lock(identity, password, params, &mut os_rng())?;
    crate::files::write_private(&path, &locked)
        .map_err(|source| RegisterError::IdentityFile { path: path.clone(), source })?;
    Ok(path)
}

/// Notes what people call a member; gives the registration number, a new one the first time.
pub(crate) fn set_contact(
    unit: &mut dyn Unit,
    node_key: &NodeKey,
    member: &MemberId,
    contact: &Contact,
) -> Result<u32, StoreError> {
    let number = match contact_row(unit, node_key, member)? {
        Some(row) => row.number,
        None => next_number(unit, Drawer::Node, LAST_MEMBER)?,
    };
    let row = ContactRow { number, contact: contact.clone() };
    let plain = zeroize::Zeroizing::new(cbor::encode(&row));
    let key = member.as_bytes();
    let sealed = node_key.seal(Drawer::Contacts, key, &plain, &mut os_rng());
    unit.set_local(Drawer::Contacts, key, Some(&sealed))?;
    Ok(number)
}

fn contact_row(
    view: &dyn View,
    node_key: &NodeKey,
    member: &MemberId,
) -> Result<Option<ContactRow>, StoreError> {
    let Some(sealed) = view.local(Drawer::Contacts, member.as_bytes())? else {
        return Ok(None);
    };
    let plain = node_key.unseal(Drawer::Contacts, member.as_bytes(), &sealed)?;
    let row = cbor::decode(&plain, 4096)
        .map_err(|error| StoreError::Damaged(format!("contact of {member}: {error}")))?;
    Ok(Some(row))
}

/// What people call a member; the id where nobody told this node.
pub(crate) fn contact_of(
    view: &dyn View,
    node_key: &NodeKey,
    id: &MemberId,
) -> Result<Contact, StoreError> {
    let row = contact_row(view, node_key, id)?;
    Ok(row.map_or_else(|| Contact::named(id.to_string()), |row| row.contact))
}

pub(crate) fn check_contact(contact: &Contact) -> Result<(), RegisterError> {
    let found = contact.name.chars().count();
    if found == 0 || found > 200 {
        return Err(RegisterError::Name { found });
    }
    if let Some(found) = contact.name.chars().find(|c| is_refused_in_name(*c)) {
        return Err(RegisterError::Character { found });
    }
    if is_blank(&contact.name) {
        return Err(RegisterError::Blank { found });
    }
    if has_outer_spaces(&contact.name) {
        return Err(RegisterError::Spaces { found: contact.name.clone() });
    }
    contact.email.as_deref().map_or(Ok(()), mail::check_address)?;
    Ok(())
}

/// Row of the last registration number.
pub(crate) const LAST_MEMBER: &[u8] = b"last-member";

/// Counts from 1, in a row of its own.
pub(crate) fn next_number(
    unit: &mut dyn Unit,
    drawer: Drawer,
    row: &[u8],
) -> Result<u32, StoreError> {
    let last = unit.local(drawer, row)?.unwrap_or_else(|| vec![0; 4]);
    let next = <[u8; 4]>::try_from(last.as_slice())
        .ok()
        .and_then(|last| u32::from_be_bytes(last).checked_add(1))
        .ok_or_else(|| StoreError::Damaged("a counter of this node".into()))?;
    unit.set_local(drawer, row, Some(&next.to_be_bytes()))?;
    Ok(next)
}
