//! Options of a new ledger, as Python writes them.

use super::contact;
use crate::args::parse;
use crate::data::Data;
use crate::errors::{Class, raise};
use medledger::core::padding::Padding;
use medledger::core::pow::Bits;
use medledger::{CreateOptions, Difficulty, EngineChoice, HospitalCard, MailSettings, Pace};
use pyo3::prelude::*;

/// What a caller may say of difficulty.
pub(super) struct Work<'a> {
    pub(super) engine: &'a str,
    pub(super) seconds_per_block: Option<f64>,
    pub(super) bits: Option<&'a str>,
    pub(super) schedule: &'a str,
    pub(super) spacing: Option<u32>,
    pub(super) half_life: Option<u32>,
    pub(super) window: Option<u32>,
    pub(super) floor: Option<&'a str>,
}

fn invalid(text: impl Into<String>) -> PyErr {
    Class::InvalidArgument.error(text)
}

fn unknown(what: &str, found: &str, known: &str) -> PyErr {
    invalid(format!("unknown {what} {found:?}: one of {known}"))
}

/// How keys reach people.
pub(super) fn delivery(mode: &str) -> PyResult<medledger::DeliveryMode> {
    mode.parse().map_err(|_| unknown("delivery", mode, "mail, pickup, caller"))
}

/// The options, all but the engine and the delivery.
pub(super) fn options(
    hospital: &str,
    email: Option<&str>,
    mail: &str,
    padding: &str,
    founders: &[Data],
    diversity: u32,
) -> PyResult<CreateOptions> {
    let mut options = CreateOptions::new(hospital);
    options.hospital = contact(hospital, email);
    options.settings.mail = match mail {
        "none" => MailSettings::None,
        "outbox" => MailSettings::Outbox("outbox".into()),
        other => return Err(unknown("mail", other, "none, outbox")),
    };
    options.settings.padding = match padding {
        "padme" => Padding::Padme,
        "none" => Padding::None,
        other => return Err(unknown("padding", other, "padme, none")),
    };
    options.founders = founders
        .iter()
        .map(|card| HospitalCard::decode(card).map_err(raise))
        .collect::<PyResult<_>>()?;
    options.diversity = diversity;
    Ok(options)
}

impl Work<'_> {
    /// The engine, with the rules by which `medledger init` takes its options.
    pub(super) fn engine(&self) -> PyResult<EngineChoice> {
        let paced = match self.schedule {
            "fixed" => false,
            "bitcoin" | "asert" => true,
            other => return Err(unknown("schedule", other, "fixed, bitcoin, asert")),
        };
        let paces = self.spacing.is_some() || self.floor.is_some();
        let says = self.bits.is_some() || paced || paces;
        match self.engine {
            "work" => {}
            "log" if says => {
                return Err(invalid("a log has no difficulty: leave out what says how it goes"));
            }
            "log" => return Ok(EngineChoice::Log),
            other => return Err(unknown("engine", other, "work, log")),
        }
        if self.half_life.is_some() && self.schedule != "asert"
            || self.window.is_some() && self.schedule != "bitcoin"
            || paces && !paced
        {
            let text = "half_life is for schedule \"asert\", window for \"bitcoin\", spacing and floor for both";
            return Err(invalid(text));
        }
        let start = match (self.bits, self.seconds_per_block) {
            (Some(_), Some(_)) => return Err(invalid("give one of seconds_per_block and bits")),
            (Some(bits), None) => Difficulty::Bits(parse::<Bits>("bits", bits)?),
            (None, seconds) => Difficulty::AboutSeconds(seconds.unwrap_or(1.0)),
        };
        if !paced {
            return Ok(EngineChoice::Work(start));
        }
        let floor = self.floor.map(|floor| parse::<Bits>("floor", floor)).transpose()?;
        let spacing = match (self.spacing, start) {
            (Some(spacing), _) => spacing,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "saturates"
            )]
            (None, Difficulty::AboutSeconds(seconds)) => (seconds.round() as u32).max(1),
            _ => return Err(invalid("with bits, a schedule needs spacing")),
        };
        let pace = match self.schedule {
            "bitcoin" => Pace::Bitcoin { window: self.window.unwrap_or(2016), spacing },
            _ => Pace::Asert {
                spacing,
                half_life: self.half_life.unwrap_or_else(|| spacing.saturating_mul(288)),
            },
        };
        Ok(EngineChoice::Paced { start, pace, floor })
    }
}
