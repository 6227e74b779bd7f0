//! What `medledger simulate` takes beside numbers.

use medledger::core::simulate::{Miner, Step, Strategy};
use std::str::FromStr;
use std::time::Duration;

/// A miner as it is typed: `0.3,latency=200ms,name=Basel`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MinerSpec {
    share: f64,
    latency: Option<Duration>,
    name: String,
    strategy: Strategy,
}

impl MinerSpec {
    /// One of several equal miners.
    pub(super) const EQUAL: Self =
        Self { share: 1.0, latency: None, name: String::new(), strategy: Strategy::Honest };

    /// The miner, as far away as others unless it says how far.
    pub(super) fn miner(&self, latency: Duration) -> Miner {
        Miner {
            name: self.name.clone(),
            share: self.share,
            latency: self.latency.unwrap_or(latency),
            strategy: self.strategy,
        }
    }
}

impl FromStr for MinerSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let mut spec = Self { share: number(parts.next().unwrap_or_default())?, ..Self::EQUAL };
        for part in parts {
            match part.split_once('=') {
                Some(("latency", value)) => spec.latency = Some(time(value)?),
                Some(("name", value)) if value.chars().count() <= 40 => {
                    value.clone_into(&mut spec.name);
                }
                Some(("name", _)) => return Err("a name has 40 characters at most".into()),
                None if part == "selfish" => spec.strategy = Strategy::Selfish,
                None if part == "honest" => spec.strategy = Strategy::Honest,
                _ => {
                    let known = "latency=TIME, name=NAME, selfish or honest";
                    return Err(format!("after the share come {known}, not {part:?}"));
                }
            }
        }
        Ok(spec)
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is no number"))
}

/// A time as it is typed: 200ms, 1.5s, 2min; a bare number is seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("{other:?} is no unit of time: ms, s, min or h")),
    };
    Duration::try_from_secs_f64(number(digits)? * unit)
        .map_err(|_| format!("{text:?} is no time that can be waited for"))
}

/// A change of the hash rate as it is typed: 5000=0.5.
pub(super) fn step(text: &str) -> Result<Step, String> {
    let (height, factor) = text.split_once('=').ok_or("a change is HEIGHT=FACTOR")?;
    let height = height.trim().parse().map_err(|_| format!("{height:?} is no height"))?;
    Ok(Step { height, factor: number(factor)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn miners_are_read_as_typed_and_nothing_else_is() {
        let second = Duration::from_secs(1);
        let miner = |text: &str| text.parse::<MinerSpec>().map(|spec| spec.miner(second));
        assert_eq!(miner("0.4").unwrap(), Miner { latency: second, ..Miner::new(0.4) });
        let full = miner("0.3,latency=200ms,name=Basel,selfish").unwrap();
        assert_eq!((full.share, full.latency), (0.3, Duration::from_millis(200)));
        assert_eq!((full.name.as_str(), full.strategy), ("Basel", Strategy::Selfish));
        for wrong in
            ["", "x", "0.3,", "0.3,latency", "0.3,latency=1x", "0.3,speed=1", "0.3 selfish"]
        {
            assert!(miner(wrong).is_err(), "{wrong:?}");
        }
        assert!(miner(&format!("1,name={}", "x".repeat(41))).is_err());
    }

    #[test]
    fn times_and_changes_are_read_with_their_units() {
        for (text, millis) in
            [("200ms", 200), ("1.5s", 1500), ("2", 2000), ("2min", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "ms", "-1s", "1 d", "1e400s", "inf", "nan"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        assert_eq!(step("5000=0.5"), Ok(Step { height: 5000, factor: 0.5 }));
        for wrong in ["5000", "x=1", "-1=2", "5=x", "=1"] {
            assert!(step(wrong).is_err(), "{wrong}");
        }
    }
}
