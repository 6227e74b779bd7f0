"""Backups, pruning, the fast check, and the log by time."""

import datetime

import pytest

import medledger
from conftest import make_world

UTC = datetime.timezone.utc


def test_a_backup_is_whole_and_needs_its_key(tmp_path):
    world = make_world(tmp_path / "ledger", engine="log")
    with world.ledger as ledger:
        ledger.upload(world.doctor, world.patient.id, b"all is well", wait=True)
        done = ledger.backup(tmp_path / "backup")
        assert done.height >= 1 and done.files > 2 and done.database > 4096
        with pytest.raises(medledger.MedledgerError):
            ledger.backup(tmp_path / "backup")
        key = (tmp_path / "ledger" / "node.key").read_bytes()
    with pytest.raises(medledger.MedledgerError):
        medledger.Ledger.open(tmp_path / "backup")
    (tmp_path / "backup" / "node.key").write_bytes(key)
    with medledger.Ledger.open(tmp_path / "backup", read_only=True) as copy:
        assert copy.verify().ok and copy.verify(full=False).ok


def test_pruning_and_the_log_by_time(tmp_path):
    world = make_world(tmp_path / "ledger", engine="log")
    with world.ledger as ledger:
        for _ in range(12):
            ledger.mine(empty=True)
        with pytest.raises(medledger.InvalidArgumentError):
            ledger.prune(keep=9)
        with pytest.raises(medledger.ConflictError, match="alone on its chain"):
            ledger.prune(keep=10)
        done = ledger.prune(keep=10, only_copy=True)
        assert done.records == 0 and done.blocks >= 1 and done.kept_from >= 2
        assert ledger.verify().ok
        now = datetime.datetime.now(UTC)
        day = datetime.timedelta(days=1)
        everything = ledger.log()
        assert ledger.log(since=now - day, until=now + day) == everything
        assert ledger.log(since=now + day) == [] == ledger.log(until="2020-01-01")
