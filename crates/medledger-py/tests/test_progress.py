"""How far records have come, and waiting for it."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import medledger
from conftest import make_world

NOBODY = "00" * 32


def test_a_record_goes_from_accepted_to_final(fresh):
    ledger = fresh.ledger
    record = ledger.upload(fresh.doctor, fresh.patient.id, b"all is well").record
    accepted = medledger.Progress(stage="accepted", height=None, code=None, reason=None)
    assert ledger.progress(record) == accepted
    assert ledger.wait_for(record, stage="accepted") == accepted
    # Nobody mines: the time runs out, and that is no error.
    assert ledger.wait_for(record, timeout=0) == accepted
    assert ledger.wait_for(record, stage="mined", timeout=0.2) == accepted
    height = ledger.wait(record)
    final = medledger.Progress(stage="final", height=height, code=None, reason=None)
    assert ledger.wait_for(record) == final == ledger.progress(record)
    assert ledger.wait_for(record, stage="mined", timeout=0) == final


def test_waiting_sees_what_another_thread_mines(fresh):
    ledger = fresh.ledger
    record = ledger.upload(fresh.doctor, fresh.patient.id, b"all is well").record
    # It runs only if waiting lets other threads run.
    miner = threading.Timer(0.2, ledger.mine)
    miner.start()
    try:
        assert ledger.wait_for(record).stage == "final"
    finally:
        miner.join()


def test_a_reader_sees_what_another_process_mines(fresh):
    record = fresh.ledger.upload(fresh.doctor, fresh.patient.id, b"all is well").record
    folder = fresh.ledger.path
    fresh.ledger.close()
    with medledger.Ledger.open(folder, read_only=True) as reader:
        assert reader.progress(record).stage == "accepted"
        code = "import medledger, sys; medledger.Ledger.open(sys.argv[1]).mine()"
        with subprocess.Popen([sys.executable, "-c", code, str(folder)]) as miner:
            assert reader.wait_for(record).stage == "final"
        assert miner.returncode == 0


def test_what_is_not_known_or_cannot_be_is_told(fresh):
    ledger = fresh.ledger
    unknown = medledger.Progress(stage="unknown", height=None, code=None, reason=None)
    assert ledger.progress(NOBODY) == unknown
    assert ledger.wait_for(NOBODY, timeout=0.1) == unknown
    for bad in (-1.0, float("nan"), float("inf"), 1e300):
        with pytest.raises(medledger.InvalidArgumentError, match="timeout"):
            ledger.wait_for(NOBODY, timeout=bad)
    for stage in ("unknown", "refused", "Final", ""):
        with pytest.raises(medledger.InvalidArgumentError, match="one of accepted, mined, final"):
            ledger.wait_for(NOBODY, stage=stage)
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.progress("no id")
    ledger.close()
    with pytest.raises(medledger.ClosedError):
        ledger.progress(NOBODY)
    with pytest.raises(medledger.ClosedError):
        ledger.wait_for(NOBODY)


@pytest.mark.skipif(os.name != "posix", reason="no signals between processes")
def test_ctrl_c_ends_the_waiting(tmp_path):
    world = make_world(tmp_path / "ledger")
    world.ledger.close()
    code = (
        "import medledger, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with medledger.Ledger.open(sys.argv[1]) as ledger:\n"
        "    try:\n"
        "        print('waits', flush=True)\n"
        "        ledger.wait_for('00' * 32, timeout=3600)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', ledger.waiting(), flush=True)\n"
    )
    command = [sys.executable, "-c", code, str(world.ledger.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout.readline() == "waits\n"
            child.send_signal(signal.SIGINT)
            # Before the call or in it; without an answer to signals it would wait for an hour.
            said, _ = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 0
    assert said.startswith("interrupted ")
