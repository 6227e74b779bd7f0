"""The store of ciphertext: what is kept, checked, mended and tidied."""

import shutil

import pytest

import medledger


def data_files(ledger_folder):
    return sorted((ledger_folder / "blocks" / "blocks").glob("*/*.data"))


def test_blocks_are_kept_checked_repaired_and_collected(fresh, tmp_path):
    ledger = fresh.ledger
    uploaded = ledger.upload(fresh.doctor, fresh.patient.id, b"r" * 1_500_000)
    (pin,) = ledger.pins()
    assert pin.root == uploaded.envelope
    assert [reason.reason for reason in pin.reasons] == [f"report {uploaded.report}"]
    assert pin.reasons[0].since is not None
    check = ledger.check_blocks()
    assert check.ok and check.unreferenced == 0 and check.strays == () and check.not_kept == ()

    folder = ledger.path
    copy = tmp_path / "copy"
    shutil.copytree(folder / "blocks" / "blocks", copy)
    files = data_files(folder)
    assert len(files) == check.blocks
    files[0].write_bytes(b"damage")
    files[1].unlink()
    broken = ledger.check_blocks()
    assert not broken.ok
    done = ledger.repair_blocks(copy)
    assert done.ok and len(done.repaired) >= 2
    assert ledger.check_blocks().ok
    assert ledger.collect_blocks(dry_run=True).removed == 0
    collected = ledger.collect_blocks()
    assert (collected.removed, collected.released, collected.pinned) == (0, (), ())
    assert collected.kept == check.blocks
    for kept in (folder / "blocks" / "pins").iterdir():
        kept.unlink()
    loose = ledger.check_blocks()
    assert not loose.ok and loose.not_kept == (uploaded.report,)
    assert ledger.collect_blocks().pinned == (uploaded.report,)
    assert ledger.check_blocks().ok
    stats = ledger.cache_stats()
    assert stats.capacity > 0 and 0.0 <= stats.hit_ratio <= 1.0


def test_a_source_that_is_none_is_told(fresh, tmp_path):
    with pytest.raises(medledger.StorageError):
        fresh.ledger.repair_blocks(tmp_path / "nowhere")


def test_a_root_is_kept_for_a_reason_until_it_is_taken_back(fresh):
    ledger = fresh.ledger
    uploaded = ledger.upload(fresh.doctor, fresh.patient.id, b"a report", wait=True)
    root = uploaded.envelope
    ledger.keep_blocks(root, "audit of 2026")
    ledger.rotate(fresh.patient, uploaded.report, wait=True)
    ledger.confirm_rotations(fresh.hospital, wait=True)
    assert ledger.collect_blocks().removed == 0
    (pin,) = [pin for pin in ledger.pins() if pin.root == root]
    assert [reason.reason for reason in pin.reasons] == ["user audit of 2026"]
    assert ledger.release_blocks(root, "audit of 2026") is True
    assert ledger.release_blocks(root, "audit of 2026") is False
    assert ledger.collect_blocks().removed > 0
    with pytest.raises(medledger.NotFoundError):
        ledger.keep_blocks(root, "too late")
    for bad in (("no cid", "why"), (root, ""), (root, "two\nlines")):
        with pytest.raises(medledger.InvalidArgumentError):
            ledger.keep_blocks(*bad)
