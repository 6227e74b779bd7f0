//! Sealing and content ids alone, without a ledger: seal bytes, name the ciphertext by its CID, and
//! open a part of it.
//!
//! ```text
//! cargo run --release --example seal_and_cid
//! ```

use medledger::core::dek::Dek;
use medledger::core::rand_core::UnwrapErr;
use medledger::core::seal::{self, Backend, UnsealReader};
use medledger::ipfs::unixfs::{Profile, cid_of};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let report: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();

    // Whoever opens it must give the same context: a ciphertext put elsewhere does not open.
    let (dek, context) = (Dek::generate(&mut rng), b"ward 3, bed 7");
    let sealed = seal::seal(&dek, context, &report, &mut rng)?;
    println!("{} bytes sealed to {}", report.len(), sealed.len());

    // The CID that `ipfs add` with the same profile gives; equal bytes, equal CID.
    let root = cid_of(&sealed[..], Profile::default())?;
    println!("CID {}", root.cid);

    let mut reader = UnsealReader::new(Backend::best(), &dek, context, sealed.clone())?;
    assert_eq!(reader.read_range(1_000_000, 5)?, report[1_000_000..1_000_005]);
    assert_eq!(seal::unseal(&dek, context, &sealed)?, report);

    let mut damaged = sealed;
    damaged[1_500_000] ^= 1;
    println!("one bit flipped: {}", seal::unseal(&dek, context, &damaged).unwrap_err());
    assert_ne!(cid_of(&damaged[..], Profile::default())?.cid, root.cid);
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn Error>> {
    main()
}
