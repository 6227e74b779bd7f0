//! Simulations of mining, as dictionaries.

use crate::args;
use crate::errors::Class;
use medledger::Pace;
use medledger::core::pow::{Bits, Schedule};
use medledger::core::simulate::{
    Attack, Miner, Run, Scenario, SimulateError, Step, Strategy, attack, run,
};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::time::Duration;

/// Parts of the chain that are summed up.
const SECTIONS: usize = 10;

/// A miner as Python has it: its share, or a dictionary with more about it.
pub(crate) struct MinerArgument {
    share: f64,
    latency: Option<f64>,
    name: String,
    selfish: bool,
}

impl<'py> FromPyObject<'_, 'py> for MinerArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let mut miner = Self { share: 0.0, latency: None, name: String::new(), selfish: false };
        let Ok(dict) = object.cast::<PyDict>() else {
            miner.share = object.extract()?;
            return Ok(miner);
        };
        for (key, value) in dict.iter() {
            match key.extract::<String>()?.as_str() {
                "share" => miner.share = value.extract()?,
                "latency" => miner.latency = value.extract()?,
                "name" => miner.name = value.extract()?,
                "selfish" => miner.selfish = value.extract()?,
                other => {
                    let text = format!("a miner has share, latency, name and selfish, not {other}");
                    return Err(PyTypeError::new_err(text));
                }
            }
        }
        Ok(miner)
    }
}

impl MinerArgument {
    fn miner(&self, latency: Duration) -> PyResult<Miner> {
        let strategy = if self.selfish { Strategy::Selfish } else { Strategy::Honest };
        let latency = self.latency.map_or(Ok(latency), seconds)?;
        Ok(Miner { name: self.name.clone(), share: self.share, latency, strategy })
    }
}

fn seconds(value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|error| Class::InvalidArgument.error(format!("latency: {error}")))
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err hands over")]
fn refused(error: SimulateError) -> PyErr {
    Class::InvalidArgument.error(error.to_string())
}

/// Simulate mining by several miners, and attackers who try to undo what was mined.
///
/// Times are in seconds. A miner is a share of all tries, or a dict with "share" and, where wanted, "latency", "name" and
/// "selfish". `hash_rate_changes` are pairs of a height and a factor; `attackers` are shares of
/// attackers. Nothing is mined: the same arguments give the same result on every machine. Returns a dict: what
/// `medledger simulate --json` prints, and "chain", a list of blocks. Raises InvalidArgumentError for what cannot be
/// simulated.
#[pyfunction]
#[pyo3(signature = (
    miners = None, *, latency = 1.0, blocks = 10_000, schedule = "asert", spacing = 600, half_life = None,
    window = None, bits = "1b00ffff", floor = None, hash_rate_changes = None, seed = 1, attackers = None,
    confirmations = 6, final_after = None, trials = 1000
))]
#[expect(clippy::too_many_arguments, reason = "all but one have names")]
pub(crate) fn simulate<'py>(
    py: Python<'py>,
    miners: Option<Vec<MinerArgument>>,
    latency: f64,
    blocks: u64,
    schedule: &str,
    spacing: u32,
    half_life: Option<u32>,
    window: Option<u32>,
    bits: &str,
    floor: Option<&str>,
    hash_rate_changes: Option<Vec<(u64, f64)>>,
    seed: u64,
    attackers: Option<Vec<f64>>,
    confirmations: u32,
    final_after: Option<u32>,
    trials: u32,
) -> PyResult<Bound<'py, PyDict>> {
    let bits: Bits = args::parse("bits", bits)?;
    let floor: Option<Bits> = args::parse_some("floor", floor)?;
    let half_life = half_life.unwrap_or_else(|| spacing.saturating_mul(288));
    let schedule = match schedule {
        "fixed" => Schedule::Fixed { bits },
        "bitcoin" => {
            Pace::Bitcoin { window: window.unwrap_or(2016), spacing }.schedule(bits, floor)
        }
        "asert" => Pace::Asert { spacing, half_life }.schedule(bits, floor),
        other => {
            let text = format!("schedule: fixed, bitcoin or asert, not {other:?}");
            return Err(Class::InvalidArgument.error(text));
        }
    };
    let latency = seconds(latency)?;
    let mut scenario = Scenario::new(schedule, spacing.into());
    scenario.miners = match miners {
        Some(miners) => miners.iter().map(|miner| miner.miner(latency)).collect::<PyResult<_>>()?,
        None => vec![Miner { latency, ..Miner::new(1.0) }; 4],
    };
    let step = |(height, factor)| Step { height, factor };
    scenario.steps = hash_rate_changes.unwrap_or_default().into_iter().map(step).collect();
    (scenario.blocks, scenario.seed) = (blocks, seed);
    let attempt = |share: &f64| Attack {
        latency,
        confirmations,
        final_after: final_after.unwrap_or(confirmations),
        trials,
        ..Attack::new(scenario.clone(), *share)
    };
    let shares = attackers.unwrap_or_default();
    let (run, attacks) = py
        .detach(|| {
            let attacks = shares.iter().map(|share| attack(&attempt(share)));
            Ok((run(&scenario)?, attacks.collect::<Result<Vec<_>, _>>()?))
        })
        .map_err(refused)?;
    result(py, &run, &attacks)
}

fn result<'py>(
    py: Python<'py>,
    run: &Run,
    attacks: &[medledger::core::simulate::AttackResult],
) -> PyResult<Bound<'py, PyDict>> {
    let summary = run.summary(SECTIONS);
    let dict = PyDict::new(py);
    let spacing = PyDict::new(py);
    let found = &summary.spacing;
    for (name, value) in [
        ("mean", found.mean),
        ("median", found.median),
        ("p95", found.p95),
        ("ideal_mean", found.ideal_mean),
        ("ideal_median", found.ideal_median),
        ("ideal_p95", found.ideal_p95),
    ] {
        spacing.set_item(name, value)?;
    }
    dict.set_item("seed", summary.seed)?;
    dict.set_item("blocks", summary.blocks)?;
    dict.set_item("seconds", summary.seconds)?;
    dict.set_item("found", summary.found)?;
    dict.set_item("stale", summary.stale)?;
    dict.set_item("stale_rate", summary.stale_rate)?;
    dict.set_item("reorgs", summary.reorgs)?;
    dict.set_item("deepest_reorg", summary.deepest_reorg)?;
    dict.set_item("spacing", spacing)?;
    let miners = list(py, &summary.miners, |dict, miner| {
        dict.set_item("name", &miner.name)?;
        dict.set_item("hash_share", miner.hash_share)?;
        dict.set_item("chain_share", miner.chain_share)?;
        dict.set_item("blocks", miner.blocks)?;
        dict.set_item("stale", miner.stale)
    })?;
    dict.set_item("miners", miners)?;
    let sections = list(py, &summary.sections, |dict, part| {
        dict.set_item("from", part.from)?;
        dict.set_item("to", part.to)?;
        dict.set_item("seconds", part.seconds)?;
        dict.set_item("spacing", part.spacing)?;
        dict.set_item("difficulty", part.difficulty)?;
        dict.set_item("hash_rate", part.hash_rate)
    })?;
    dict.set_item("sections", sections)?;
    let attacks = list(py, attacks, |dict, attack| {
        dict.set_item("share", attack.share)?;
        dict.set_item("confirmations", attack.confirmations)?;
        dict.set_item("final_after", attack.final_after)?;
        dict.set_item("trials", attack.trials)?;
        dict.set_item("successes", attack.successes)?;
        dict.set_item("success", attack.success)?;
        dict.set_item("margin", attack.margin)?;
        dict.set_item("theory", attack.theory)?;
        dict.set_item("successes_with_finality", attack.successes_with_finality)?;
        dict.set_item("success_with_finality", attack.success_with_finality)
    })?;
    dict.set_item("attacks", attacks)?;
    let chain = list(py, &run.chain, |dict, block| {
        dict.set_item("height", block.height)?;
        dict.set_item("found", block.found)?;
        dict.set_item("interval", block.interval)?;
        dict.set_item("time", block.time)?;
        dict.set_item("bits", block.bits.to_string())?;
        dict.set_item("difficulty", block.difficulty)?;
        dict.set_item("miner", &summary.miners[block.miner].name)?;
        dict.set_item("stale", block.stale)
    })?;
    dict.set_item("chain", chain)?;
    Ok(dict)
}

fn list<'py, T>(
    py: Python<'py>,
    items: &[T],
    fill: impl Fn(&Bound<'py, PyDict>, &T) -> PyResult<()>,
) -> PyResult<Bound<'py, PyList>> {
    let dict = |item: &T| {
        let dict = PyDict::new(py);
        fill(&dict, item).map(|()| dict)
    };
    PyList::new(py, items.iter().map(dict).collect::<PyResult<Vec<_>>>()?)
}
