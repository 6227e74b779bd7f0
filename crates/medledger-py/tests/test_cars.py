"""Reports and chains as CAR files."""

import io

import pytest

import medledger
from conftest import make_world


def test_a_lost_report_comes_back_from_its_car(fresh, tmp_path):
    ledger = fresh.ledger
    uploaded = ledger.upload(fresh.doctor, fresh.patient.id, b"a report" * 100_000, wait=True)
    path = tmp_path / "report.car"
    exported = ledger.export_report(uploaded.report, path)
    assert exported.roots == (uploaded.envelope,)
    assert (exported.reports, exported.bytes) == (1, path.stat().st_size)
    held = io.BytesIO()
    assert ledger.export_report(uploaded.report, held) == exported
    assert held.getvalue() == path.read_bytes()
    assert [p.name for p in tmp_path.glob("*.car*")] == ["report.car"]

    for block in (ledger.path / "blocks" / "blocks").glob("*/*.data"):
        block.unlink()
    assert ledger.verify().findings
    with pytest.raises(medledger.DamagedError):
        ledger.export_report(uploaded.report, io.BytesIO())
    for source in (path, held.getvalue(), io.BytesIO(held.getvalue())):
        imported = ledger.import_report(source)
        assert imported.reports == (uploaded.report,)
        assert imported.blocks == exported.blocks
    assert not ledger.verify().findings
    key = uploaded.access_key
    with ledger.open_report(fresh.patient, uploaded.report, access_key=key) as report:
        assert report.read() == b"a report" * 100_000


def test_a_follower_of_a_chain(fresh, tmp_path):
    ledger = fresh.ledger
    uploaded = ledger.upload(fresh.doctor, fresh.patient.id, b"one", wait=True)
    car = io.BytesIO()
    ledger.export_chain(car)
    with medledger.Ledger.follow(
        tmp_path / "follower", car.getvalue(), chain=ledger.chain
    ) as follower:
        assert follower.is_follower and not ledger.is_follower
        assert follower.chain == ledger.chain
        assert not follower.verify().findings
        assert follower.receipt(uploaded.record) == ledger.receipt(uploaded.record)
        with pytest.raises(medledger.ReadOnlyError):
            follower.upload(fresh.doctor, fresh.patient.id, b"two")
        ledger.upload(fresh.doctor, fresh.patient.id, b"two", wait=True)
        path = tmp_path / "chain.car"
        assert ledger.export_chain(path, reports=True).reports == 2
        imported = follower.import_chain(path)
        assert (imported.added, imported.records, imported.reports) == (1, 1, 2)
        assert imported.finalized == imported.height + 1
        assert follower.import_chain(path).added == 0
        assert follower.verify().reports == 2


def test_what_is_cut_foreign_or_no_car_is_refused(fresh, tmp_path):
    ledger = fresh.ledger
    uploaded = ledger.upload(fresh.doctor, fresh.patient.id, b"one", wait=True)
    report, chain = io.BytesIO(), io.BytesIO()
    ledger.export_report(uploaded.report, report)
    ledger.export_chain(chain)
    for data in (b"", b"%PDF-1.7", report.getvalue()[:-1], report.getvalue() + b"\0"):
        with pytest.raises(medledger.DamagedError):
            ledger.import_report(data)
        with pytest.raises(medledger.DamagedError):
            ledger.import_chain(data)
    with pytest.raises(medledger.NotFoundError):
        ledger.export_report("0" * 32, tmp_path / "a.car")
    assert not list(tmp_path.glob("a.car*"))
    with make_world(tmp_path / "other").ledger as other:
        with pytest.raises(medledger.NotFoundError):
            other.import_report(report.getvalue())
        with pytest.raises(medledger.ConflictError):
            other.import_chain(chain.getvalue())
        with pytest.raises(medledger.ConflictError):
            medledger.Ledger.follow(tmp_path / "new", chain.getvalue(), chain=other.chain)
    assert not (tmp_path / "new").exists()


def test_exceptions_of_file_objects_travel_unchanged(fresh):
    class Full(io.RawIOBase):
        def write(self, data):
            raise BrokenPipeError("the other side is gone")

    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise RuntimeError("no more")

    with pytest.raises(BrokenPipeError, match="the other side"):
        fresh.ledger.export_chain(Full())
    with pytest.raises(RuntimeError, match="no more"):
        fresh.ledger.import_chain(Broken())
    with pytest.raises(RuntimeError, match="no more"):
        fresh.ledger.import_report(Broken())
    with pytest.raises(TypeError, match="pathlib"):
        fresh.ledger.export_chain("chain.car")
