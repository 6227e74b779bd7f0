//! Rules of the chain that say no, each with what to do next.

use super::use_cases::SUSPENDED;
use crate::exit::Failure;
use crate::exit::Fault::Refused;
use medledger::core::registry::VoidCode;

/// A rule of the chain that says no. The code is the rule's name, such as `role_not_allowed`.
pub(super) fn void(code: VoidCode, message: String) -> Failure {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    let failure = Failure::new(Refused, name, message);
    match hint(code) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What to do next; a test asks for that of every code.
const fn hint(code: VoidCode) -> Option<&'static str> {
    Some(match code {
        VoidCode::WrongChain => {
            "it counts on its own chain only: `medledger status` shows the id of this one"
        }
        VoidCode::Replayed => "nothing is left to do: `medledger log` shows it",
        VoidCode::NotInForce => "nothing of this kind can be done on this chain yet",
        VoidCode::UnknownAuthor => {
            "these are no member's present keys: the hospital registers whom `medledger member list` does not show; \
             who was given new keys puts their file here with `medledger identity install FILE`"
        }
        VoidCode::BadSignature => {
            "the record was altered, or signed with other keys: have its author state it again"
        }
        VoidCode::RoleNotAllowed => {
            "`medledger member list` shows who has which role: name somebody who may with --as"
        }
        VoidCode::AlreadyRegistered => "`medledger member list` shows them",
        VoidCode::NoPossession => {
            "register anew with an identity made here: `medledger member add` makes one"
        }
        VoidCode::NotRegistrable => {
            "a hospital comes with a ledger of its own: `medledger hospital new`, then `hospital propose --admit`"
        }
        VoidCode::UnknownMember => {
            "`medledger member list` shows all; of those just registered elsewhere `medledger import news` hears"
        }
        VoidCode::WrongRole => {
            "`medledger member list` shows roles: doctors and nurses read, doctors and labs upload, and \
             reports are about patients"
        }
        VoidCode::AlreadyEnrolled => {
            "nothing is left to do; `medledger collection renew` moves the collection to its next key"
        }
        VoidCode::NotEnrolled => {
            "the patient enrols with `medledger collection enrol --as PATIENT`, in that hospital's folder"
        }
        VoidCode::ReportExists | VoidCode::GrantExists => {
            "repeat the command: it draws another id; `medledger log` shows what is there"
        }
        VoidCode::UnknownReport => "`medledger reports --as MEMBER` lists yours",
        VoidCode::RequestPending => "`medledger requests --as PATIENT` shows it",
        VoidCode::UnknownRequest => "`medledger requests --as PATIENT` lists them",
        VoidCode::Expired | VoidCode::TooLong => "give a time such as --until 30d, or a date",
        VoidCode::UnknownGrant | VoidCode::Revoked => {
            "`medledger reports --as MEMBER` lists grants; a new one comes with `medledger share`, or by \
             `medledger request` and `medledger approve`"
        }
        VoidCode::RequestMismatch => {
            "`medledger requests --as PATIENT` shows what was asked for; `medledger share` permits something else"
        }
        VoidCode::UnknownVersion => "repeat the command: it takes the version that is there now",
        VoidCode::NotAnEnvelope => "upload the report again: `medledger upload` makes its envelope",
        VoidCode::NotDelegable | VoidCode::TooDeep => {
            "the patient permits passing on with `medledger share --delegable N`, at most 3 times in a row"
        }
        VoidCode::TooWide => {
            "pass on no more than you have: `medledger reports --as MEMBER` shows your grants"
        }
        VoidCode::UnknownGroup => "`medledger group list` shows all",
        VoidCode::GroupExists => {
            "`medledger group list` shows it; a role has one group at a hospital"
        }
        VoidCode::WrongEpoch => {
            "another change was first: look with `medledger log`, then repeat the command"
        }
        VoidCode::WrongMembers => {
            "`medledger group list` shows who is in it: only doctors and nurses who are not in it join, only members of \
             it leave, and a group for a role takes nobody by name"
        }
        VoidCode::UnknownConfirmation => {
            "`medledger log --kind rotate` shows what waits, and what was confirmed already"
        }
        VoidCode::OneWriter => {
            "only a chain with proof of work has several hospitals: `medledger init` makes one"
        }
        VoidCode::ChangedInBlock => "mine a block with `medledger mine`, then repeat the command",
        VoidCode::OtherSet => {
            "the hospitals changed since: propose anew with `medledger hospital propose`"
        }
        VoidCode::MiningKeyTaken => {
            "that hospital needs a mining key of its own: `medledger hospital new` makes one"
        }
        VoidCode::HospitalCount => {
            "`medledger hospital list` shows them: one has to stay, or four and more as `medledger init --diversity` asks, and \
             at most 128 come; admit another before this one goes"
        }
        VoidCode::WrongApproval => {
            "have the hospitals approve the proposal anew: `medledger hospital approve`"
        }
        VoidCode::TooFewApprovals => {
            "`medledger hospital approve` adds another hospital's approval"
        }
        VoidCode::Expelled => {
            "`medledger hospital list` shows who is left; another hospital proposes to admit it again with \
             `medledger hospital propose --admit`"
        }
        VoidCode::Suspended => SUSPENDED,
        VoidCode::KeyDowngrade => {
            "make the new keys with this version of medledger: they are X-Wing keys then"
        }
        VoidCode::NoConsent => {
            "a patient's lost keys change with the patient only: --consent where the patient is here, or --consent-file \
             with what `medledger identity consent` wrote; nobody else's change asks for one"
        }
        VoidCode::NotSuspended => {
            "`medledger identity suspend MEMBER` suspends keys that were lost; a member who has theirs runs \
             `medledger identity succeed`"
        }
        VoidCode::AlreadySuspended => {
            "`medledger member list` shows since when; the hospital that registered the member gives them others with \
             `medledger identity replace`"
        }
        VoidCode::SameKeys => "make new keys: those at hand are in force already",
        VoidCode::StaleGroup => {
            "its hospital gives it a next key with `medledger group renew`; or take the permission back first"
        }
        VoidCode::NotRegistrar => {
            "the member does it, or the hospital that registered them: `medledger member list`"
        }
        VoidCode::SuspendedReader => {
            "the hospital that registered the reader gives them others first: `medledger identity replace`"
        }
        VoidCode::AuditShrinks | VoidCode::AuditRange => {
            "the audit log is older than what was signed, or damaged: `medledger audit verify` says which; an older \
             one was perhaps put back from a backup"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_says_what_to_do() {
        for code in VoidCode::ALL {
            let hint = hint(*code).unwrap_or_else(|| panic!("no hint for {code:?}"));
            let begins = hint.starts_with(|c: char| c.is_ascii_lowercase() || c == '`');
            assert!(begins && hint.len() > 20 && !hint.ends_with('.'), "{code:?}: {hint}");
            assert!(!hint.contains("  "), "{code:?}: {hint}");
        }
    }
}
