//! What blocks wait for before they are final, for people and programs.

use crate::exit::Result;
use medledger::Ledger;
use medledger::core::vote::Awaited;
use serde::Serialize;

/// What has to come before more is final.
#[derive(Serialize)]
pub(crate) struct Waits {
    /// `blocks`, `votes` or `cosignatures`.
    kind: &'static str,
    /// Height of the block that becomes final next.
    height: u64,
    /// Hospitals that have to mine at or above it before it is voted for; 0 where that is done.
    missing: usize,
    /// Those of which they are.
    hospitals: Vec<String>,
    #[serde(skip)]
    text: String,
}

impl Waits {
    /// What the newest blocks of a ledger wait for; none where all are final.
    pub(crate) fn of(ledger: &Ledger) -> Result<Option<Self>> {
        let Some(awaited) = ledger.awaited()? else { return Ok(None) };
        let (kind, missing, of) = match &awaited {
            Awaited::Blocks { missing, of, .. } => ("blocks", *missing, of.clone()),
            Awaited::Votes(_) => ("votes", 0, Vec::new()),
            Awaited::Cosignatures(_) => ("cosignatures", 0, Vec::new()),
            _ => ("more", 0, Vec::new()),
        };
        let members = if of.is_empty() { Vec::new() } else { ledger.members()? };
        let named = of.iter().map(|id| {
            let member = members.iter().find(|member| member.id == *id);
            member.map_or_else(|| id.to_string(), |member| member.contact.name.clone())
        });
        let named: Vec<String> = named.collect();
        let todo = match kind {
            "blocks" => format!(": {}; `medledger mine --empty` there does", named.join(", ")),
            _ => String::from(": they travel with `medledger export news`"),
        };
        Ok(Some(Self {
            kind,
            height: awaited.target().height,
            missing,
            hospitals: of.iter().map(ToString::to_string).collect(),
            text: format!("{awaited}{todo}"),
        }))
    }

    /// A line beside the number of blocks that are final; none where nothing waits.
    pub(crate) fn line(waits: Option<&Self>) -> Option<(&'static str, String)> {
        waits.map(|waits| ("not final yet", waits.text.clone()))
    }
}
