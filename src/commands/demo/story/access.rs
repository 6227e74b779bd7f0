//! Asking, approving, opening, being refused, looking who read, and revoking.

use super::{AUTHOR, Fault, OPENED, PATIENT, READER, STRANGER, Story, expect, file_name, speed};
use crate::commands::demo::narrator::seconds;
use crate::output::grouped;
use medledger::core::registry::Kind;
use medledger::core::store::RecordQuery;
use medledger::{
    AccessKey, Approved, GrantId, Identity, Key, OpenReportError, OpenedReport, Purpose, RecordId,
    Uploaded, parse_time, show_time,
};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Instant;

impl Story<'_, '_> {
    pub(super) fn patients_letter(&mut self) -> Result<AccessKey, Fault> {
        let patient = PATIENT.name;
        self.tell.step("patients-mail", &format!("{patient} gets a mail with a key"))?;
        self.tell.say(&format!(
            "The key is 16 random bytes, written with two check characters. It is in this mail \
             and nowhere else; the demo reads it out of the mail, as {patient} would."
        ))?;
        let letter = self.outbox.fetch(PATIENT.address)?;
        self.show_letter(&letter)?;
        let key = letter.key()?;
        self.tell.fact("key", key.to_text().as_str())?;
        Ok(key)
    }

    pub(super) fn request(&mut self, uploaded: &Uploaded) -> Result<RecordId, Fault> {
        let (reader, patient) = (READER.name, PATIENT.name);
        self.tell.step("request", &format!("{reader} asks to read the report"))?;
        self.tell.say(&format!(
            "{reader} says what for and until when. The question is a record too, and {patient} \
             gets it by mail."
        ))?;
        let until = parse_time("30d", self.ledger.now())?;
        let request =
            self.ledger.request(&self.cast.reader, &uploaded.report, Purpose::Treatment, until)?;
        let waiting = self.ledger.requests(&self.cast.patient.id())?;
        expect(waiting.len() == 1 && waiting[0].id == request, || {
            format!("one request should wait for {patient}, {} do", waiting.len())
        })?;
        self.tell.fact("purpose", Purpose::Treatment)?;
        self.tell.fact("until", show_time(until))?;
        self.tell.fact("request", request)?;
        let letter = self.outbox.fetch(PATIENT.address)?;
        self.show_letter(&letter)?;
        self.block(1)?;
        Ok(request)
    }

    pub(super) fn approve(
        &mut self,
        request: &RecordId,
        key: &AccessKey,
    ) -> Result<(GrantId, AccessKey), Fault> {
        let (reader, patient) = (READER.name, PATIENT.name);
        self.tell.step("approve", &format!("{patient} approves, with the key from the mail"))?;
        self.tell.say(&format!(
            "That takes {patient}'s password as well, for the signature. The key of the report is \
             wrapped anew under another key that only {reader} gets; {patient}'s own is not \
             passed on."
        ))?;
        let patient = self.ledger.unlock(&self.cast.patient.id(), PATIENT.password)?;
        let approved: Approved = self.ledger.approve(&patient, request, &Key::Access(key))?;
        self.tell.fact("grant id", approved.grant)?;
        self.tell.fact("record", approved.record)?;
        let letter = self.outbox.fetch(READER.address)?;
        self.show_letter(&letter)?;
        let readers_key = letter.key()?;
        expect(readers_key != *key, || format!("{reader} was sent the patient's own key"))?;
        self.tell.fact("key", readers_key.to_text().as_str())?;
        self.block(1)?;
        Ok((approved.grant, readers_key))
    }

    pub(super) fn open(&mut self, uploaded: &Uploaded, key: &AccessKey) -> Result<(), Fault> {
        let reader = READER.name;
        self.tell.step("open", &format!("{reader} opens the report"))?;
        self.tell.say(
            "The reading is recorded before anything comes out. Every block is checked against \
             its content id and every 16 KiB against a tag; then the whole is compared with the \
             original.",
        )?;
        let begun = Instant::now();
        let mut opened =
            self.ledger.open_report(&self.cast.reader, &uploaded.report, &Key::Access(key))?;
        let name = opened.metadata().file_name().to_owned();
        expect(name == file_name(self.file), || format!("the file name became {name:?}"))?;
        let folder = self.root.join(OPENED);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(file_name(self.file));
        let length = copy(&mut opened, &mut File::create(&path)?)?;
        let took = begun.elapsed();
        let same = same_bytes(&mut File::open(self.file)?, &mut File::open(&path)?)?;
        expect(same, || format!("{} differs from the original", path.display()))?;
        expect(length == uploaded.length, || format!("{length} bytes were opened"))?;
        let shown = path.strip_prefix(self.root).unwrap_or(&path).display().to_string();
        self.tell.fact_as("saved as", &shown, json!(path))?;
        let shown = format!("all {} bytes equal the original", grouped(length.into()));
        self.tell.fact_as("compared", &shown, json!({"bytes": length, "equal": true}))?;
        self.tell.fact_as("took", &speed(length, took), json!(seconds(took)))?;
        self.tell.fact("record", opened.read_record())?;
        self.block(1)
    }

    /// Those whom nobody permitted: no key helps them, and the author is no exception.
    pub(super) fn strangers(&mut self, uploaded: &Uploaded, key: &AccessKey) -> Result<(), Fault> {
        let (author, reader, stranger) = (AUTHOR.name, READER.name, STRANGER.name);
        self.tell.step("strangers", "Those without a permission are refused")?;
        let open =
            |who: &Identity, key: Key<'_>| self.ledger.open_report(who, &uploaded.report, &key);
        let attempts = [
            (format!("{stranger} just tries:"), open(&self.cast.stranger, Key::Identity)),
            (
                format!("{stranger} got hold of the key that was mailed to {reader}:"),
                open(&self.cast.stranger, Key::Access(key)),
            ),
            (
                format!("{author}, who uploaded the report, needs a permission now like anyone:"),
                open(&self.cast.author, Key::Identity),
            ),
        ];
        for (who, attempt) in attempts {
            self.tell.say(&who)?;
            let error = refused(attempt, |error| matches!(error, OpenReportError::NoAccess))?;
            self.tell.fact("refused", error)?;
        }
        let waiting = self.ledger.waiting()?;
        expect(waiting == 0, || "a refused reader left a record of a reading".into())
    }

    pub(super) fn who_read(&mut self, uploaded: &Uploaded) -> Result<(), Fault> {
        let (reader, patient) = (READER.name, PATIENT.name);
        self.tell.step("who-read", &format!("{patient} looks who read the report"))?;
        self.tell.say("Each reading stands in a block; those who were refused read nothing.")?;
        let query = RecordQuery {
            kind: Some(Kind::Read),
            report: Some(uploaded.report),
            ..RecordQuery::default()
        };
        let entries = self.ledger.log(&query)?;
        for entry in &entries {
            let shown = format!("{} at {}", entry.author_name, show_time(entry.time));
            let value = json!({
                "reader": entry.author.to_string(),
                "time": show_time(entry.time),
                "record": entry.id.to_string(),
                "block": entry.block.map(|block| block.to_string()),
            });
            self.tell.fact_as("read by", &shown, value)?;
            let block = entry.block.map_or_else(|| "none yet".into(), |block| block.to_string());
            self.tell.fact_as("in block", &block, json!(block))?;
        }
        let only = entries.len() == 1
            && entries[0].author == self.cast.reader.id()
            && entries[0].block.is_some();
        expect(only, || format!("one reading by {reader} should be on the ledger"))
    }

    pub(super) fn revoke(
        &mut self,
        uploaded: &Uploaded,
        grant: &GrantId,
        key: &AccessKey,
    ) -> Result<(), Fault> {
        let (reader, patient) = (READER.name, PATIENT.name);
        self.tell.step("revoke", &format!("{patient} takes the permission back"))?;
        self.tell.say(&format!(
            "The key wrapped for {reader} is destroyed. From now on nothing new opens; what was \
             read or saved before cannot be called back, here or anywhere."
        ))?;
        let record = self.ledger.revoke(&self.cast.patient, grant)?;
        self.tell.fact("record", record)?;
        let letter = self.outbox.fetch(READER.address)?;
        self.show_letter(&letter)?;
        self.block(1)?;
        self.tell.say(&format!("{reader} tries the key once more:"))?;
        let attempt =
            self.ledger.open_report(&self.cast.reader, &uploaded.report, &Key::Access(key));
        let error = refused(attempt, |error| matches!(error, OpenReportError::Revoked))?;
        self.tell.fact("refused", error)?;
        Ok(())
    }
}

/// What a refused reader was told; `right` says whether that is the reason it should be.
pub(super) fn refused(
    attempt: Result<OpenedReport, OpenReportError>,
    right: impl FnOnce(&OpenReportError) -> bool,
) -> Result<String, Fault> {
    match attempt {
        Ok(_) => Err(Fault::Unexpected("the report opened without a permission".into())),
        Err(error) if right(&error) => Ok(error.to_string()),
        Err(error) => Err(Fault::Unexpected(format!("refused, but for another reason: {error}"))),
    }
}

/// Copies in pieces, so that a report of any size takes little memory.
fn copy(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<u64> {
    let mut piece = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        let n = from.read(&mut piece)?;
        if n == 0 {
            return Ok(length);
        }
        to.write_all(&piece[..n])?;
        length += n as u64;
    }
}

fn same_bytes(a: &mut impl Read, b: &mut impl Read) -> std::io::Result<bool> {
    const PIECE: u64 = 1 << 20;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        a.by_ref().take(PIECE).read_to_end(&mut left)?;
        b.by_ref().take(PIECE).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}
