//! The last words: what was left where, and how to look at it.

use super::letters::Outbox;
use super::narrator::Narrator;
use super::story::{
    AUTHOR, HOSPITAL, HOSPITAL_PASSWORD, LEDGER, OPENED, OUTBOX, PATIENT, Part, READER, RECEIPTS,
    STRANGER,
};
use crate::shell;
use serde_json::json;
use std::io;
use std::path::Path;

pub(super) fn tell(tell: &mut Narrator<'_>, root: &Path, chain: &str) -> io::Result<()> {
    let ledger = root.join(LEDGER);
    let letters = Outbox::new(ledger.join(OUTBOX)).count().map_err(io::Error::other)?;
    tell.step("left", "Everything is left to look at")?;
    tell.say(&format!("In {}", root.display()))?;
    let left = [
        ("database", "ledger.db", "SQLite; what is not public is encrypted"),
        ("blocks", "blocks/", "ciphertext, each file named by its hash"),
        ("identities", "identities/", "locked by the passwords below"),
    ];
    for (label, name, what) in left {
        let path = format!("{LEDGER}/{name}");
        tell.fact_as(label, &format!("{path:<20} {what}"), json!(path))?;
    }
    let path = format!("{LEDGER}/{OUTBOX}/");
    let shown = format!("{path:<20} {letters} letters (.eml), two with a key");
    tell.fact_as("mails", &shown, json!({"folder": path, "letters": letters}))?;
    let receipts = format!("{RECEIPTS}/");
    tell.fact_as(
        "receipts",
        &format!("{receipts:<20} a good one, a tampered one"),
        json!(receipts),
    )?;
    let opened = format!("{OPENED}/");
    let shown = format!("{opened:<20} the report in clear, as {} saved it", READER.name);
    tell.fact_as("opened", &shown, json!(opened))?;

    tell.say("The passwords, and the numbers to name people by:")?;
    tell.fact_as("1", &format!("{HOSPITAL:<20} {HOSPITAL_PASSWORD}"), json!(HOSPITAL_PASSWORD))?;
    for (number, Part { name, password, .. }) in (2..).zip([PATIENT, AUTHOR, READER, STRANGER]) {
        tell.fact_as(&format!("{number}"), &format!("{name:<20} {password}"), json!(password))?;
    }

    // Somebody who ran it through cargo has no `medledger` on the path.
    match std::env::current_exe() {
        Ok(program) => {
            tell.say("Look on with these; each has more to it with --help. The program is")?;
            tell.line("")?;
            tell.line(&shell::word(&program.display().to_string()))?;
        }
        Err(_) => tell.say("Look on with these; each has more to it with --help:")?,
    }
    tell.line("")?;
    let folder = shell::word(&root.display().to_string());
    tell.line(&format!("cd {folder}"))?;
    for command in [
        "medledger --ledger ledger log".to_owned(),
        "medledger --ledger ledger reports --as 2".to_owned(),
        "medledger --ledger ledger verify".to_owned(),
        format!("medledger receipt check {RECEIPTS}/upload.receipt --chain {chain}"),
    ] {
        tell.line(&command)?;
    }
    Ok(())
}
