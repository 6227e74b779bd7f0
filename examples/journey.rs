//! The main journey with the library: a report is uploaded, the patient approves a reader, the
//! reader opens it.
//!
//! ```text
//! cargo run --release --example journey
//! ```

use medledger::{
    Contact, CreateOptions, Delivery, Difficulty, EngineChoice, Key, Ledger, Purpose, Role,
    UploadOptions, parse_time,
};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut options = CreateOptions::new("General Hospital");
    options.engine = EngineChoice::Work(Difficulty::AboutSeconds(0.1));
    let (ledger, hospital) = Ledger::create(folder.path().join("ledger"), options, "hospital's")?;
    println!("chain    {}", ledger.chain());

    let add = |role, name: &str| {
        ledger.add_member(&hospital, role, &Contact::named(name), "a password of their own")
    };
    let (author, _) = add(Role::Doctor, "Dr Archer")?;
    let (reader, _) = add(Role::Doctor, "Dr Baker")?;
    let (patient, _) = add(Role::Patient, "Pat")?;

    // Any `Read` will do: a file, a socket, bytes. It is read once and never held whole.
    let report = include_bytes!("sample-report.pdf");
    let options = UploadOptions::named("sample-report.pdf", "application/pdf");
    let uploaded = ledger.upload_with(&author, &patient.id(), &report[..], &options)?;
    println!("report   {}\ncontent  {}", uploaded.report, uploaded.body);
    // No mail is set up, so the key is handed over here, once.
    let Delivery::PickUp(patients_key) = uploaded.delivery else { unreachable!("no mail") };
    println!("height   {}", ledger.wait_mined(&uploaded.record)?);

    let until = parse_time("30d", ledger.now())?;
    let request = ledger.request(&reader, &uploaded.report, Purpose::Treatment, until)?;
    let approved = ledger.approve(&patient, &request, &Key::Access(&patients_key))?;
    let Delivery::PickUp(readers_key) = approved.delivery else { unreachable!("no mail") };
    ledger.wait_mined(&approved.record)?;

    let mut opened = ledger.open_report(&reader, &uploaded.report, &Key::Access(&readers_key))?;
    println!("name     {}", opened.metadata().file_name());
    assert_eq!(opened.to_vec()?, report);
    // A part alone costs only the blocks it lies in.
    assert_eq!(opened.read_range(0, 4)?, b"%PDF");

    ledger.revoke(&patient, &approved.grant)?;
    let again = ledger.open_report(&reader, &uploaded.report, &Key::Access(&readers_key));
    println!("revoked  {}", again.expect_err("nothing opens after a revocation"));
    Ok(())
}

#[test]
fn runs() -> Result<(), Box<dyn Error>> {
    main()
}
