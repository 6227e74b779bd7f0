//! What `medledger simulate` prints.

use crate::output::{Column, Show, grouped, table};
use medledger::core::pow::Schedule;
use medledger::core::simulate::{AttackResult, ChainBlock, MinerSummary, Scenario, Summary};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::{self, Write};

/// All results.
#[derive(Serialize)]
pub(super) struct Simulated {
    schedule: Schedule,
    /// Whether a miner was selfish, and the hash rate changed: theory knows neither.
    #[serde(skip)]
    special: bool,
    #[serde(flatten)]
    pub(super) summary: Summary,
    attacks: Vec<AttackResult>,
}

impl Simulated {
    pub(super) fn new(summary: Summary, scenario: &Scenario, attacks: Vec<AttackResult>) -> Self {
        let special = !scenario.steps.is_empty();
        Self { schedule: scenario.schedule, special, summary, attacks }
    }

    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let name = match self.schedule {
            Schedule::Bitcoin { window, .. } => format!("Bitcoin's windows of {window}"),
            Schedule::Asert { half_life, .. } => {
                format!("aserti3-2d, half-life {}", span(half_life.into()))
            }
            _ => "fixed difficulty".into(),
        };
        let found = &self.summary;
        writeln!(
            out,
            "{} blocks in {} by {name}, seed {}",
            grouped(found.blocks.into()),
            span(found.seconds),
            found.seed
        )?;
        let reorgs = match found.reorgs {
            0 => "no miner ever changed over".into(),
            _ => format!("at most {} taken off at once", count(found.deepest_reorg)),
        };
        writeln!(
            out,
            "{} found, {} of them stale ({}); {reorgs}\n",
            grouped(found.found.into()),
            grouped(found.stale.into()),
            percent(found.stale_rate)
        )
    }

    fn spacing(&self, out: &mut dyn Write) -> io::Result<()> {
        let spacing = &self.summary.spacing;
        let rows = [
            ("mean", spacing.mean, spacing.ideal_mean),
            ("median", spacing.median, spacing.ideal_median),
            ("95 % within", spacing.p95, spacing.ideal_p95),
        ];
        let rows = rows.map(|(name, found, ideal)| {
            let off = format!("{:+.1} %", (found / ideal - 1.0) * 100.0);
            [name.to_owned(), right(span(found), 8), right(span(ideal), 8), right(off, 9)]
        });
        let titles = ["BLOCK TO BLOCK", "MEASURED", "   IDEAL", "      OFF"];
        table(out, titles.map(Column::Whole), &rows)
    }

    fn miners(&self, out: &mut dyn Write) -> io::Result<()> {
        let row = |miner: &MinerSummary| {
            let all = miner.blocks + miner.stale;
            #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
            let stale = if all == 0 { 0.0 } else { miner.stale as f64 / all as f64 };
            [
                miner.name.clone(),
                right(percent(miner.hash_share), 10),
                right(percent(miner.chain_share), 11),
                right(grouped(miner.blocks.into()), 9),
                right(percent(stale), 9),
            ]
        };
        let rows: Vec<_> = self.summary.miners.iter().map(row).collect();
        let titles = ["HASH SHARE", "CHAIN SHARE", "   BLOCKS", "    STALE"].map(Column::Whole);
        let [a, b, c, d] = titles;
        writeln!(out)?;
        table(out, [Column::Flexible("MINER"), a, b, c, d], &rows)
    }

    fn sections(&self, out: &mut dyn Write) -> io::Result<()> {
        const BAR: f64 = 20.0;
        let parts = &self.summary.sections;
        let most = parts.iter().map(|part| part.difficulty).fold(1.0, f64::max);
        let rows: Vec<_> = parts
            .iter()
            .map(|part| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 20"
                )]
                let bar = (part.difficulty / most * BAR).round().max(1.0) as usize;
                [
                    right(format!("{}-{}", grouped(part.from.into()), grouped(part.to.into())), 15),
                    right(span(part.spacing), 8),
                    right(format!("x {}", digits(part.hash_rate)), 9),
                    right(format!("x {}", digits(part.difficulty)), 10),
                    "#".repeat(bar),
                ]
            })
            .collect();
        writeln!(out)?;
        let titles = ["        HEIGHTS", " SPACING", "HASH RATE", "DIFFICULTY", ""];
        table(out, titles.map(Column::Whole), &rows)
    }

    fn attacks(&self, out: &mut dyn Write) -> io::Result<()> {
        let Some(first) = self.attacks.first() else { return Ok(()) };
        let row = |attack: &AttackResult| {
            [
                right(percent(attack.share), 8),
                right(percent(attack.success), 8),
                right(format!("± {}", percent(attack.margin)), 9),
                right(percent(attack.theory), 7),
                right(percent(attack.success_with_finality), 13),
            ]
        };
        let rows: Vec<_> = self.attacks.iter().map(row).collect();
        let (waited, finality) = (first.confirmations, first.final_after);
        writeln!(out, "\nChance to undo a record with {} by a hidden branch:\n", count(waited))?;
        let titles = ["ATTACKER", " SUCCESS", "   MARGIN", " THEORY", "WITH FINALITY"];
        table(out, titles.map(Column::Whole), &rows)?;
        writeln!(
            out,
            "\n{} attacks each, given up when 60 blocks behind. Theory: no latency, the",
            grouped(first.trials.into())
        )?;
        writeln!(
            out,
            "difficulty of the beginning, ties to the lower id. With finality: a quorum of"
        )?;
        writeln!(
            out,
            "hospitals makes a block final after {}, and no work undoes it",
            count(finality)
        )?;
        if finality <= waited {
            writeln!(
                out,
                "then: who waits for that is safe while fewer than a third of them cheat."
            )?;
        } else {
            writeln!(
                out,
                "then: who relies on a record before that is safe only from slow attackers."
            )?;
        }
        if self.special {
            writeln!(out, "Changes of the hash rate play no part in attacks.")?;
        }
        Ok(())
    }
}

impl Show for Simulated {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        self.head(out)?;
        self.spacing(out)?;
        self.miners(out)?;
        self.sections(out)?;
        self.attacks(out)
    }
}

/// The chain as comma-separated values, a line a block, as RFC 4180 has it.
pub(super) fn csv(chain: &[ChainBlock], miners: &[MinerSummary]) -> String {
    let mut text =
        String::from("height,found_s,interval_s,header_time_s,bits,difficulty,miner,stale\r\n");
    let names: Vec<String> =
        miners.iter().map(|m| format!("\"{}\"", m.name.replace('"', "\"\""))).collect();
    for block in chain {
        let ChainBlock { height, found, interval, time, bits, difficulty, miner, stale, .. } =
            block;
        let name = &names[*miner];
        // Writing to a string never fails.
        let _ = write!(
            text,
            "{height},{found:.3},{interval:.3},{time},{bits},{difficulty:.6},{name},{stale}\r\n"
        );
    }
    text
}

fn count(blocks: impl Into<u64>) -> String {
    let blocks = blocks.into();
    if blocks == 1 { "1 block".into() } else { format!("{blocks} blocks") }
}

fn right(text: String, width: usize) -> String {
    format!("{text:>width$}")
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

/// A factor with three or four digits.
fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A time with three or four digits.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}
