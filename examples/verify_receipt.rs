//! Checks a receipt offline: with the file and the id of the chain, and nothing else.
//!
//! ```text
//! cargo run --release --example verify_receipt -- FILE CHAIN_ID
//! ```

use medledger::{ChainId, Proven, Receipt, show_time};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(file), Some(chain)) = (args.next(), args.next()) else {
        return Err("usage: verify_receipt FILE CHAIN_ID".into());
    };
    let proven = check(Path::new(&file), &chain.to_string_lossy())?;
    println!("record  {} ({})", proven.record.id(), proven.record.record().body.kind());
    println!("author  {}", proven.record.record().author);
    println!("block   {} at height {}", proven.block, proven.height);
    println!("time    {}", show_time(proven.time));
    println!("under   a checkpoint over {} blocks", proven.checkpoint_size);
    Ok(())
}

fn check(file: &Path, chain: &str) -> Result<Proven, Box<dyn Error>> {
    let chain: ChainId = chain.parse()?;
    Ok(Receipt::from_bytes(&std::fs::read(file)?)?.check(&chain)?)
}

#[test]
fn a_receipt_is_proved_and_a_changed_one_is_not() -> Result<(), Box<dyn Error>> {
    use medledger::{Contact, CreateOptions, Difficulty, EngineChoice, Ledger, Role};

    let folder = tempfile::tempdir()?;
    let mut options = CreateOptions::new("General Hospital");
    options.engine = EngineChoice::Work(Difficulty::AboutSeconds(0.001));
    let (ledger, hospital) = Ledger::create(folder.path().join("ledger"), options, "hospital's")?;
    let (_, registration) =
        ledger.add_member(&hospital, Role::Doctor, &Contact::named("Dr Archer"), "doctor's")?;
    ledger.wait_mined(&registration.record)?;
    let mut bytes = ledger.receipt(&registration.record)?.encode();
    let (file, chain) = (folder.path().join("a.receipt"), ledger.chain().to_string());

    std::fs::write(&file, &bytes)?;
    assert_eq!(check(&file, &chain)?.record.id(), registration.record);
    let other = chain.replace(|c: char| c != '0', "1");
    assert!(check(&file, &other).is_err());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes)?;
    assert!(check(&file, &chain).is_err());
    Ok(())
}
