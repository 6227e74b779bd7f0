//! New keys for what was added before, and the second person who confirms.

use crate::Cid;
use crate::ids::{RecordId, ReportId};
use serde::{Deserialize, Serialize};

/// The patient has a report sealed anew under another key. It takes effect when the hospital of the report
/// [confirms](Confirm) that both envelopes open to the same content; until then another takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// The report.
    pub report: ReportId,
    /// Its present version, which stays.
    pub version: u32,
    /// The epoch that begins: the present one plus one.
    pub epoch: u32,
    /// The new envelope.
    pub envelope: Cid,
    /// Epoch of the patient's collection key to which the new key is wrapped.
    pub collection: u32,
}

/// A second person confirms a record that waits for it.
///
/// A [`Rotate`] is confirmed by the hospital of the report, which opened both envelopes and compared them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// The record that waits.
    pub record: RecordId,
}
