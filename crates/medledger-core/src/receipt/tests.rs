use super::*;
use crate::genesis::{Consensus, Genesis};
use crate::ids::RecordId;
use crate::store::Store;
use crate::testing::*;

fn single() -> Ledger {
    Ledger::new(Genesis::single(founder(HOSPITAL), tiny_work()))
}

/// A ledger of several blocks, and the records in them.
fn grown() -> (Ledger, Vec<SignedRecord>) {
    let ledger = single();
    let mut world = ledger.world().with_people();
    ledger.submit(&world.log).unwrap();
    ledger.order();
    for count in [1, 2, 3, 7] {
        let from = world.log.len();
        for _ in 0..count {
            world.add_report();
        }
        ledger.submit(&world.log[from..]).unwrap();
        ledger.order();
    }
    (ledger, world.log)
}

fn receipt(ledger: &Ledger, record: &SignedRecord) -> Receipt {
    let view = ledger.store.view().unwrap();
    Receipt::of(view.as_ref(), &ledger.rules, &ledger.stored(record)).unwrap()
}

#[test]
fn every_record_of_every_height_has_a_receipt() {
    let (ledger, records) = grown();
    let mut heights = std::collections::BTreeSet::new();
    for record in &records {
        let receipt = receipt(&ledger, record);
        let decoded = Receipt::decode(&receipt.encode()).unwrap();
        assert_eq!(decoded, receipt);
        let proven = decoded.check(&ledger.rules.chain).unwrap();
        assert_eq!(proven.record, *record);
        assert_eq!(proven.checkpoint_size, 6);
        assert_eq!(proven.genesis, ledger.rules.genesis);
        let block = ledger.store.view().unwrap().block(proven.height).unwrap().unwrap();
        assert_eq!(proven.block, block.id);
        heights.insert(proven.height);
    }
    assert_eq!(heights.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_log_gives_receipts_too() {
    let ledger = Ledger::new(Genesis::single(founder(HOSPITAL), Consensus::Log));
    let world = ledger.world().with_people();
    ledger.submit(&world.log).unwrap();
    ledger.order();
    let receipt = receipt(&ledger, &world.log[2]);
    assert_eq!(receipt.check(&ledger.rules.chain).unwrap().record, world.log[2]);
}

#[test]
fn a_receipt_from_a_block_of_a_thousand_records_is_small() {
    let ledger = single();
    let mut world = ledger.world().with_people();
    while world.log.len() < 1000 {
        world.add_report();
    }
    ledger.submit(&world.log).unwrap();
    ledger.order();
    for record in [&world.log[0], &world.log[500], &world.log[999]] {
        let receipt = receipt(&ledger, record);
        let bytes = receipt.encode().len();
        println!("receipt of a {}: {bytes} bytes", record.record().kind());
        assert!(bytes < 4096, "{bytes}");
        receipt.check(&ledger.rules.chain).unwrap();
    }
}

#[test]
fn without_a_final_block_there_is_no_receipt() {
    let (ledger, records) = grown();
    let view = ledger.store.view().unwrap();
    let of = |standing| {
        let stored = StoredRecord { standing, ..ledger.stored(&records[0]) };
        Receipt::of(view.as_ref(), &ledger.rules, &stored)
    };
    assert!(matches!(of(Standing::Accepted { seq: 1 }), Err(ReceiptError::NotMined(_))));
    let code = crate::registry::VoidCode::Expired;
    assert!(matches!(of(Standing::Refused { code }), Err(ReceiptError::Refused(_))));
    let high = Standing::Mined { height: 6, index: 0 };
    assert!(matches!(of(high), Err(ReceiptError::NotFinal { height: 6 })));
    // Two hospitals: one alone is no quorum.
    let mut genesis = Genesis::single(founder(HOSPITAL), tiny_work());
    genesis.founders.push(founder(OTHER_HOSPITAL));
    let ledger = Ledger::new(genesis);
    let world = ledger.world().with_people();
    ledger.submit(&world.log).unwrap();
    ledger.order();
    let view = ledger.store.view().unwrap();
    let result = Receipt::of(view.as_ref(), &ledger.rules, &ledger.stored(&world.log[0]));
    assert!(matches!(result, Err(ReceiptError::NotFinal { height: 1 })));
}

/// What a receipt changed in one place says.
fn mutated(change: impl FnOnce(&mut Receipt, &Ledger, &[SignedRecord])) -> CheckError {
    let (ledger, records) = grown();
    let mut receipt = receipt(&ledger, &records[records.len() - 2]);
    change(&mut receipt, &ledger, &records);
    let receipt = Receipt::decode(&receipt.encode()).unwrap_or(receipt);
    receipt.check(&ledger.rules.chain).unwrap_err()
}

macro_rules! refused {
    ($($name:ident => $error:pat, $change:expr;)*) => {
        $(#[test]
        fn $name() {
            let error = mutated($change);
            assert!(matches!(error, $error), "{error:?}");
        })*
    };
}

refused! {
    a_receipt_of_another_chain => CheckError::OtherChain { .. },
        |receipt, _, _| receipt.genesis_header.time += 1;
    a_configuration_that_is_none => CheckError::Genesis(GenesisError::Malformed(_)),
        |receipt, _, _| { receipt.genesis.pop(); };
    pitfall_23_a_configuration_that_is_not_the_chains =>
        CheckError::GenesisBlock(BlockError::Root { .. }),
        |receipt, _, _| receipt.genesis = Genesis::single(founder(9), tiny_work()).encode();
    a_record_that_is_none => CheckError::Record(RecordError::Malformed(_)),
        |receipt, _, _| { receipt.record.pop(); };
    pitfall_30_a_record_for_another_chain => CheckError::ForeignRecord,
        |receipt, _, _| receipt.record = World::peopled().log[0].encode();
    another_record_of_the_same_chain => CheckError::NotInBlock(ProofError::WrongRoot { .. }),
        |receipt, _, records| receipt.record = records[0].encode();
    a_shortened_path => CheckError::NotInBlock(ProofError::PathLength { .. }),
        |receipt, _, _| { receipt.record_path.path.pop(); };
    pitfall_22_a_lengthened_path => CheckError::NotInBlock(ProofError::PathLength { .. }),
        |receipt, _, _| receipt.record_path.path.push(TreeHash::from_bytes([0; 32]));
    another_place_in_the_block => CheckError::NotInBlock(_),
        |receipt, _, _| receipt.record_path.index ^= 1;
    the_descriptor_is_no_record => CheckError::Descriptor,
        |receipt, _, _| receipt.record_path.index = 0;
    another_blocks_header => CheckError::NotInBlock(_),
        |receipt, ledger, _| {
            let view = ledger.store.view().unwrap();
            receipt.header = block_at(view.as_ref(), 1).unwrap().signed.header;
        };
    pitfall_24_a_header_without_its_work => CheckError::Work,
        |receipt, _, _| {
            while receipt.header.meets_target() {
                receipt.header.nonce += 1;
            }
        };
    pitfall_24_a_header_with_easier_bits => CheckError::Work,
        |receipt, _, _| {
            receipt.header.bits = crate::pow::Target::from_expected_tries(1).to_bits();
        };
    a_header_that_nobody_signed => CheckError::BlockSignature,
        |receipt, _, _| {
            loop {
                receipt.header.nonce += 1;
                if receipt.header.meets_target() { break }
            }
        };
    a_header_signed_by_no_founder => CheckError::BlockSignature,
        |receipt, ledger, _| {
            let (chain, id) = (ledger.rules.chain, receipt.header.id());
            receipt.signature = block::sign_header(&mining_key(9), &chain, &id);
        };
    a_proof_for_more_blocks_than_the_checkpoint_covers =>
        CheckError::Size { proof: 7, checkpoint: 6 },
        |receipt, _, _| receipt.block_path.size += 1;
    a_block_above_the_checkpoint => CheckError::NotFinal { height: 6, size: 6 },
        |receipt, _, _| receipt.block_path.index = 6;
    another_height => CheckError::NotInLog(_),
        |receipt, _, _| receipt.block_path.index -= 1;
    a_path_to_another_log => CheckError::NotInLog(ProofError::WrongRoot { .. }),
        |receipt, _, _| receipt.block_path.path[0] = TreeHash::from_bytes([0; 32]);
    pitfall_23_no_checkpoint => CheckError::Note(_),
        |receipt, _, _| receipt.checkpoint.clear();
    pitfall_23_a_checkpoint_of_another_chain =>
        CheckError::Checkpoint(FinalityError::OtherChain { .. }),
        |receipt, _, _| receipt.checkpoint = receipt.checkpoint.replace("medledger/", "medledger/0");
    pitfall_23_a_checkpoint_signed_by_strangers => CheckError::Checkpoint(
        FinalityError::Signature(_)
    ),
        |receipt, _, _| {
            let name = id(HOSPITAL).to_string();
            receipt.checkpoint = receipt.checkpoint.replace(&name, &id(STRANGER).to_string());
        };
    pitfall_23_a_checkpoint_whose_root_was_changed =>
        CheckError::Checkpoint(FinalityError::Signature(_)),
        |receipt, _, _| {
            let root: Vec<&str> = receipt.checkpoint.lines().collect();
            let other = crate::checkpoint::Checkpoint {
                origin: root[0].to_owned(),
                size: 6,
                root: TreeHash::from_bytes([0; 32]),
            };
            let rest = receipt.checkpoint.split_once("\n\n").unwrap().1;
            receipt.checkpoint = format!("{other}\n{rest}");
        };
}

#[test]
fn other_versions_and_rubbish_are_refused_by_name() {
    let (ledger, records) = grown();
    let mut later = receipt(&ledger, &records[0]);
    later.v = 2;
    let result = Receipt::decode(&later.encode());
    assert!(matches!(result, Err(CheckError::UnknownVersion { found: 2 })));
    assert!(matches!(Receipt::decode(b""), Err(CheckError::Malformed(_))));
    let long = vec![0; limit::RECEIPT_BYTES + 1];
    let result = Receipt::decode(&long);
    assert!(matches!(result, Err(CheckError::Malformed(DecodeError::TooLong { .. }))));
}

/// Whatever one byte is changed to, the receipt proves nothing, or the very same.
#[test]
fn no_changed_byte_makes_a_receipt_prove_anything_else() {
    let (ledger, records) = grown();
    let mut same = 0;
    for record in [&records[0], &records[records.len() - 1]] {
        let good = receipt(&ledger, record);
        let proven = good.check(&ledger.rules.chain).unwrap();
        let bytes = good.encode();
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                let Ok(receipt) = Receipt::decode(&changed) else { continue };
                if let Ok(found) = receipt.check(&ledger.rules.chain) {
                    // The count of leaves is in no hash: for some, another one gives the same path.
                    assert_eq!(found, proven, "byte {at}");
                    let size = receipt.record_path.size;
                    assert_eq!(Receipt { record_path: good.record_path.clone(), ..receipt }, good);
                    assert_ne!(size, good.record_path.size);
                    same += 1;
                }
            }
        }
    }
    println!("{same} changes of the count of leaves prove the same");
}

#[test]
fn a_receipt_is_checked_against_the_chain_asked_about() {
    let (ledger, records) = grown();
    let other = ChainId::from_bytes([1; 32]);
    let result = receipt(&ledger, &records[0]).check(&other);
    assert!(matches!(result, Err(CheckError::OtherChain { expected, .. }) if expected == other));
    let _: RecordId = records[0].id();
}

/// A chain of four hospitals whose first block is under a checkpoint cosigned by these of them.
fn of_four(by: &[u8]) -> (Ledger, Result<Receipt, ReceiptError>) {
    let founders = [HOSPITAL, OTHER_HOSPITAL, DOCTOR, NURSE];
    let mut genesis = Genesis::single(founder(HOSPITAL), tiny_work());
    genesis.founders = founders.map(founder).into();
    let ledger = Ledger::new(genesis);
    let mut world = ledger.world();
    let register = world.register(HOSPITAL, PATIENT, crate::registry::Role::Patient);
    let record = world.put(HOSPITAL, register);
    ledger.submit(&world.log).unwrap();
    ledger.order();
    let note = {
        let view = ledger.store.view().unwrap();
        let root = finality::tree_root(view.as_ref(), 2).unwrap();
        let chain = ledger.rules.chain;
        let checkpoint = checkpoint::Checkpoint::new(&chain, 2, root);
        let mut note = SignedNote::new(checkpoint.to_string()).unwrap();
        for number in by {
            let (name, key) = (id(*number).to_string(), mining_key(*number));
            let public = *key.verifying_key().as_bytes();
            let cosigner = checkpoint::NoteKey::cosigner(name, public).unwrap();
            let time = Timestamp::from_secs(NOW + u64::from(*number));
            note.cosign(&cosigner, time, &mut |m| *key.sign_note(m).as_bytes()).unwrap();
        }
        note.to_string()
    };
    let mut unit = ledger.store.unit().unwrap();
    let accepted = finality::accept(unit.as_mut(), &ledger.rules, note.as_bytes()).is_ok();
    assert_eq!(accepted, by.len() >= 3);
    unit.commit().unwrap();
    let view = ledger.store.view().unwrap();
    let receipt = Receipt::of(view.as_ref(), &ledger.rules, &ledger.stored(&record));
    drop(view);
    (ledger, receipt)
}

#[test]
fn pitfall_23_a_quorum_of_four_hospitals_is_three_and_the_receipt_names_them() {
    assert!(matches!(of_four(&[HOSPITAL, NURSE]).1, Err(ReceiptError::NotFinal { height: 1 })));
    let (ledger, receipt) = of_four(&[NURSE, HOSPITAL, DOCTOR]);
    let receipt = receipt.unwrap();
    let proven = receipt.check(&ledger.rules.chain).unwrap();
    let by = |number| (id(number), Timestamp::from_secs(NOW + u64::from(number)));
    let mut all = [by(HOSPITAL), by(DOCTOR), by(NURSE)];
    all.sort_unstable();
    assert_eq!(proven.cosigned, all, "in order of their ids");
    assert_eq!((proven.quorum, proven.miner), (3, id(HOSPITAL)));
    let mut lines: Vec<&str> = receipt.checkpoint.split_inclusive('\n').collect();
    lines.pop();
    let short = Receipt { checkpoint: lines.concat(), ..receipt.clone() };
    let error = short.check(&ledger.rules.chain).unwrap_err();
    let too_few = FinalityError::TooFew { found: 2, hospitals: 4, needed: 3 };
    assert!(matches!(&error, CheckError::Checkpoint(found) if *found == too_few), "{error:?}");
    assert_eq!(error.reason().name(), "too_few_cosigners");
    // The same hospital three times is one hospital.
    lines.truncate(5);
    let mine = *lines.last().unwrap();
    let thrice = [&lines[..], &[mine, mine, mine]].concat().concat();
    let error = Receipt { checkpoint: thrice, ..receipt }.check(&ledger.rules.chain).unwrap_err();
    assert_eq!(error.reason().name(), "too_few_cosigners");
}

#[test]
fn the_text_of_a_receipt_is_a_tlog_proof_and_holds_all_of_it() {
    let (ledger, records) = grown();
    for record in &records {
        let receipt = receipt(&ledger, record);
        let text = receipt.to_tlog_proof().unwrap();
        let read = Receipt::from_bytes(text.as_bytes()).unwrap();
        assert_eq!(read, receipt);
        assert_eq!(read.to_tlog_proof().unwrap(), text);
        assert_eq!(Receipt::from_bytes(&receipt.encode()).unwrap(), receipt);
        read.check(&ledger.rules.chain).unwrap();
        // What a tool that knows nothing of records makes of it: the leaf is the block's id.
        let proof = checkpoint::TlogProof::from_bytes(text.as_bytes()).unwrap();
        let head: checkpoint::Checkpoint = proof.checkpoint.text().parse().unwrap();
        let path = InclusionProof { index: proof.index, size: head.size, path: proof.path };
        path.verify(&merkle::leaf_hash(receipt.header.id().as_bytes()), &head.root).unwrap();
    }
}

#[test]
fn a_proof_without_a_record_or_of_another_version_is_no_receipt() {
    let (ledger, records) = grown();
    let good = receipt(&ledger, &records[0]);
    let text = good.to_tlog_proof().unwrap();
    let reason = |bytes: &[u8]| Receipt::from_bytes(bytes).unwrap_err().reason().name();
    let start = text.find("extra ").unwrap();
    let end = text.find("index ").unwrap();
    let bare = format!("{}{}", &text[..start], &text[end..]);
    assert!(matches!(Receipt::from_bytes(bare.as_bytes()), Err(CheckError::NoExtra)));
    assert_eq!(reason(b"c2sp.org/tlog-proof@v1\n"), "not_a_receipt");
    assert_eq!(reason(b"c2sp.org/tlog-proof@v2\n"), "not_a_receipt");
    let size = text.replace("\n6\n", "\nsix\n");
    assert_eq!(reason(size.as_bytes()), "not_a_checkpoint");
    let later = Receipt { v: 2, ..good.clone() };
    assert_eq!(reason(later.to_tlog_proof().unwrap().as_bytes()), "update_needed");
    assert_eq!(reason(&later.encode()), "update_needed");
    // A receipt that names another size than its checkpoint has no text.
    let mut other = good;
    other.block_path.size += 1;
    assert!(matches!(other.to_tlog_proof(), Err(CheckError::Size { proof: 7, checkpoint: 6 })));
    other.checkpoint.clear();
    assert!(matches!(other.to_tlog_proof(), Err(CheckError::Note(_))));
}

/// Whatever one byte of the text is changed to, it proves nothing, or the very same.
#[test]
fn no_changed_byte_makes_the_text_prove_anything_else() {
    let (ledger, records) = grown();
    let good = receipt(&ledger, &records[records.len() - 1]);
    let proven = good.check(&ledger.rules.chain).unwrap();
    let text = good.to_tlog_proof().unwrap().into_bytes();
    for at in 0..text.len() {
        for mask in [0x01, 0x02, 0x20] {
            let mut changed = text.clone();
            changed[at] ^= mask;
            let Ok(receipt) = Receipt::from_bytes(&changed) else { continue };
            assert_eq!(receipt.to_tlog_proof().unwrap().into_bytes(), changed, "byte {at}");
            if let Ok(found) = receipt.check(&ledger.rules.chain) {
                assert_eq!(found, proven, "byte {at}");
            }
        }
    }
}
