//! What a pinning service says, as its specification has it (Pinning Service API 1.0.0, `components/schemas`).
//! Fields not needed here are not looked at.

use super::Standing;
use crate::http::shown;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The most results a page has.
pub(super) const MAX_PAGE: usize = 1000;
/// The longest `requestid` that is taken for one, in bytes.
const MAX_ID_BYTES: usize = 256;

/// `PinResults`.
#[derive(Debug, Deserialize)]
pub(super) struct PinResults {
    /// How many match in all.
    pub(super) count: u64,
    pub(super) results: Vec<PinStatus>,
}

/// `PinStatus`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PinStatus {
    pub(super) requestid: String,
    pub(super) status: Status,
    pub(super) created: String,
    pub(super) pin: Pin,
    #[serde(default)]
    info: Option<BTreeMap<String, serde_json::Value>>,
}

/// `Pin`, as it comes back.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pin {
    pub(super) cid: String,
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// `Status`. What is not in the specification is not understood, and the answer refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Queued,
    Pinning,
    Pinned,
    Failed,
}

impl Status {
    /// For the query `status`; without it services tell of pinned ones only.
    pub(super) const ALL: &str = "queued,pinning,pinned,failed";

    /// The better, the larger.
    const fn rank(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Queued => 1,
            Self::Pinning => 2,
            Self::Pinned => 3,
        }
    }
}

impl PinStatus {
    /// What is wrong with it, if something is.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.requestid.is_empty() || self.requestid.len() > MAX_ID_BYTES {
            return Some("a requestid of 1 to 256 bytes is missing");
        }
        // Such a name leads elsewhere as part of a path.
        if self.requestid.bytes().all(|b| b == b'.') {
            return Some("the requestid is no name");
        }
        moment(&self.created).is_none().then_some("created is no RFC 3339 time")
    }

    /// What it says about how things stand.
    fn detail(&self) -> Option<String> {
        let text = self.info.as_ref()?.get("status_details")?.as_str()?;
        Some(shown(text))
    }

    /// Puts the one first that is to stay where there are several for one root: the oldest that did not fail.
    /// All who look at the same time choose the same, however the others get on.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let failed = self.status == Status::Failed;
        (failed, moment(&self.created), self.requestid.clone())
    }
}

/// How one root stands, given what there is for it. A service counts once, however often it was asked.
pub(super) fn standing(requests: &[PinStatus]) -> Standing {
    let best = requests.iter().max_by_key(|request| request.status.rank());
    let Some(best) = best else { return Standing::absent() };
    let mut standing = Standing { known: true, detail: best.detail(), ..Standing::default() };
    match best.status {
        Status::Pinned => standing.pinned = 1,
        Status::Queued | Status::Pinning => standing.waiting = 1,
        Status::Failed => standing.failed = 1,
    }
    standing
}

/// The moment an RFC 3339 text (section 5.6) names: seconds since 1970 and nanoseconds.
pub(super) fn moment(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    let digits = |from: usize, len: usize| -> Option<i64> {
        let part = bytes.get(from..from + len)?;
        part.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let is = |at: usize, any: &[u8]| bytes.get(at).is_some_and(|b| any.contains(b));
    if text.len() > 64
        || !(is(4, b"-") && is(7, b"-") && is(10, b"Tt "))
        || !(is(13, b":") && is(16, b":"))
    {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    if !in_range || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if is(at, b".") {
        let fraction = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if fraction == 0 {
            return None;
        }
        let shown = digits(at + 1, fraction.min(9))?;
        nanos = (shown * 10i64.pow(9 - fraction.min(9) as u32)) as u32;
        at += 1 + fraction;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && is(at + 3, b":") => {
            let (hours, minutes) = (digits(at + 1, 2)?, digits(at + 4, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let secs = hours * 3600 + minutes * 60;
            if *sign == b'+' { secs } else { -secs }
        }
        _ => return None,
    };
    let secs = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((secs - offset, nanos))
}

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar. A year is counted from March, so that the day
/// which may be missing is its last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let before_month = (153 * ((month + 9) % 12) + 2) / 5;
    let leap = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 1970-01-01 is the 719,469th day counted so from March of the year 0.
    365 * year + leap + before_month + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", (0, 0)),
            ("1985-04-12T23:20:50.52Z", (482_196_050, 520_000_000)),
            ("1996-12-19T16:39:57-08:00", (851_042_397, 0)),
            ("1990-12-31T23:59:60Z", (662_688_000, 0)),
            ("1937-01-01T12:00:27.87+00:20", (-1_041_337_173, 870_000_000)),
            ("2020-07-27T17:32:28.276Z", (1_595_871_148, 276_000_000)),
            ("2000-02-29T00:00:00.123456789123Z", (951_782_400, 123_456_789)),
            ("0001-01-01T00:00:00Z", (-62_135_596_800, 0)),
        ] {
            assert_eq!(moment(text), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "now",
            "2020-07-27",
            "2020-07-27T17:32:28",
            "2020-13-27T17:32:28Z",
            "2020-07-27T17:32:28.Z",
            "2020-07-27T17:32:28Zx",
            "2020-07-27T25:32:28Z",
            "2020-07-27T17:32:28+1:00",
            "٢020-07-27T17:32:28Z",
        ] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn days_follow_one_another(year in 1i64..9999, month in 1i64..=12) {
            let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let length = match month { 2 => 28 + i64::from(leap), 4 | 6 | 9 | 11 => 30, _ => 31 };
            prop_assert_eq!(days(next.0, next.1, 1) - days(year, month, 1), length);
        }

        #[test]
        fn no_text_makes_a_time_panic(text in "\\PC{0,40}", digits in "[0-9TZ:.+-]{0,40}") {
            moment(&text);
            moment(&digits);
        }

        /// What is read of an answer is what a reader without types sees in it.
        #[test]
        fn answers_are_read_as_they_are_written(
            id in "[a-z0-9]{0,4}", status in "pinned|queued|pinning|failed|Pinned|lost",
            count in -1i64..3, name in proptest::option::of("[a-z]{0,3}"), more in any::<bool>(),
        ) {
            let mut result = serde_json::json!({
                "requestid": id, "status": status, "created": "2020-07-27T17:32:28.276Z",
                "pin": {"cid": "Qm", "name": name}, "delegates": [],
            });
            if more {
                result["info"] = serde_json::json!({"status_details": "why", "other": [1]});
            }
            let text = serde_json::json!({"count": count, "results": [result], "new": {}}).to_string();
            let known = ["pinned", "queued", "pinning", "failed"].contains(&status.as_str());
            match serde_json::from_str::<PinResults>(&text) {
                Ok(read) => {
                    prop_assert!(known && count >= 0);
                    prop_assert_eq!(read.count, count as u64);
                    prop_assert_eq!(&read.results[0].pin.name, &name);
                    prop_assert_eq!(read.results[0].fault().is_some(), id.is_empty());
                    prop_assert_eq!(read.results[0].detail().is_some(), more);
                }
                Err(_) => prop_assert!(!known || count < 0),
            }
        }
    }
}
