//! What `approve`, `share` and `delegate` have in common: what is permitted to whom, and how it is shown.

use crate::context::Handover;
use crate::exit::{Failure, Result};
use crate::lookup;
use crate::output::{Done, Show, fields, short};
use clap::Args;
use medledger::core::record::{Grantee, ReportList, Scope};
use medledger::core::state::State;
use medledger::{Approved, GrantId, Ledger, Reader, ReaderKey, ReportId, show_time};
use serde::Serialize;
use std::io::{self, Write};
use zeroize::Zeroizing;

/// Which reports are meant.
#[derive(Args, Debug)]
pub(super) struct ScopeArgs {
    /// The reports
    #[arg(value_name = "REPORT", conflicts_with = "collection")]
    reports: Vec<String>,
    /// All of the patient's reports at a hospital, present and future [default: this hospital]
    #[arg(long, value_name = "HOSPITAL", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "an option whose value may be left out")]
    collection: Option<Option<String>>,
}

impl ScopeArgs {
    /// Whether nothing is named.
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty() && self.collection.is_none()
    }

    /// Whether all reports at a hospital are meant.
    pub(super) const fn is_collection(&self) -> bool {
        self.collection.is_some()
    }

    /// The reports that are named, each once.
    pub(super) fn reports(&self, ledger: &Ledger) -> Result<Vec<ReportId>> {
        reports(ledger, &self.reports)
    }

    /// What one grant can cover.
    pub(super) fn scope(&self, ledger: &Ledger) -> Result<Scope> {
        match &self.collection {
            Some(None) => Ok(Scope::Collection(ledger.hospital())),
            Some(Some(named)) => match lookup::member(ledger, named) {
                Ok(hospital) => Ok(Scope::Collection(hospital.id)),
                Err(_) if lookup::report(ledger, named).is_ok_and(|id| is_known(ledger, &id)) => {
                    let text = format!("{named} is a report, and --collection takes a hospital");
                    Err(Failure::usage("arguments", text)
                        .hint("leave --collection away for reports that are named, or its value for this hospital"))
                }
                Err(failure) => Err(failure),
            },
            None => scope_of(self.reports(ledger)?),
        }
    }
}

/// Whether there is such a report: whatever looks like an id may be one.
fn is_known(ledger: &Ledger, report: &ReportId) -> bool {
    let known = |view: Box<dyn medledger::core::store::View + '_>| {
        State::new(view.as_ref()).report(report).is_ok_and(|found| found.is_some())
    };
    ledger.view().is_ok_and(known)
}

/// The reports these texts name, each once, in ascending order.
pub(super) fn reports(ledger: &Ledger, texts: &[String]) -> Result<Vec<ReportId>> {
    let found = texts.iter().map(|text| lookup::report(ledger, text)).collect::<Result<Vec<_>>>();
    let mut found = found?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// These reports as what one grant covers.
pub(super) fn scope_of(mut reports: Vec<ReportId>) -> Result<Scope> {
    match reports.len() {
        0 => Err(Failure::usage("arguments", "no report is named")
            .hint("name one or more, or give --collection")),
        1 => Ok(Scope::Report(reports.remove(0))),
        _ => ReportList::new(reports)
            .map(Scope::Reports)
            .map_err(|error| Failure::usage("reports", error.to_string())),
    }
}

/// Whom to permit.
#[derive(Args, Debug)]
pub(super) struct ReaderArgs {
    /// Who may read
    #[arg(long, value_name = "MEMBER", required_unless_present = "group")]
    with: Option<String>,
    /// Everyone of a group may read, now and later; each opens with their identity
    #[arg(long, value_name = "GROUP", conflicts_with = "with")]
    group: Option<String>,
}

impl ReaderArgs {
    pub(super) fn get(&self, ledger: &Ledger) -> Result<Reader> {
        match (&self.with, &self.group) {
            (Some(member), _) => Ok(lookup::member(ledger, member)?.id.into()),
            (None, Some(group)) => Ok(lookup::group(ledger, group)?.id.into()),
            (None, None) => Err(Failure::usage("arguments", "give --with or --group")),
        }
    }
}

pub(super) const fn reader_key(to_identity: bool) -> ReaderKey {
    if to_identity { ReaderKey::Identity } else { ReaderKey::Access }
}

/// What a grant covers.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Covers {
    /// `report`, `reports` or `collection`.
    scope: &'static str,
    /// The report, if it is one.
    report: Option<String>,
    /// Every report that is named.
    reports: Vec<String>,
    /// The hospital of the collection.
    hospital: Option<String>,
}

impl From<&Scope> for Covers {
    fn from(scope: &Scope) -> Self {
        let name = match scope {
            Scope::Report(_) => "report",
            Scope::Reports(_) => "reports",
            Scope::Collection(_) => "collection",
        };
        let hospital = match scope {
            Scope::Collection(hospital) => Some(hospital.to_string()),
            _ => None,
        };
        let reports: Vec<_> = scope.reports().iter().map(ToString::to_string).collect();
        let report = (name == "report").then(|| reports.first().cloned()).flatten();
        Self { scope: name, report, reports, hospital }
    }
}

impl Covers {
    /// In a few words, for a column.
    pub(super) fn briefly(&self) -> String {
        match (&self.hospital, self.reports.as_slice()) {
            (Some(hospital), _) => format!("all at {}", short(hospital)),
            (None, [one]) => short(one),
            (None, several) => format!("{} reports", several.len()),
        }
    }

    /// As a field for people: its name and its value.
    pub(super) fn field(&self) -> (&'static str, String) {
        match &self.hospital {
            Some(hospital) => {
                ("collection", format!("all reports at {hospital}, also those to come"))
            }
            None if self.reports.len() == 1 => ("report", self.reports.join("\n")),
            None => ("reports", self.reports.join("\n")),
        }
    }

    /// As `medledger share` takes it.
    fn arguments(&self) -> String {
        match &self.hospital {
            Some(hospital) => format!("--collection {hospital}"),
            None => self.reports.join(" "),
        }
    }
}

/// Whom a grant is for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Who {
    /// The member, or the group.
    reader: String,
    /// `member` or `group`.
    reader_kind: &'static str,
}

impl From<&Grantee> for Who {
    fn from(grantee: &Grantee) -> Self {
        match grantee {
            Grantee::Member(member) => Reader::from(*member).into(),
            Grantee::Group(at) => Reader::from(at.group).into(),
        }
    }
}

impl From<Reader> for Who {
    fn from(reader: Reader) -> Self {
        match reader {
            Reader::Member(member) => Self { reader: member.to_string(), reader_kind: "member" },
            Reader::Group(group) => Self { reader: group.to_string(), reader_kind: "group" },
            _ => Self { reader: String::new(), reader_kind: "unknown" },
        }
    }
}

impl Who {
    pub(super) fn is_group(&self) -> bool {
        self.reader_kind == "group"
    }
}

/// A grant that was given.
#[derive(Serialize)]
pub(super) struct Granted {
    grant: String,
    record: String,
    #[serde(flatten)]
    covers: Covers,
    #[serde(flatten)]
    who: Who,
    purpose: &'static str,
    until: String,
    /// How many times it may be passed on.
    delegable: u8,
    /// The grant that was passed on with it.
    parent: Option<String>,
    #[serde(flatten)]
    handover: Handover,
    #[serde(skip)]
    reader_name: String,
}

impl Granted {
    /// Never fails: an access key may be in it that nothing else holds.
    pub(super) fn new(ledger: &Ledger, approved: Approved) -> Self {
        let Approved { grant, record, permission, delivery } = approved;
        let name = match permission.reader {
            Reader::Member(id) => lookup::member(ledger, &id.to_string()).map(|m| m.contact.name),
            Reader::Group(id) => lookup::group(ledger, &id.to_string()).map(|group| group.name),
            _ => Ok(String::new()),
        };
        let who = Who::from(permission.reader);
        Self {
            grant: grant.to_string(),
            record: record.to_string(),
            covers: Covers::from(&permission.scope),
            purpose: permission.purpose.name(),
            until: show_time(permission.until),
            delegable: permission.delegate,
            parent: None,
            handover: delivery.into(),
            reader_name: name.unwrap_or_else(|_| who.reader.clone()),
            who,
        }
    }

    pub(super) fn with_qr(mut self, qr: Option<Zeroizing<String>>) -> Self {
        self.handover = self.handover.with_qr(qr);
        self
    }

    /// The same, passed on from another grant.
    pub(super) fn from(self, parent: &GrantId) -> Self {
        Self { parent: Some(parent.to_string()), ..self }
    }

    /// What is done, should it be impossible to print.
    pub(super) fn done(&self) -> Done {
        let lost = self.handover.must_be_shown().then(|| {
            let (grant, reader) = (&self.grant, &self.who.reader);
            let again = match &self.parent {
                Some(parent) => format!("delegate {parent}"),
                None => format!("share {}", self.covers.arguments()),
            };
            format!(
                "take it back, `medledger revoke {grant}`, and permit it again, \
                 `medledger {again} --with {reader}`: that makes a new key"
            )
        });
        Done::accepted("the grant", &self.grant).with_key(lost)
    }
}

impl Show for Granted {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let reader = if self.who.is_group() { "group" } else { "reader" };
        let mut lines = vec![
            ("grant", self.grant.clone()),
            self.covers.field(),
            (reader, format!("{}  {}", self.who.reader, self.reader_name)),
            ("purpose", self.purpose.to_owned()),
            ("until", self.until.clone()),
        ];
        if self.delegable > 0 {
            lines.push(("may be passed on", times(self.delegable)));
        }
        lines.extend(self.parent.iter().map(|parent| ("passed on from", parent.clone())));
        lines.push(("record", self.record.clone()));
        fields(out, &lines)?;
        self.handover.show(out, &self.reader_name)
    }
}

fn times(count: u8) -> String {
    if count == 1 { "once".into() } else { format!("{count} times, by one after another") }
}
