//! Receipts as text, and those of several hospitals.

use super::case::{Case, File};
use super::world::{HOSPITAL, NOW, member, mining, world, world_of};
use medledger_core::checkpoint::{Checkpoint, NoteKey, SignedNote};
use medledger_core::clock::Timestamp;
use medledger_core::finality;
use medledger_core::receipt::Receipt;
use medledger_core::store::Store;

/// Receipts as C2SP tlog-proof.
pub(crate) fn add_texts(file: &mut File) {
    let world = world();
    let chain = world.rules.chain.to_string();
    let view = world.store.view().unwrap();
    let record = &world.records[5].1;
    let stored = view.record(&record.id()).unwrap().unwrap();
    let receipt = Receipt::of(view.as_ref(), &world.rules, &stored).unwrap();
    let proven = receipt.check(&world.rules.chain).unwrap();
    let text = receipt.to_tlog_proof().unwrap();
    file.push(
        Case::new("text", "ok", "a receipt as C2SP tlog-proof")
            .with("chain", chain.clone())
            .hex("bytes", &text)
            .with("record", record.id().to_string())
            .with("block", proven.block.to_string())
            .with("height", proven.height),
    );
    let mut add = |name: &str, expect: &str, reason: &str, text: String| {
        let case = Case::new(name, expect, reason).with("chain", chain.clone());
        file.push(case.hex("bytes", text));
    };
    let (start, end) = (text.find("extra ").unwrap(), text.find("index ").unwrap());
    let (extra, rest) = (&text[start + 6..end - 1], &text[end..]);
    let with = |extra: &str| format!("{}extra {extra}\n{rest}", &text[..start]);
    let bare = format!("{}{rest}", &text[..start]);
    add("text_without_extra", "no_extra", "it is about a block, not a record", bare);
    add(
        "text_extra_cut",
        "malformed",
        "extra data that end early",
        with(&extra[..extra.len() - 4]),
    );
    add("text_extra_empty", "malformed", "no extra data but the line for them", with(""));
    let zero = text.replace("index 2", "index 02");
    add("text_leading_zero", "tlog_proof", "a number has one form", zero);
    let base64 = text.replace("=\n\nmedledger", "\n\nmedledger");
    add("text_unpadded_hash", "tlog_proof", "base64 is padded", base64);
    add("text_carriage_returns", "malformed", "lines end in U+000A", text.replace('\n', "\r\n"));
    add(
        "text_version_2",
        "malformed",
        "another first line is no tlog-proof",
        text.replace("@v1", "@v2"),
    );
    let wrong = text.replace("index 2", "index 1");
    add(
        "text_another_height",
        "not_in_log",
        "the path of that height leads to another root",
        wrong,
    );
    let above = text.replace("index 2", "index 4");
    add("text_above_the_checkpoint", "not_final", "the checkpoint covers 4 blocks", above);
    let no_size = text.replace("\n4\n", "\nfour\n");
    add("text_checkpoint_without_size", "checkpoint", "a size is a number", no_size);
    let unsigned = text[..text.rfind('\u{2014}').unwrap()].to_owned();
    add("text_unsigned", "tlog_proof", "a note has a signature", unsigned);
}

/// Receipts of a chain of four hospitals: a quorum is three.
pub(crate) fn add_of_four(file: &mut File) {
    let hospitals = [HOSPITAL, 11, 12, 13];
    let world = world_of(&hospitals);
    let chain = world.rules.chain;
    let signed = |by: &[u8]| {
        let view = world.store.view().unwrap();
        let root = finality::tree_root(view.as_ref(), 4).unwrap();
        let mut note = SignedNote::new(Checkpoint::new(&chain, 4, root).to_string()).unwrap();
        for number in by {
            let secret = ed25519_zebra::SigningKey::from(*mining(*number).expose_seed());
            let name = member(*number).id().to_string();
            let key = NoteKey::cosigner(name, *mining(*number).verifying_key().as_bytes()).unwrap();
            let time = Timestamp::from_secs(NOW + 200 + u64::from(*number));
            note.cosign(&key, time, &mut |m| secret.sign(m).to_bytes()).unwrap();
        }
        note.to_string()
    };
    // The stranger's signature in the middle is ignored.
    let three = signed(&[13, 99, HOSPITAL, 12]);
    let mut unit = world.store.unit().unwrap();
    finality::accept(unit.as_mut(), &world.rules, three.as_bytes()).unwrap();
    unit.commit().unwrap();
    let view = world.store.view().unwrap();
    let record = &world.records[6].1;
    let stored = view.record(&record.id()).unwrap().unwrap();
    let receipt = Receipt::of(view.as_ref(), &world.rules, &stored).unwrap();
    let proven = receipt.check(&chain).unwrap();
    let good = receipt.to_tlog_proof().unwrap();
    for (name, bytes) in
        [("four_hospitals", receipt.encode()), ("text_of_four", good.clone().into())]
    {
        file.push(
            Case::new(name, "ok", "three of four hospitals have cosigned, and a stranger")
                .with("chain", chain.to_string())
                .hex("bytes", bytes)
                .with("record", record.id().to_string())
                .with("block", proven.block.to_string())
                .with("height", proven.height),
        );
    }
    let mut add = |name: &str, reason: &str, note: String| {
        let text = good.replace(&three, &note);
        assert_ne!(text, good);
        let case = Case::new(name, "checkpoint", reason).pitfall(23);
        file.push(case.with("chain", chain.to_string()).hex("bytes", text));
    };
    add("two_of_four", "two of four hospitals are no quorum", signed(&[13, 99, 12]));
    let thrice = signed(&[12, 12, 12]);
    add("one_of_four_thrice", "a hospital counts once", thrice);
    let mut lines: Vec<&str> = three.split_inclusive('\n').collect();
    let name = member(11).id().to_string();
    let other = lines[4].replace(lines[4].split(' ').nth(1).unwrap(), &name);
    lines.push(&other);
    add("under_another_name", "a key id is of name and key", {
        let mut lines = lines.clone();
        lines.remove(4);
        lines.concat()
    });
    // The three are a quorum, and one more signature by a hospital's key is wrong.
    let wrong = signed(&[HOSPITAL, 11, 12, 13]).replace(
        signed(&[11]).split_inclusive('\n').next_back().unwrap(),
        &{
            let bad = signed(&[11]);
            let line = bad.split_inclusive('\n').next_back().unwrap();
            let at = line.len() - 20;
            let other = if &line[at..=at] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &line[..at], &line[at + 1..])
        },
    );
    add("one_wrong_of_four", "one wrong signature under a known key refuses the note", wrong);
}
