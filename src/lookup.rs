//! From what people type to what is meant: numbers, ids, the beginning of an id, labels.

use crate::exit::{Failure, Result};
use medledger::core::registry::Kind;
use medledger::core::store::RecordQuery;
use medledger::{GrantId, Group, Ledger, Member, OpenReportError, RecordId, ReportId};

/// Fewer characters of an id are more likely a slip than a name.
const LEAST_PREFIX: usize = 4;

/// Digits alone are a registration number if they are fewer than this, else the beginning of an id.
const LEAST_DIGITS_OF_ID: usize = 8;

/// The registration number that a text is, whether or not a member has it.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && text.len() < LEAST_DIGITS_OF_ID).then(|| text.parse().ok()).flatten()
}

/// The member with this registration number, this id, or an id that begins so.
pub(crate) fn member(ledger: &Ledger, text: &str) -> Result<Member> {
    let members = ledger.members()?;
    let found = match number(text) {
        // Members of other hospitals have no number here, and are listed with 0.
        Some(0) => {
            let message = "0 is nobody's number: members of other hospitals are named by their ids";
            Err(Failure::not_found("no_member", message))
        }
        Some(number) => {
            members.into_iter().find(|member| member.number == number).ok_or_else(|| {
                Failure::not_found("no_member", format!("there is no member number {number} here"))
            })
        }
        None => {
            let ids = members.into_iter().map(|member| (member.id.to_string(), member));
            pick("member", text, ids)
        }
    };
    found.map_err(|failure| match failure.code() {
        "no_member" => failure.hint("`medledger member list` shows all with their numbers"),
        _ => failure,
    })
}

/// The report with this id or label, or whose id begins so. A whole id need not be known here.
pub(crate) fn report(ledger: &Ledger, text: &str) -> Result<ReportId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
    let entries = ledger.log(&query)?;
    let labelled: Vec<ReportId> = entries
        .iter()
        .filter(|entry| entry.label.as_deref() == Some(text))
        .filter_map(|entry| entry.report)
        .collect();
    match labelled.as_slice() {
        [] => {}
        [one] => return Ok(*one),
        several => return Err(ambiguous("report", text, several.iter().map(ToString::to_string))),
    }
    let ids = entries.into_iter().filter_map(|entry| entry.report).map(|id| (id.to_string(), id));
    pick("report", text, ids).map_err(|failure| match failure.code() {
        "no_report" => failure.hint("`medledger reports --as MEMBER` lists theirs"),
        _ => failure,
    })
}

/// The same for who wants to read it. A name that is no report's is answered like a report that they may not read.
pub(crate) fn report_to_read(ledger: &Ledger, text: &str) -> Result<ReportId> {
    report(ledger, text).map_err(|failure| match failure.code() {
        "no_report" => OpenReportError::NoAccess.into(),
        _ => failure,
    })
}

/// The record with this id, or whose id begins so; only of one kind if one is given.
pub(crate) fn record(ledger: &Ledger, text: &str, kind: Option<Kind>) -> Result<RecordId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let records = ledger.view()?.find(&RecordQuery { kind, ..RecordQuery::default() })?;
    let what = if kind == Some(Kind::RequestAccess) { "request" } else { "record" };
    pick(what, text, records.iter().map(|record| (record.id.to_string(), record.id)))
}

/// The grant with this id, or whose id begins so. A whole id need not be known here.
pub(crate) fn grant(ledger: &Ledger, text: &str) -> Result<GrantId> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let mut ids = Vec::new();
    for kind in [Kind::Grant, Kind::Delegate] {
        let query = RecordQuery { kind: Some(kind), ..RecordQuery::default() };
        for stored in ledger.view()?.find(&query)? {
            let signed = stored.signed()?;
            let id = GrantId::derive(&signed.record().author, &signed.record().nonce);
            ids.push((id.to_string(), id));
        }
    }
    pick("grant", text, ids.into_iter())
}

/// The group with this id or name, or whose id begins so. Groups of before may be named like another one's id: a whole id
/// goes before names, and a name that the id of another group begins with is ambiguous.
pub(crate) fn group(ledger: &Ledger, text: &str) -> Result<Group> {
    let mut groups = ledger.groups()?;
    let called = groups.iter().map(|group| (group.id.to_string(), group.name.as_str()));
    let called: Vec<_> = called.collect();
    let found = group_called(text, &called)?;
    Ok(groups.swap_remove(found))
}

/// Which of these groups, by ids and names, is meant.
fn group_called(text: &str, groups: &[(String, &str)]) -> Result<usize> {
    let lower = text.to_ascii_lowercase();
    if let Some(found) = groups.iter().position(|(id, _)| *id == lower) {
        return Ok(found);
    }
    let begins = |id: &str| lower.len() >= LEAST_PREFIX && id.starts_with(&lower);
    if groups.iter().any(|(_, name)| *name == text) {
        let meant = |found: &usize| groups[*found].1 == text || begins(&groups[*found].0);
        let meant: Vec<usize> = (0..groups.len()).filter(meant).collect();
        return match meant.as_slice() {
            [one] => Ok(*one),
            several => {
                Err(ambiguous("group", text, several.iter().map(|found| groups[*found].0.clone())))
            }
        };
    }
    let ids = groups.iter().enumerate().map(|(found, (id, _))| (id.clone(), found));
    pick("group", text, ids).map_err(|failure| match failure.code() {
        "no_group" => failure.hint("`medledger group list` shows all"),
        _ => failure,
    })
}

/// The one thing whose id begins with `text`.
fn pick<T>(what: &'static str, text: &str, all: impl Iterator<Item = (String, T)>) -> Result<T> {
    let shown: String = text.chars().take(80).collect();
    let prefix = text.to_ascii_lowercase();
    let hex = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let none = || {
        let code = match what {
            "member" => "no_member",
            "report" => "no_report",
            "request" => "no_request",
            "grant" => "no_grant",
            "group" => "no_group",
            _ => "no_record",
        };
        Failure::not_found(code, format!("there is no {what} {shown:?} here"))
    };
    if !hex {
        return Err(none());
    }
    let mut found: Vec<(String, T)> = all.filter(|(id, _)| id.starts_with(&prefix)).collect();
    if prefix.len() < LEAST_PREFIX && !found.is_empty() {
        return Err(Failure::usage(
            "short_id",
            format!("{shown:?} is too short: name a {what} by {LEAST_PREFIX} characters or more"),
        ));
    }
    match found.len() {
        0 => Err(none()),
        1 => Ok(found.remove(0).1),
        _ => Err(ambiguous(what, text, found.into_iter().map(|(id, _)| id))),
    }
}

fn ambiguous(what: &str, text: &str, ids: impl Iterator<Item = String>) -> Failure {
    let ids: Vec<String> = ids.collect();
    let mut shown = ids.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ");
    if ids.len() > 4 {
        shown.push_str(", …");
    }
    let message = format!("{text:?} fits {} {what}s: {shown}", ids.len());
    Failure::usage("ambiguous", message).hint("give more characters of the id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_digits_are_always_a_number_and_many_never() {
        assert_eq!(number("3"), Some(3));
        assert_eq!(number("0000009"), Some(9));
        assert_eq!(number("1234567"), Some(1_234_567));
        for other in ["", "12345678", "00000003", "+3", "-3", "3a", "abcd", "٣"] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn a_group_named_like_anothers_id_does_not_take_its_place() {
        let (board, other) = ("abcd0123".to_owned(), "ffff4567".to_owned());
        let named = |name| [(board.clone(), "board"), (other.clone(), name)];
        let code = |text, name| group_called(text, &named(name)).unwrap_err().code().to_owned();
        assert_eq!(group_called("board", &named("new")).unwrap(), 0);
        assert_eq!(group_called("FFFF", &named("new")).unwrap(), 1);
        assert_eq!(group_called("abcd0123", &named("abcd0123")).unwrap(), 0);
        assert_eq!(code("abcd", "abcd"), "ambiguous");
        assert_eq!(code("board", "board"), "ambiguous");
        assert_eq!(code("nurses", "board"), "no_group");
    }

    #[test]
    fn a_prefix_names_one_thing_or_says_why_not() {
        let all =
            || ["abcd01", "abcd02", "ef0123"].into_iter().map(|id| (id.to_owned(), id.to_owned()));
        assert_eq!(pick("grant", "EF01", all()).unwrap(), "ef0123");
        let code = |text| pick("grant", text, all()).unwrap_err().code().to_owned();
        assert_eq!(code("abcd"), "ambiguous");
        assert_eq!(code("ef"), "short_id");
        assert_eq!(code("beef"), "no_grant");
        assert_eq!(code("ghij"), "no_grant");
        assert_eq!(code(""), "no_grant");
    }
}
