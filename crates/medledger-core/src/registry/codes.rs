//! Kinds of records, roles, custody, purposes and outcome codes.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number or name that stands in no table of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {found:?}; known are {known}")]
pub struct UnknownCode {
    /// What was being read, such as "role".
    pub what: &'static str,
    /// What was found, cut to 40 characters.
    pub found: String,
    /// The codes there are.
    pub known: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, in_force: $in_force:literal;)*) => {
        /// What a record states. All are reserved from the first version on; a chain refuses those
        /// not yet in force, and a node that meets an unknown one says that it needs an update.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $name),* }

        impl Kind {
            /// Every kind, in order of its code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number that stands in the record.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            /// The kind with this number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            /// The name people see and type.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Whether a record of this kind can take effect today.
            #[must_use]
            pub const fn in_force(self) -> bool {
                match self { $(Self::$name => $in_force),* }
            }
        }
    };
}

kinds! {
    /// A hospital registers a member.
    Register = 1, "register", in_force: true;
    /// A member's keys are succeeded by new ones.
    Succeed = 2, "succeed", in_force: true;
    /// A member is suspended.
    Suspend = 3, "suspend", in_force: true;
    /// A quorum of hospitals admits or expels a hospital.
    Admit = 4, "admit", in_force: true;
    /// A patient enrols at a hospital and publishes a collection key for it.
    Enrol = 5, "enrol", in_force: true;
    /// A report is added.
    AddReport = 16, "add-report", in_force: true;
    /// A report gets a new version of its content.
    Amend = 17, "amend", in_force: false;
    /// A report gets a new key for the same content.
    Rotate = 18, "rotate", in_force: true;
    /// A report is erased.
    Erase = 19, "erase", in_force: false;
    /// Somebody asks to read a report.
    RequestAccess = 32, "request-access", in_force: true;
    /// A patient permits a reader.
    Grant = 33, "grant", in_force: true;
    /// A patient refuses a request.
    Refuse = 34, "refuse", in_force: true;
    /// A patient takes a grant back.
    Revoke = 35, "revoke", in_force: true;
    /// A reader passes a grant on.
    Delegate = 36, "delegate", in_force: true;
    /// A reader opens a report.
    Read = 48, "read", in_force: true;
    /// A reader opens a report in an emergency.
    BreakGlass = 49, "break-glass", in_force: false;
    /// A second person confirms a record.
    Confirm = 50, "confirm", in_force: true;
    /// A patient who lost a key recovers.
    Recover = 51, "recover", in_force: false;
    /// A hospital signs the root of its local audit log.
    AuditDigest = 52, "audit-digest", in_force: true;
    /// A group of readers and its epoch.
    Group = 64, "group", in_force: true;
    /// The height at which new rules hold.
    Upgrade = 80, "upgrade", in_force: false;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        find(Self::ALL, text, "kind", |kind| kind.name())
    }
}

/// The member of `all` that is called `text`.
fn find<T: Copy>(
    all: &[T],
    text: &str,
    what: &'static str,
    name: impl Fn(&T) -> &'static str,
) -> Result<T, UnknownCode> {
    all.iter().copied().find(|item| name(item) == text).ok_or_else(|| UnknownCode {
        what,
        found: text.chars().take(40).collect(),
        known: all.iter().map(name).collect::<Vec<_>>().join(", "),
    })
}

macro_rules! named {
    ($(#[$doc:meta])* $type:ident, $what:literal { $($(#[$item_doc:meta])* $name:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $type { $($(#[$item_doc])* #[serde(rename = $text)] $name),* }

        impl $type {
            /// Every value, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name that stands in records and that people type.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownCode;

            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                find(Self::ALL, text, $what, |item| item.name())
            }
        }
    };
}

named! {
    /// What a member may do.
    Role, "role" {
        /// Registers members, mines, keeps slots.
        Hospital = "hospital",
        /// Uploads, requests and opens reports.
        Doctor = "doctor",
        /// Requests and opens reports.
        Nurse = "nurse",
        /// Uploads reports.
        Lab = "lab",
        /// Decides who reads, and opens their own reports.
        Patient = "patient",
    }
}

impl Role {
    /// Whether a member of this role may add reports.
    #[must_use]
    pub const fn uploads(self) -> bool {
        matches!(self, Self::Doctor | Self::Lab)
    }

    /// Whether a member of this role may ask for, be granted and open other people's reports.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Doctor | Self::Nurse)
    }
}

named! {
    /// In whose hands a member's secret keys are, so that everyone can see it.
    Custody, "custody" {
        /// The member keeps them.
        Own = "self",
        /// The registering hospital keeps them, locked under the member's password.
        Hospital = "hospital",
    }
}

named! {
    /// Why somebody reads: codes of HL7 v3 `PurposeOfUse` (code system 2.16.840.1.113883.1.11.20448).
    Purpose, "purpose" {
        /// Treatment.
        Treatment = "TREAT",
        /// Emergency treatment.
        EmergencyTreatment = "ETREAT",
        /// Break the glass.
        BreakGlass = "BTG",
        /// Care management.
        CareManagement = "CAREMGT",
        /// Coordination of care.
        Coordination = "COC",
        /// Payment.
        Payment = "HPAYMT",
        /// Healthcare operations.
        Operations = "HOPERAT",
        /// Healthcare research.
        Research = "HRESCH",
        /// Public health.
        PublicHealth = "PUBHLTH",
        /// Patient requested.
        PatientRequested = "PATRQT",
        /// Family requested.
        FamilyRequested = "FAMRQT",
        /// Legal.
        Legal = "HLEGAL",
    }
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a record is void: ordered, but without effect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
        #[non_exhaustive]
        pub enum VoidCode { $($(#[$doc])* #[error($text)] $name),* }

        impl VoidCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number stored and shown beside the text.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            /// The outcome with this number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

outcomes! {
    /// The chain in the record is not this one.
    WrongChain = 1, "the record is for another chain";
    /// A record with this id took effect before.
    Replayed = 2, "the record is already on this chain";
    /// The kind is reserved, but not in force.
    NotInForce = 3, "records of this kind are not yet in force";
    /// The author is no member.
    UnknownAuthor = 4, "the author is not a registered member";
    /// The signature is not the author's.
    BadSignature = 5, "the signature does not verify under the author's key";
    /// The author's role does not permit this.
    RoleNotAllowed = 6, "the author's role does not permit this";
    /// The member is registered already.
    AlreadyRegistered = 7, "the member is already registered";
    /// The new key's holder did not sign the registration.
    NoPossession = 8, "the registration lacks the new member's own signature";
    /// Members of this role are not registered but admitted.
    NotRegistrable = 9, "members of this role cannot be registered by one hospital";
    /// The member named is not registered.
    UnknownMember = 10, "the member named is not registered";
    /// The member named has another role than needed.
    WrongRole = 11, "the member named does not have the role this needs";
    /// The patient is enrolled there, with this epoch or a later one.
    AlreadyEnrolled = 12, "the patient is already enrolled there";
    /// The patient is not enrolled at the author's hospital.
    NotEnrolled = 13, "the patient is not enrolled at the hospital";
    /// The report exists already.
    ReportExists = 14, "a report with this id exists already";
    /// There is no such report.
    UnknownReport = 15, "there is no such report, or it is not yours to act on";
    /// The same reader's request for the same report waits already.
    RequestPending = 16, "a request of the same reader for the same report is waiting";
    /// There is no such waiting request.
    UnknownRequest = 17, "there is no such waiting request, or it is not yours to answer";
    /// The time given is not in the future.
    Expired = 18, "the time given has passed";
    /// The time given is further away than the chain allows.
    TooLong = 19, "the time given is further away than this chain allows";
    /// The grant exists already.
    GrantExists = 20, "a grant with this id exists already";
    /// There is no such grant for this author.
    UnknownGrant = 21, "there is no such grant, or it is not yours to use";
    /// The grant was revoked, perhaps before it arrived.
    Revoked = 22, "the grant is revoked";
    /// The grant answers a request that asked for something else.
    RequestMismatch = 23, "the grant does not answer the request it names";
    /// The version read does not exist.
    UnknownVersion = 24, "the report has no such version";
    /// The envelope's CID is not that of a DAG-CBOR node.
    NotAnEnvelope = 25, "the envelope's CID is not that of a DAG-CBOR node";
    /// The grant may not be passed on, or not further.
    NotDelegable = 26, "the grant may not be passed on";
    /// What is passed on is wider than the grant.
    TooWide = 27, "what is passed on is wider than the grant: in what it covers, until when, or how often";
    /// There is no such group of this author.
    UnknownGroup = 28, "there is no such group, or it is not yours to change";
    /// The group exists already.
    GroupExists = 29, "a group with this id exists already, or one for this role";
    /// The epoch is neither the present one nor, where that is what happens, the next.
    WrongEpoch = 30, "the epoch does not fit the present one";
    /// Members that cannot join or leave this way.
    WrongMembers = 31, "the members named cannot join or leave this way";
    /// Nothing waits for this confirmation by this author.
    UnknownConfirmation = 32, "nothing of this kind waits for your confirmation";
    /// A single-writer log has its one hospital for ever.
    OneWriter = 33, "a single-writer log neither admits nor expels hospitals";
    /// The hospitals change at most once in a block.
    ChangedInBlock = 34, "the hospitals have changed in this block already";
    /// The change is for other hospitals than the present ones.
    OtherSet = 35, "the change was approved for another set of hospitals";
    /// Two hospitals would have one mining key.
    MiningKeyTaken = 36, "the mining key is that of another hospital";
    /// Too few or too many hospitals would be left.
    HospitalCount = 37, "so few or so many hospitals cannot run this chain";
    /// An approval is out of order, of nobody who may approve, or wrongly signed.
    WrongApproval = 38, "an approval is no other hospital's, is out of order, or does not verify";
    /// No quorum has approved.
    TooFewApprovals = 39, "fewer than a quorum of the hospitals have approved";
    /// The hospital named was expelled.
    Expelled = 46, "the hospital is no member any more";
    /// The author's keys are suspended.
    Suspended = 40, "the author's keys are suspended";
    /// The new key is of a weaker algorithm than the one before.
    KeyDowngrade = 41, "the new key is of a weaker algorithm than the one before";
    /// The present keys of a suspended patient did not sign the succession, or a signature stands where none belongs.
    NoConsent = 42, "the succession of suspended keys lacks the patient's consent, or has one that none asked for";
    /// Only suspended keys are succeeded by the hospital.
    NotSuspended = 43, "the member's keys are not suspended, so only the member can succeed them";
    /// The member's keys are suspended already.
    AlreadySuspended = 44, "the member's keys are suspended already";
    /// The new keys are the present ones.
    SameKeys = 45, "one of the new keys is the present one";
    /// A group whose key lay with keys that were lost.
    StaleGroup = 47, "a member of the group lost their keys, and the group has had no next key since";
    /// Only the member and the hospital that registered them do this.
    NotRegistrar = 48, "the author is neither the member nor the hospital that registered them";
    /// The grant may be passed on more often than any.
    TooDeep = 49, "the grant may be passed on more often in a row than 3 times";
    /// Whoever has lost keys would be given more.
    SuspendedReader = 50, "the reader's keys are suspended";
    /// The audit digest takes back what one before it said.
    AuditShrinks = 60, "the digest covers less of the audit log than one before it, or contradicts it";
    /// The audit digest begins after its end.
    AuditRange = 61, "the digest begins after its end";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_code(kind.code()), Some(*kind));
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
        for code in VoidCode::ALL {
            assert_eq!(VoidCode::from_code(code.code()), Some(*code));
        }
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(*role));
            let bytes = crate::cbor::encode(role);
            assert_eq!(crate::cbor::decode::<Role>(&bytes, 20), Ok(*role));
        }
        assert_eq!(Kind::from_code(0), None);
        assert_eq!(
            "king".parse::<Role>().unwrap_err().to_string(),
            "unknown role \"king\"; known are hospital, doctor, nurse, lab, patient"
        );
    }
}
