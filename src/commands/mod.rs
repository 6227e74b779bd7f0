//! The commands, one file each: what they take, what they call, what they print.

pub(crate) mod accesses;
pub(crate) mod approve;
pub(crate) mod audit;
mod awaited;
pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod blocks;
pub(crate) mod checkpoint;
pub(crate) mod cid;
pub(crate) mod collection;
pub(crate) mod delegate;
pub(crate) mod demo;
pub(crate) mod export;
mod grants;
pub(crate) mod group;
pub(crate) mod header;
pub(crate) mod hospital;
pub(crate) mod identity;
pub(crate) mod import;
pub(crate) mod init;
#[cfg(feature = "kubo")]
pub(crate) mod ipfs;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod mail;
pub(crate) mod member;
pub(crate) mod mine;
pub(crate) mod open;
pub(crate) mod pickup;
pub(crate) mod prune;
pub(crate) mod receipt;
pub(crate) mod refuse;
pub(crate) mod reports;
pub(crate) mod request;
pub(crate) mod requests;
pub(crate) mod restore;
pub(crate) mod revoke;
pub(crate) mod rotate;
mod says;
pub(crate) mod seal;
pub(crate) mod share;
pub(crate) mod simulate;
pub(crate) mod slot;
pub(crate) mod status;
pub(crate) mod storage;
pub(crate) mod unseal;
pub(crate) mod upload;
pub(crate) mod verify;
pub(crate) mod wait;

use crate::cli::{Cli, Command};
use crate::context::Context;
use crate::exit::Result;

/// Runs one command.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let context = Context::new(cli.global);
    match cli.command {
        Command::Init(args) => init::run(&context, &args),
        Command::Hospital(command) => hospital::run(&context, &command),
        Command::Member(command) => member::run(&context, &command),
        Command::Identity(command) => identity::run(&context, &command),
        Command::Upload(args) => upload::run(&context, &args),
        Command::Request(args) => request::run(&context, &args),
        Command::Requests(args) => requests::run(&context, &args),
        Command::Approve(args) => approve::run(&context, &args),
        Command::Refuse(args) => refuse::run(&context, &args),
        Command::Share(args) => share::run(&context, &args),
        Command::Delegate(args) => delegate::run(&context, &args),
        Command::Group(command) => group::run(&context, &command),
        Command::Collection(command) => collection::run(&context, &command),
        Command::Open(args) => open::run(&context, &args),
        Command::Slot(command) => slot::run(&context, &command),
        Command::Revoke(args) => revoke::run(&context, &args),
        Command::Rotate(args) => rotate::run(&context, &args),
        Command::Reports(args) => reports::run(&context, &args),
        Command::Log(args) => log::run(&context, &args),
        Command::Verify(args) => verify::run(&context, &args),
        Command::Receipt(command) => receipt::run(&context, &command),
        Command::Checkpoint(command) => checkpoint::run(&context, &command),
        Command::Export(command) => export::run(&context, &command),
        Command::Import(command) => import::run(&context, &command),
        Command::Backup(args) => backup::run(&context, &args),
        Command::Restore(args) => restore::run(&context, &args),
        Command::Prune(args) => prune::run(&context, &args),
        Command::Blocks(command) => blocks::run(&context, &command),
        Command::Storage(command) => storage::run(&context, &command),
        #[cfg(feature = "kubo")]
        Command::Ipfs(command) => ipfs::run(&context, &command),
        Command::Mine(args) => mine::run(&context, &args),
        Command::Wait(args) => wait::run(&context, &args),
        Command::Mail(command) => mail::run(&context, &command),
        Command::Accesses(args) => accesses::run(&context, &args),
        Command::Audit(command) => audit::run(&context, &command),
        Command::Key(command) => key::run(&context, &command),
        Command::Pickup(args) => pickup::run(&context, &args),
        Command::Status => status::run(&context),
        Command::Demo(args) => demo::command(&context, &args),
        Command::Cid(args) => cid::run(&context, &args),
        Command::Seal(args) => seal::run(&context, &args),
        Command::Unseal(args) => unseal::run(&context, &args),
        Command::Header(command) => header::run(&context, &command),
        Command::Simulate(args) => simulate::run(&context, &args),
        Command::Bench(command) => bench::run(&context, &command),
    }
}
