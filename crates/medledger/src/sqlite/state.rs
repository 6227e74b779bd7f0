//! Reading the state.

use super::absent::OF_STATE;
use super::read::{InStore, Session, at_most, beyond, from_key};
use medledger_core::state::{Known, StateRead};
use medledger_core::store::{Row, StoreError};
use rusqlite::{Params, params};

const DOING: &str = "reading the state";

/// The value of a row, which lies elsewhere if it is long.
macro_rules! value {
    ($row:literal) => {
        concat!(
            "coalesce(",
            $row,
            ".value, (SELECT value FROM state_long WHERE key = ",
            $row,
            ".key))"
        )
    };
}

/// Rows of a range of keys.
macro_rules! scan {
    ($from:literal, $end:literal) => {
        concat!(
            "SELECT key, ",
            value!("state"),
            " FROM state WHERE key >= ",
            $from,
            " AND key < ",
            $end
        )
    };
}

/// The rows to which a range of keys leads: `?5` is their table, `?6` how many bytes of a key name one, counted from the
/// end.
macro_rules! led_to {
    ($from:literal, $end:literal) => {
        concat!(
            "SELECT found.key, ",
            value!("found"),
            " FROM state AS names CROSS JOIN state AS found \
             ON found.key = CAST(?5 || substr(names.key, ?6) AS BLOB) \
             WHERE names.key >= ",
            $from,
            " AND names.key < ",
            $end
        )
    };
}

const ONE: &str = concat!("SELECT ", value!("state"), " FROM state WHERE key = ?1");
const SCAN: &str = concat!(scan!("?1", "?2"), " ORDER BY key LIMIT ?3");
const SCAN_TO_THE_END: &str =
    concat!("SELECT key, ", value!("state"), " FROM state WHERE key >= ?1 ORDER BY key LIMIT ?2");

// A statement costs more than what it finds, and prefixes come in pairs: grants on a report and on its collection.
const SCANS: &str = concat!(scan!("?1", "?2"), " UNION ALL ", scan!("?3", "?4"));
const LED_TO: &str = concat!(led_to!("?1", "?2"), " UNION ALL ", led_to!("?3", "?4"));

/// Where the keys with a prefix begin and end.
type Range<'a> = (&'a [u8], Vec<u8>);

/// Ranges in pairs, the last with an empty one where there is no other; none for a prefix beyond which nothing lies.
fn pairs<'a>(prefixes: &[&'a [u8]]) -> Option<Vec<[Range<'a>; 2]>> {
    let range = |prefix: &&'a [u8]| Some((*prefix, beyond(prefix)?));
    let pair = |pair: &[&'a [u8]]| {
        let other = pair.get(1).map_or(Some((&[][..], Vec::new())), range)?;
        Some([range(&pair[0])?, other])
    };
    prefixes.chunks(2).map(pair).collect()
}

impl<C: InStore> Session<C> {
    fn state_rows(&self, sql: &str, params: impl Params) -> Result<Vec<Row>, StoreError> {
        self.rows(DOING, sql, params)
    }
}

impl<C: InStore> StateRead for Session<C> {
    fn known(&self) -> Option<&Known> {
        Some(&self.0.store().known)
    }

    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match key.split_first() {
            Some((table, rest)) if OF_STATE.contains(table) => {
                self.0.look(*table, rest, || self.value(DOING, ONE, [key]))
            }
            _ => self.value(DOING, ONE, [key]),
        }
    }

    fn state_scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (from, limit) = (from_key(prefix, after), at_most(limit));
        match beyond(prefix) {
            Some(end) => self.state_rows(SCAN, params![from, end, limit]),
            None => self.state_rows(SCAN_TO_THE_END, params![from, limit]),
        }
    }

    fn state_scans(&self, prefixes: &[&[u8]]) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        let Some(pairs) = pairs(prefixes) else {
            for prefix in prefixes {
                found.extend(self.state_scan(prefix, None, usize::MAX)?);
            }
            return Ok(found);
        };
        for [(from, end), (other, other_end)] in pairs {
            found.extend(self.state_rows(SCANS, params![from, end, other, other_end])?);
        }
        Ok(found)
    }

    fn state_led_to(
        &self,
        prefixes: &[&[u8]],
        table: u8,
        id: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let mut found = Vec::new();
        let Some(pairs) = pairs(prefixes) else {
            for (key, _) in self.state_scans(prefixes)? {
                let key = [&[table], &key[key.len().saturating_sub(id)..]].concat();
                found.extend(self.state(&key)?.map(|value| (key, value)));
            }
            return Ok(found);
        };
        for [(from, end), (other, other_end)] in pairs {
            let params = params![from, end, other, other_end, [table], -at_most(id)];
            found.extend(self.state_rows(LED_TO, params)?);
        }
        Ok(found)
    }
}
