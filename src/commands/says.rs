//! What a record says, for people and programs; ids only, since nothing else is in a record.

use medledger::core::record::{Body, Grantee, HospitalChange, Record, Scope};
use medledger::{GrantId, GroupId, MemberId, ReportId, show_time};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// One thing that a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Said {
    Text(String),
    Number(u64),
    /// Several of a kind, such as the reports of a grant.
    Several(Vec<String>),
}

impl fmt::Display for Said {
    /// Several are a line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Several(all) => f.write_str(&all.join("\n")),
        }
    }
}

type Fields = BTreeMap<&'static str, Said>;

fn text(value: impl ToString) -> Said {
    Said::Text(value.to_string())
}

/// What a record says, by the names of its fields.
pub(crate) fn says(record: &Record) -> Fields {
    let (author, nonce) = (&record.author, &record.nonce);
    let mut said = Fields::new();
    match &record.body {
        Body::Register(body) => said.extend([
            ("member", text(body.member.member_id())),
            ("role", text(body.role.name())),
            ("custody", text(body.custody.name())),
        ]),
        Body::Succeed(body) => said.extend([
            ("member", text(body.member)),
            ("fingerprint", text(body.next.fingerprint())),
            ("consent", text(if body.consent.is_some() { "yes" } else { "no" })),
        ]),
        Body::Suspend(body) => said.extend([("member", text(body.member))]),
        Body::Admit(body) => {
            said.insert("approvals", Said::Number(body.approvals.len() as u64));
            match &body.change {
                HospitalChange::Admit(application) => {
                    said.insert("admitted", text(application.id()))
                }
                HospitalChange::Expel(hospital) => said.insert("expelled", text(hospital)),
            };
        }
        Body::AuditDigest(body) => said.extend([
            ("first", Said::Number(body.first)),
            ("size", Said::Number(body.size)),
            ("root", text(body.root)),
        ]),
        Body::Enrol(body) => said.extend([
            ("hospital", text(body.hospital)),
            ("epoch", Said::Number(body.epoch.into())),
        ]),
        Body::AddReport(body) => said.extend([
            ("report", text(ReportId::derive(author, nonce))),
            ("patient", text(body.patient)),
            ("envelope", text(body.envelope)),
        ]),
        Body::RequestAccess(body) => said.extend([
            ("report", text(body.report)),
            ("purpose", text(body.purpose.name())),
            ("until", text(show_time(body.until))),
        ]),
        Body::Grant(body) => {
            said.insert("grant", text(GrantId::derive(author, nonce)));
            permits(&mut said, &body.scope, &body.reader, body.delegate);
            said.extend([
                ("purpose", text(body.purpose.name())),
                ("until", text(show_time(body.until))),
                ("custodian", text(body.custodian)),
            ]);
        }
        Body::Delegate(body) => {
            said.insert("grant", text(GrantId::derive(author, nonce)));
            said.insert("parent", text(body.grant));
            permits(&mut said, &body.scope, &body.reader, body.delegate);
            said.insert("until", text(show_time(body.until)));
        }
        Body::Refuse(body) => said.extend([("request", text(body.request))]),
        Body::Revoke(body) => said.extend([("grant", text(body.grant))]),
        Body::Read(body) => {
            said.insert("report", text(body.report));
            said.extend(body.grant.map(|grant| ("grant", text(grant))));
        }
        Body::Group(body) => {
            let made = body.group.unwrap_or_else(|| GroupId::derive(author, nonce));
            said.insert("group", text(made));
            said.insert("epoch", Said::Number(body.epoch.into()));
            said.extend(body.role.map(|role| ("role", text(role.name()))));
            for (name, members) in [("joined", &body.add), ("left", &body.remove)] {
                if !members.is_empty() {
                    said.insert(name, several(members));
                }
            }
        }
        Body::Rotate(body) => said.extend([
            ("report", text(body.report)),
            ("version", Said::Number(body.version.into())),
            ("epoch", Said::Number(body.epoch.into())),
            ("envelope", text(body.envelope)),
        ]),
        Body::Confirm(body) => said.extend([("confirms", text(body.record))]),
        _ => {}
    }
    said
}

fn several(members: &[MemberId]) -> Said {
    Said::Several(members.iter().map(ToString::to_string).collect())
}

/// What a grant covers, for whom, and how often it may be passed on.
fn permits(said: &mut Fields, scope: &Scope, reader: &Grantee, delegate: u8) {
    match scope {
        Scope::Report(report) => said.insert("report", text(report)),
        Scope::Reports(list) => {
            let reports = list.as_slice().iter().map(ToString::to_string).collect();
            said.insert("reports", Said::Several(reports))
        }
        Scope::Collection(hospital) => said.insert("collection", text(hospital)),
    };
    match reader {
        Grantee::Member(member) => said.insert("reader", text(member)),
        Grantee::Group(at) => {
            said.insert("group_epoch", Said::Number(at.epoch.into()));
            said.insert("group", text(at.group))
        }
    };
    if delegate > 0 {
        said.insert("delegable", Said::Number(delegate.into()));
    }
}
