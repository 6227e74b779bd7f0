//! Arguments: the global options, the list of commands, and the help that concerns them all.

#[cfg(feature = "kubo")]
use crate::commands::ipfs;
use crate::commands::{
    accesses, approve, audit, backup, bench, blocks, checkpoint, cid, collection, delegate, demo,
    export, group, header, hospital, identity, import, init, key, log, mail, member, mine, open,
    pickup, prune, receipt, refuse, reports, request, requests, restore, revoke, rotate, seal,
    share, simulate, slot, storage, unseal, upload, verify, wait,
};
use crate::exit::Fault;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Medical reports, encrypted off the ledger and provable on it; the patient decides who reads.
#[derive(Debug, Parser)]
#[command(name = "medledger", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = short_help(), after_long_help = long_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The folder of the ledger where none is named.
pub(crate) const DEFAULT_LEDGER: &str = "ledger";

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// Folder of the ledger
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MEDLEDGER_DIR",
        default_value = DEFAULT_LEDGER,
        hide_env_values = true
    )]
    pub(crate) ledger: PathBuf,
    /// Print one JSON document; errors too, on standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a ledger and its hospital
    Init(init::InitArgs),
    /// Several hospitals on one chain: keys and cards, joining, admitting and expelling
    #[command(subcommand)]
    Hospital(hospital::HospitalCommand),
    /// Register members, list them
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// A member's own keys: the file, its password, new keys, lost keys
    #[command(subcommand)]
    Identity(identity::IdentityCommand),
    /// Encrypt and store reports about a patient
    Upload(upload::UploadArgs),
    /// Ask a patient for permission to read a report
    Request(request::RequestArgs),
    /// List the requests that wait for a patient's answer
    Requests(requests::RequestsArgs),
    /// Approve a request: its reader gets a key of their own
    Approve(approve::ApproveArgs),
    /// Refuse a request
    Refuse(refuse::RefuseArgs),
    /// Permit a reader or a group unasked: a report, several, or all at a hospital
    Share(share::ShareArgs),
    /// Pass a permission on, where the patient said so
    Delegate(delegate::DelegateArgs),
    /// Groups of readers: make, change and list them
    #[command(subcommand)]
    Group(group::GroupCommand),
    /// The key to all reports of a patient at a hospital
    #[command(subcommand)]
    Collection(collection::CollectionCommand),
    /// Open a report; the reading is recorded first
    Open(open::OpenArgs),
    /// Slots for a reader at another hospital: asked for, and released once the reading is recorded
    #[command(subcommand)]
    Slot(slot::SlotCommand),
    /// Take a permission back
    Revoke(revoke::RevokeArgs),
    /// Put reports under new keys, for those who may still read; the hospital confirms
    Rotate(rotate::RotateArgs),
    /// List the reports a member is party to, with the permissions on them
    Reports(reports::ReportsArgs),
    /// Show what stands on the ledger
    Log(log::LogArgs),
    /// Check this copy from the first block on
    Verify(verify::VerifyArgs),
    /// Receipts: proof, checkable offline, that a record is on the ledger
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// Checkpoints: what the hospitals signed, and whether the chain only grew since
    #[command(subcommand)]
    Checkpoint(checkpoint::CheckpointCommand),
    /// Write a report's ciphertext or the chain as a CAR file
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Take a report's blocks or a chain from a CAR file, after checking all of it
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Copy the ledger into a folder, while it may be written to; without the node key
    Backup(backup::BackupArgs),
    /// After an older backup was put back: go on without the blocks that are lost
    Restore(restore::RestoreArgs),
    /// Drop the records of old final blocks to save room; own ones and headers stay
    Prune(prune::PruneArgs),
    /// Check, mend and tidy the store of ciphertext
    #[command(subcommand)]
    Blocks(blocks::BlocksCommand),
    /// Where ciphertext lies: in the folder, in a Kubo node, or in both
    #[command(subcommand)]
    Storage(storage::StorageCommand),
    /// Look at a Kubo node
    #[cfg(feature = "kubo")]
    #[command(subcommand)]
    Ipfs(ipfs::IpfsCommand),
    /// Put what was accepted into blocks
    Mine(mine::MineArgs),
    /// Wait until a record is mined or final, while others mine
    Wait(wait::WaitArgs),
    /// Letters that wait
    #[command(subcommand)]
    Mail(mail::MailCommand),
    /// Who saw a patient's reports, when and for which purpose
    Accesses(accesses::AccessesArgs),
    /// The hospital's log of refused reads and wrong keys
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Keys: new ones in place of lost ones
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Show the keys that wait for a member, once
    Pickup(pickup::PickupArgs),
    /// Show the ledger's chain, counts and difficulty
    Status,
    /// Play the whole journey of a report in a folder of its own; with --json a document a step
    Demo(demo::DemoArgs),
    /// Print the CID of a file or folder; needs no ledger
    Cid(cid::CidArgs),
    /// Seal standard input to standard output; needs no ledger
    Seal(seal::SealArgs),
    /// Unseal standard input to standard output; needs no ledger
    Unseal(unseal::UnsealArgs),
    /// Look at or mine 80-byte block headers; needs no ledger
    #[command(subcommand)]
    Header(header::HeaderCommand),
    /// Simulate miners and attackers: block times, stale blocks, chances; needs no ledger
    Simulate(simulate::SimulateArgs),
    /// Measure what this machine can do; needs no ledger
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

fn short_help() -> String {
    "Exit codes, secrets and JSON are explained by `medledger --help`.".into()
}

fn long_help() -> String {
    let mut codes = String::from("  0  done\n");
    for (_, code, name, meaning) in Fault::TABLE {
        codes.push_str(&format!("  {code}  {name}: {meaning}\n"));
    }
    format!(
        "\
Exit codes:
{codes}  130  interrupted: with Ctrl-C; what was accepted is kept, and waits
  143, 129  the same by SIGTERM, SIGHUP

Naming things:
  A MEMBER is a registration number, a member id, or the beginning of an id
  (4 characters or more; digits alone are a number if fewer than 8). A REPORT is a report id, its beginning, or its label.
  Requests, grants and records are named by id or its beginning; a GROUP by its name too.

Secrets:
  Passwords come from --password-file, else from MEDLEDGER_PASSWORD, else you
  are asked; those of new members from MEDLEDGER_NEW_PASSWORD. Credentials of a
  Kubo node come from MEDLEDGER_KUBO_AUTH, those of others under
  `medledger storage` from MEDLEDGER_AUTH_NAME. Access keys come from --access-key-file, MEDLEDGER_ACCESS_KEY, or
  are asked for with --access-key. None is taken as an argument, which every
  process of the machine could see. Where no mail is set up, an access key is
  shown once, to be handed over.

Accepted, mined, final:
  A command that ends well has its record accepted: durable, never lost.
  `medledger mine`, or --wait, puts it in a block. Interrupting that loses
  nothing.

JSON:
  With --json standard output is one JSON document with names in snake_case;
  ids are hexadecimal, times RFC 3339 in UTC. Errors are
  {{\"error\": {{\"code\", \"message\", \"fault\", \"hint\"}}}} on standard error:
  \"fault\" is a name from the table above, \"code\" says more, \"hint\" may be
  absent. Results of commands that add a record have \"block\": {{\"height\", \"id\"}}
  with --wait, beside the work it took, and null without. An access key handed
  over is \"access_key\".
  Of several files uploaded together, \"reports\" lists each \"file\" with its
  report or its \"error\", and \"blocks\" lists the blocks. If some failed, the
  others are accepted all the same; the exit code is that of the first failed.
  \"rotations\" does so for reports put under new keys. `rotate confirm` lists
  \"confirmations\"; it exits with 5 when a content is another than before, with
  4 when the keys to compare are not here."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for (fault, code, name, _) in Fault::TABLE {
            assert_eq!(fault.code(), code);
            assert!(help.contains(&format!("  {code}  {name}")), "{name}");
        }
    }
}
