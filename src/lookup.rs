//! From what people type to what is meant: numbers, ids, the beginning of an id, labels.

use crate::exit::{Failure, Result};
use medledger::core::registry::Kind;
use medledger::core::store::RecordQuery;
use medledger::{GrantId, Ledger, Member, RecordId, ReportId};

/// Fewer characters of an id are more likely a slip than a name.
const LEAST_PREFIX: usize = 4;

/// The member with this registration number, this id, or an id that begins so.
pub(crate) fn member(ledger: &Ledger, text: &str) -> Result<Member> {
    let members = ledger.members()?.into_iter();
    let numbered = members.map(|member| (member.number, member.id.to_string(), member)).collect();
    pick_member(text, numbered).map_err(|failure| match failure.code() {
        "no_member" => failure.hint("`medledger member list` shows all with their numbers"),
        _ => failure,
    })
}

/// Digits may be a number or the beginning of an id: where they are both, nobody guesses.
fn pick_member<T>(text: &str, mut all: Vec<(u32, String, T)>) -> Result<T> {
    let number = text.parse::<u32>().ok().filter(|number| *number > 0);
    if let Some(at) = number.and_then(|n| all.iter().position(|(number, ..)| *number == n)) {
        // Fewer digits than an id is named by are no beginning of one.
        let other = all.iter().enumerate().find(|(other, (_, id, _))| {
            *other != at && text.len() >= LEAST_PREFIX && id.starts_with(text)
        });
        if let Some((_, (_, id, _))) = other {
            let message =
                format!("{text:?} is the number of member {} and begins id {id}", all[at].1);
            return Err(Failure::usage("ambiguous", message).hint("give more characters of the id"));
        }
        return Ok(all.swap_remove(at).2);
    }
    pick("member", text, all.into_iter().map(|(_, id, member)| (id, member)))
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
    let query = RecordQuery { kind: Some(Kind::Grant), ..RecordQuery::default() };
    let mut ids = Vec::new();
    for stored in ledger.view()?.find(&query)? {
        let signed = stored.signed()?;
        let id = GrantId::derive(&signed.record().author, &signed.record().nonce);
        ids.push((id.to_string(), id));
    }
    pick("grant", text, ids.into_iter())
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
    fn digits_are_a_number_or_the_beginning_of_an_id_but_never_both() {
        let all = || {
            let members = [(7, "12345678ab"), (1234, "99887766ab"), (0, "00070000ab")];
            members.into_iter().map(|(number, id)| (number, id.to_owned(), id)).collect::<Vec<_>>()
        };
        assert_eq!(pick_member("7", all()).unwrap(), "12345678ab");
        assert_eq!(pick_member("12345678", all()).unwrap(), "12345678ab");
        assert_eq!(pick_member("99887766", all()).unwrap(), "99887766ab");
        let code = |text| pick_member(text, all()).unwrap_err().code().to_owned();
        assert_eq!(code("1234"), "ambiguous");
        // A number padded with zeros is that number, and may begin an id as well.
        assert_eq!(code("0007"), "ambiguous");
        assert_eq!(code("5555"), "no_member");
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
