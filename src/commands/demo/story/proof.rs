//! What nobody has to believe: a damaged block, a receipt checked offline, the whole ledger verified.

use super::{Fault, LEDGER, PATIENT, RECEIPTS, Story, expect};
use crate::commands::demo::damage::{FlippedBit, middle_leaf, tampered};
use crate::commands::demo::narrator::{seconds, show_duration};
use crate::output::grouped;
use medledger::core::cid::Cid;
use medledger::ipfs::store::FileStore;
use medledger::{
    AccessKey, ChainId, Finding, Key, Receipt, Uploaded, VerifyDepth, VerifyReport, show_time,
};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

impl Story<'_, '_> {
    pub(super) fn flip_a_bit(
        &mut self,
        uploaded: &Uploaded,
        patients_key: &AccessKey,
    ) -> Result<(), Fault> {
        let patient = PATIENT.name;
        self.tell.step("damage", "The disk flips a bit")?;
        self.tell.say(
            "The ledger is closed and opened again. Then one bit of a stored block is turned \
             over, in the file itself.",
        )?;
        let store = FileStore::open_read_only(self.root.join(LEDGER).join("blocks"))?;
        let block = middle_leaf(&store, uploaded.body)?;
        let bit = FlippedBit::flip(&store.block_path(&block))?;
        let name = bit.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let shown = format!("bit 0 of byte {}", grouped(bit.offset.into()));
        self.tell.fact_as("flipped", &shown, json!({"byte": bit.offset, "bit": 0}))?;
        self.tell.fact_as("in file", &name, json!(bit.path))?;

        self.tell
            .say(&format!("{patient} opens the report, then everything stored is checked:"))?;
        let opened = self.open_whole(uploaded, patients_key);
        let found = self.ledger.verify(VerifyDepth::Full);
        // Before anything is judged, so that a failing demo leaves no damage behind.
        bit.restore()?;
        let error = match opened {
            Ok(_) => return Err(Fault::Unexpected("a damaged report opened".into())),
            Err(error) => error,
        };
        expect(error.contains(&block.to_string()), || format!("not the damaged block: {error}"))?;
        // The file is named above; programs get all of it.
        let shown = error.split(" (").next().unwrap_or(&error);
        self.tell.fact_as("refused", shown, json!(error))?;
        let named = damaged_blocks(&found?);
        expect(named == [block], || format!("the check should name {block}, it names {named:?}"))?;
        self.tell.fact_as("checked", "that block is damaged, and no other", json!(named.len()))?;

        self.tell.say("The bit is put back:")?;
        let length = self.open_whole(uploaded, patients_key)?;
        let shown = format!("{} bytes, as before", grouped(length.into()));
        self.tell.fact_as("opened", &shown, json!(length))?;
        // The patient's own readings stand on the ledger too: the refused one and the good one.
        self.block(2)
    }

    fn open_whole(&self, uploaded: &Uploaded, key: &AccessKey) -> Result<u64, String> {
        let mut opened = self
            .ledger
            .open_report(&self.cast.patient, &uploaded.report, &Key::Access(key))
            .map_err(|error| error.to_string())?;
        std::io::copy(&mut opened, &mut std::io::sink()).map_err(|error| error.to_string())
    }

    pub(super) fn receipt(&mut self, uploaded: &Uploaded) -> Result<(), Fault> {
        self.tell.step("receipt", "A receipt proves the upload, without the ledger")?;
        self.tell.say(
            "A receipt is a small file. Whoever knows the chain's id can check it offline: that \
             the record is in a block, with the work, the hospital's signature and a checkpoint \
             over it.",
        )?;
        let folder = self.root.join(RECEIPTS);
        std::fs::create_dir_all(&folder)?;
        let (path, bad) = (folder.join("upload.receipt"), folder.join("tampered.receipt"));
        let bytes = self.ledger.receipt(&uploaded.record)?.encode();
        std::fs::write(&path, &bytes)?;
        let changed = tampered(&bytes, &uploaded.envelope.to_bytes())
            .ok_or_else(|| Fault::Unexpected("the receipt names no envelope".into()))?;
        std::fs::write(&bad, changed)?;
        // From here on only files and the id as text: nothing of the ledger.
        let chain: ChainId = self.ledger.chain().to_string().parse()?;
        let begun = Instant::now();
        let receipt = Receipt::decode(&std::fs::read(&path)?)?;
        let proven = receipt.check(&chain)?;
        let took = begun.elapsed();
        expect(proven.record.id() == uploaded.record, || "it proves another record".into())?;
        let shown = format!("{RECEIPTS}/upload.receipt, {} bytes", grouped(bytes.len() as u128));
        self.tell.fact_as("file", &shown, json!({"path": path, "bytes": bytes.len()}))?;
        self.tell.fact("proves", proven.record.id())?;
        self.tell.fact("in block", proven.block)?;
        let shown = format!("{} by the block's clock", show_time(proven.time));
        self.tell.fact_as("mined at", &shown, json!(show_time(proven.time)))?;
        self.tell.fact_as("took", &show_duration(took), json!(seconds(took)))?;

        self.tell.say("A copy that names another envelope, by one bit, is refused:")?;
        let error = match check(&bad, &chain) {
            Ok(()) => return Err(Fault::Unexpected("a tampered receipt was accepted".into())),
            Err(error) => error,
        };
        self.tell.fact("refused", error)?;
        Ok(())
    }

    pub(super) fn verify(&mut self) -> Result<(), Fault> {
        self.tell.step("verify", "The whole ledger is verified")?;
        self.tell.say(
            "From the first block on: work, roots, signatures, the effect of every record, the \
             state that follows from them, the checkpoint, and every block of every report.",
        )?;
        let begun = Instant::now();
        let report = self.ledger.verify(VerifyDepth::Full)?;
        let took = begun.elapsed();
        if let Some(finding) = report.findings.first() {
            return Err(Fault::Unexpected(finding.to_string()));
        }
        let shown = format!(
            "{} blocks, {} records, {} report of {} encrypted bytes",
            report.blocks,
            report.records,
            report.reports,
            grouped(report.bytes.into())
        );
        let value = json!({
            "blocks": report.blocks,
            "records": report.records,
            "reports": report.reports,
            "bytes": report.bytes,
        });
        self.tell.fact_as("checked", &shown, value)?;
        self.tell.fact_as("found", "nothing wrong", json!(0))?;
        self.tell.fact_as("took", &show_duration(took), json!(seconds(took)))?;
        Ok(())
    }
}

fn check(path: &Path, chain: &ChainId) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let receipt = Receipt::decode(&bytes).map_err(|error| error.to_string())?;
    receipt.check(chain).map(drop).map_err(|error| error.to_string())
}

fn damaged_blocks(report: &VerifyReport) -> Vec<Cid> {
    let damaged = |finding: &Finding| match finding {
        Finding::Damaged { cid, .. } => Some(*cid),
        _ => None,
    };
    report.findings.iter().filter_map(damaged).collect()
}
