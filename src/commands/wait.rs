//! `medledger wait`: until a record is mined or final.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::lookup;
use crate::output::{Show, fields};
use clap::{Args, ValueEnum};
use medledger::{Progress, Stage};
use serde::Serialize;
use std::io::{self, Write};
use std::time::Duration;

#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    /// The record, by its id or the beginning of it
    record: String,
    /// How far it is to come
    #[arg(long, value_enum, default_value_t = Until::Final, value_name = "STAGE")]
    until: Until,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Until {
    /// In a block
    Mined,
    /// In a block that a quorum of hospitals signed
    Final,
}

#[derive(Serialize)]
struct Stands {
    record: String,
    stage: &'static str,
    height: Option<u64>,
}

impl Show for Stands {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = vec![("record", self.record.clone()), ("stage", self.stage.to_owned())];
        rows.extend(self.height.map(|height| ("block", height.to_string())));
        fields(out, &rows)
    }
}

pub(crate) fn run(context: &Context, args: &WaitArgs) -> Result<()> {
    // Others mine meanwhile, perhaps on this very folder.
    let ledger = context.open_read_only()?;
    let record = lookup::record(&ledger, &args.record, None)?;
    let stage = match args.until {
        Until::Mined => Stage::Mined,
        Until::Final => Stage::Final,
    };
    let progress = ledger.wait_for(&record, stage, Duration::from_secs(args.timeout))?;
    let (name, height, refused) = match progress {
        Progress::Accepted => ("accepted", None, None),
        Progress::Mined { height } => ("mined", Some(height), None),
        Progress::Final { height } => ("final", Some(height), None),
        Progress::Refused { code } => ("refused", None, Some(code)),
        _ => ("unknown", None, None),
    };
    if let Some(code) = refused {
        let text = format!("record {record} was refused: {code} (code {})", code.code());
        return Err(Failure::new(Fault::Refused, "record_refused", text));
    }
    if !progress.reached(stage) {
        let text = format!("record {record} is {name} after {} seconds", args.timeout);
        let hint = if progress == Progress::Unknown {
            "it may not have come here yet; `medledger log` lists the records that are here"
        } else {
            "`medledger mine` puts it into a block; with several hospitals, enough of them have to \
             go on mining and voting"
        };
        return Err(Failure::new(Fault::Environment, "timeout", text).hint(hint));
    }
    context.print(&Stands { record: record.to_string(), stage: name, height })
}
