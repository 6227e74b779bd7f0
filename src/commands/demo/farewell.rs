//! The last words: what was left where, and how to look at it.

use super::letters::Outbox;
use super::narrator::Narrator;
use super::story::{
    AUTHOR, HOSPITAL, HOSPITAL_PASSWORD, LEDGER, OPENED, OUTBOX, PATIENT, READER, RECEIPTS, STRANGER,
};
use std::io;
use std::path::Path;

pub(super) fn tell(tell: &mut Narrator<'_>, root: &Path) -> io::Result<()> {
    let ledger = root.join(LEDGER);
    let letters = Outbox::new(ledger.join(OUTBOX)).count().map_err(io::Error::other)?;
    tell.step("left", "Everything is left to look at")?;
    tell.fact("folder", root.display())?;
    tell.fact("database", format!("{LEDGER}/ledger.db (SQLite; records are public, the rest encrypted)"))?;
    tell.fact("blocks", format!("{LEDGER}/blocks/ (ciphertext, each file named by its hash)"))?;
    tell.fact("mails", format!("{LEDGER}/{OUTBOX}/ ({letters} .eml files, with the keys)"))?;
    tell.fact("identities", format!("{LEDGER}/identities/ (locked by the passwords below)"))?;
    tell.fact("receipts", format!("{RECEIPTS}/"))?;
    tell.fact("opened", format!("{OPENED}/ (the report in clear, as Dr Baker saved it)"))?;
    tell.fact("passwords", format!("{HOSPITAL_PASSWORD} ({HOSPITAL})"))?;
    for part in [PATIENT, AUTHOR, READER, STRANGER] {
        tell.fact("", format!("{} ({})", part.password, part.name))?;
    }
    Ok(())
}
