//! Time as people read it.

use medledger_core::clock::Timestamp;

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()
}

/// RFC 3339 in UTC, such as `2026-11-22T14:04:45Z`; the bare number where the calendar ends.
///
/// ```
/// use medledger::core::clock::Timestamp;
/// assert_eq!(medledger::time::show_time(Timestamp::from_secs(0)), "1970-01-01T00:00:00Z");
/// ```
#[must_use]
pub fn show_time(time: Timestamp) -> String {
    instant(time).map_or_else(|| time.to_string(), |instant| instant.to_string())
}

/// A time that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time: write 2026-11-22T14:04:45Z, 2026-11-22, or a span such as 30d, 12h or 45m"
)]
pub struct ParseTimeError(pub String);

/// Reads a time: RFC 3339, a date (its first second in UTC), or a span from `now` on (`30d`, `12h`,
/// `45m`, `90s`).
///
/// # Errors
/// When the text is none of these or out of range.
pub fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, ParseTimeError> {
    let error = || ParseTimeError(text.chars().take(60).collect());
    let unit = match text.chars().last() {
        Some('d') => 86_400,
        Some('h') => 3600,
        Some('m') => 60,
        Some('s') => 1,
        _ => 0,
    };
    if unit > 0 {
        let count: u64 = text[..text.len() - 1].parse().map_err(|_| error())?;
        return Ok(now.plus(count.checked_mul(unit).ok_or_else(error)?));
    }
    let instant = match text.parse::<jiff::civil::Date>() {
        Ok(date) if !text.contains('T') => {
            date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| error())?.timestamp()
        }
        _ => text.parse::<jiff::Timestamp>().map_err(|_| error())?,
    };
    u64::try_from(instant.as_second()).map(Timestamp::from_secs).map_err(|_| error())
}

/// Day and time as they stand in a label, in UTC: `30-04-2024_10-41-06`.
pub(crate) fn label_time(time: Timestamp) -> String {
    instant(time).map_or_else(
        || time.to_string(),
        |instant| {
            instant.to_zoned(jiff::tz::TimeZone::UTC).strftime("%d-%m-%Y_%H-%M-%S").to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back() {
        let now = Timestamp::from_secs(1_714_473_666);
        assert_eq!(show_time(now), "2024-04-30T10:41:06Z");
        assert_eq!(label_time(now), "30-04-2024_10-41-06");
        assert_eq!(parse_time("2024-04-30T10:41:06Z", now), Ok(now));
        assert_eq!(parse_time("30d", now), Ok(now.plus(30 * 86_400)));
        assert_eq!(parse_time("1970-01-02", now).unwrap().as_secs(), 86_400);
        for bad in ["", "d", "tomorrow", "-1d", "99999999999999999999d", "2024-13-01"] {
            assert!(parse_time(bad, now).is_err(), "{bad}");
        }
    }
}
