"""The whole journey: upload, request, approve, open, revoke, and what there is to look at."""

import datetime
import io
import os
import subprocess
import sys
import threading
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

import medledger
from conftest import PASSWORD, make_world

UTC = datetime.timezone.utc


def test_the_journey_with_proof_of_work(tmp_path):
    world = make_world(tmp_path / "ledger", engine="work", seconds_per_block=0.01)
    with world.ledger as ledger:
        uploaded = ledger.upload(
            world.doctor,
            world.patient.id,
            b"all is well",
            file_name="result.txt",
            media_type="text/plain",
            note="by post",
            wait=True,
        )
        assert uploaded.block >= 1 and uploaded.length == 11 and not uploaded.repeated
        assert uploaded.delivery == "pick-up"
        until = datetime.datetime.now(UTC) + datetime.timedelta(days=30)
        request = ledger.request(world.reader, uploaded.report, purpose="TREAT", until=until)
        (waiting,) = ledger.requests(world.patient.id)
        assert (waiting.id, waiting.reader, waiting.purpose) == (request, world.reader.id, "TREAT")
        assert waiting.until == until.replace(microsecond=0)
        key = uploaded.access_key.text
        approved = ledger.approve(world.patient, request, access_key=key, wait=True)
        assert approved.until == waiting.until and approved.report == uploaded.report
        with ledger.open_report(
            world.reader, uploaded.report, access_key=approved.access_key
        ) as report:
            assert report.read() == b"all is well"
            assert (report.file_name, report.media_type, report.note) == (
                "result.txt",
                "text/plain",
                "by post",
            )
            assert (report.grant, report.body) == (approved.grant, uploaded.body)
        with ledger.open_report(world.patient, uploaded.report) as report:
            assert report.read() == b"all is well" and report.grant is None

        (seen,) = ledger.reports(world.patient.id)
        assert seen.state == "mined" and seen.grants[0].live and not seen.grants[0].revoked
        ledger.revoke(world.patient, approved.grant, wait=True)
        with pytest.raises(medledger.RevokedError):
            ledger.open_report(world.reader, uploaded.report, access_key=approved.access_key)
        (seen,) = ledger.reports(world.reader.id)
        assert seen.grants[0].revoked and not seen.grants[0].live

        proven = medledger.check_receipt(ledger.receipt(uploaded.record), chain=ledger.chain)
        assert (proven.record, proven.kind) == (uploaded.record, "add-report")
        assert (proven.author, proven.block) == (world.doctor.id, uploaded.block)
        assert (proven.patient, proven.quorum, proven.hospitals) == (world.patient.id, 1, 1)
        assert [by.hospital for by in proven.cosigned] == [ledger.hospital] == [proven.miner]
        text = ledger.receipt(uploaded.record, format="tlog-proof")
        assert text.startswith(b"c2sp.org/tlog-proof@v1\n")
        assert medledger.check_receipt(text, chain=ledger.chain) == proven
        with pytest.raises(medledger.ReceiptError) as other:
            medledger.check_receipt(text, chain="11" * 32)
        assert other.value.reason == "other_chain" and "chain" in str(other.value)
        with pytest.raises(medledger.InvalidArgumentError):
            ledger.receipt(uploaded.record, format="pdf")
        assert "Content-Security-Policy" in medledger.RECEIPT_VERIFIER
        log = ledger.log(report=uploaded.report)
        assert [entry.kind for entry in log][:3] == ["add-report", "request-access", "grant"]
        assert log[0].block_id == proven.block_id and log[0].author_name == "Dr Ada"
        assert log[0].hospital_name == "General Hospital" and log[0].label == uploaded.label
        assert ledger.log(kind="add-report", limit=1, offset=1) == []
        found = ledger.verify()
        assert found.unchecked == ()
        assert found.ok and found.reports == 1 and found.blocks == ledger.mine(empty=True).height
    with medledger.Ledger.open(tmp_path / "ledger", read_only=True) as ledger:
        assert ledger.read_only and [member.name for member in ledger.members()][:2] == [
            "General Hospital",
            "Dr Ada",
        ]


def test_every_kind_of_source_gives_the_same_report(world, tmp_path):
    data = os.urandom(3_000_000)
    path = tmp_path / "scan.dcm"
    path.write_bytes(data)
    ledger = world.ledger
    with path.open("rb") as file:
        for source in (data, bytearray(data), memoryview(data), path, io.BytesIO(data), file):
            done = ledger.upload(world.doctor, world.patient.id, source)
            with ledger.open_report(world.patient, done.report) as report:
                assert report.file_name == ("scan.dcm" if source is path else "")
                assert report.read() == data


def test_an_opened_report_is_a_raw_binary_file(world):
    data = os.urandom(2_500_000)
    done = world.ledger.upload(world.doctor, world.patient.id, data)
    report = world.ledger.open_report(world.patient, done.report)
    assert isinstance(report, io.RawIOBase) and report.readable() and report.seekable()
    assert not report.writable()
    with io.BufferedReader(report) as file:
        assert file.read(10) == data[:10] and file.tell() == 10
        assert file.seek(-5, os.SEEK_END) == len(data) - 5 and file.read() == data[-5:]
        assert file.read() == b""
        file.seek(1_048_570)
        assert file.read(20) == data[1_048_570:1_048_590]
        file.seek(0)
        assert file.read() == data
    assert report.closed
    with pytest.raises(ValueError, match="closed"):
        report.read()

    report = world.ledger.open_report(world.patient, done.report)
    into = bytearray(100)
    assert report.readinto(into) == 100 and into == data[:100] and report.tell() == 100
    assert report.read_range(2_000_000, 30) == data[2_000_000:2_000_030] and report.tell() == 100
    assert report.seek(5_000_000) == 5_000_000
    assert report.read() == b"" and report.readinto(into) == 0
    for offset, length in ((-1, 2), (0, -1), (2_499_999, 2), (2**80, 1)):
        with pytest.raises(medledger.InvalidArgumentError):
            report.read_range(offset, length)
    for offset, whence in ((-1, 0), (0, 3)):
        with pytest.raises(ValueError):
            report.seek(offset, whence)
    with pytest.raises(io.UnsupportedOperation):
        report.write(b"")
    assert "OpenedReport" in repr(report)


def test_idempotency(world):
    call = {"file_name": "a", "idempotency_key": "key 1"}
    first = world.ledger.upload(world.doctor, world.patient.id, b"once", **call)
    again = world.ledger.upload(world.doctor, world.patient.id, io.BytesIO(b"once"), **call)
    assert again.repeated and again.access_key is None and again.delivery == "none"
    assert (again.record, again.report) == (first.record, first.report)
    with pytest.raises(medledger.ConflictError):
        world.ledger.upload(world.doctor, world.patient.id, b"other", **call)


def test_refuse_share_and_a_grant_to_an_identity(world):
    ledger = world.ledger
    done = ledger.upload(world.doctor, world.patient.id, b"shared")
    request = ledger.request(world.reader, done.report, purpose="TREAT", until="1h")
    ledger.refuse(world.patient, request)
    assert request not in [waiting.id for waiting in ledger.requests(world.patient.id)]
    shared = ledger.share(
        world.patient,
        done.report,
        world.reader.id,
        purpose="COC",
        until=datetime.timedelta(hours=1),
        reader_key="identity",
        wait=True,
    )
    assert shared.delivery == "none" and shared.access_key is None
    assert ledger.open_report(world.reader, done.report).read() == b"shared"


def test_a_member_who_keeps_their_own_identity(world):
    own = medledger.Identity.generate()
    kept = own.lock("own password")
    registration = world.ledger.register(world.hospital, own, "nurse", "Nurse Ines", wait=True)
    assert registration.member == own.id and registration.block > 0
    assert medledger.Identity.unlock(kept, "own password") == own
    with pytest.raises(medledger.WrongPasswordError):
        medledger.Identity.unlock(kept, "guess")
    (member,) = [member for member in world.ledger.members() if member.id == own.id]
    assert (member.role, member.custody, member.name) == ("nurse", "self", "Nurse Ines")


def test_mail_goes_into_the_outbox(tmp_path):
    with make_world(tmp_path / "ledger", mail="outbox").ledger as ledger:
        hospital = ledger.unlock(ledger.hospital, PASSWORD)
        mail = {"email": "pat@example.org"}
        patient, _ = ledger.add_member(hospital, "patient", "Pat", PASSWORD, **mail)
        doctor, _ = ledger.add_member(hospital, "doctor", "Dr Eve", PASSWORD)
        done = ledger.upload(doctor, patient.id, b"by mail")
        assert done.delivery == "mailed" and done.access_key is None
        (letter,) = Path(ledger.path, "outbox").rglob("*.eml")
        assert "pat@example.org" in letter.read_text()
        assert ledger.send_mail() == medledger.MailReport(sent=0, waiting=0, error=None)


def test_mining(fresh):
    assert fresh.ledger.waiting() > 0
    block = fresh.ledger.mine()
    assert block.height == 1 and block.records > 0 and fresh.ledger.waiting() == 0
    assert fresh.ledger.mine() is None


def test_results_are_frozen_compare_and_show_no_secret(world):
    uploaded, approved = world.granted()
    for result in (uploaded, approved):
        text = result.access_key.text
        for shown in (repr(result), str(result), f"{result}", repr(result.access_key)):
            assert text not in shown and text.replace("-", "") not in shown
            assert text.lower() not in shown
        assert "<AccessKey>" in repr(result)
        with pytest.raises(FrozenInstanceError):
            result.record = ""
    key = uploaded.access_key
    assert key == medledger.AccessKey.from_text(key.text.lower().replace("-", " "))
    assert key != approved.access_key and key != key.text
    with pytest.raises(TypeError):
        hash(key)
    with pytest.raises(AttributeError):
        key.text = "another"
    assert repr(world.doctor) == f"Identity('{world.doctor.id}')"
    assert world.doctor == world.ledger.unlock(world.doctor.id, PASSWORD) != world.reader
    assert len({world.doctor, world.ledger.unlock(world.doctor.id, PASSWORD)}) == 1
    (first, *_) = world.ledger.log(limit=1)
    assert first == world.ledger.log(limit=1)[0] and first.time.tzinfo is UTC


def test_two_threads_use_one_ledger(world):
    """Each thread waits, inside a call, for the other to have finished a call."""
    first_read, second_done = threading.Event(), threading.Event()

    class Waiting(io.BytesIO):
        def read(self, size=-1):
            first_read.set()
            assert second_done.wait(60)
            return super().read(size)

    results, errors = [], []

    def upload():
        try:
            done = world.ledger.upload(world.doctor, world.patient.id, Waiting(b"slow"))
            results.append(done)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    assert first_read.wait(60)
    quick = world.ledger.upload(world.doctor, world.patient.id, b"quick", wait=True)
    second_done.set()
    thread.join(60)
    assert not errors and not thread.is_alive()
    for done, data in ((quick, b"quick"), (results[0], b"slow")):
        assert world.ledger.open_report(world.patient, done.report).read() == data


def test_many_threads_upload_and_read(world):
    errors = []

    def work(number):
        try:
            for i in range(5):
                data = f"{number} {i}".encode() * 10_000
                done = world.ledger.upload(world.doctor, world.patient.id, data, wait=i == 0)
                with world.ledger.open_report(world.patient, done.report) as report:
                    assert report.read() == data
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not errors


def test_one_report_read_by_several_threads(world):
    data = os.urandom(1 << 20)
    done = world.ledger.upload(world.doctor, world.patient.id, data)
    report = world.ledger.open_report(world.patient, done.report)
    parts, lock = [], threading.Lock()

    def work():
        while part := report.read(10_000):
            with lock:
                parts.append(part)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(parts) == sorted(data[i : i + 10_000] for i in range(0, len(data), 10_000))


BIG = """
import resource, sys
import medledger
from conftest import make_world
from pathlib import Path

class Generated:
    left = 200 << 20
    def read(self, size):
        n = min(size, self.left)
        self.left -= n
        return b"x" * n

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

world = make_world(Path(sys.argv[1]))
world.ledger.upload(world.doctor, world.patient.id, b"warm")
before = peak()
done = world.ledger.upload(world.doctor, world.patient.id, Generated())
assert done.length == 200 << 20
read = 0
with world.ledger.open_report(world.patient, done.report) as report:
    while part := report.read(1 << 20):
        read += len(part)
assert read == done.length
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_a_big_file_object_is_streamed(tmp_path):
    """200 MB in and out; the cache of ciphertext is allowed its 64 MiB."""
    run = subprocess.run(
        [sys.executable, "-c", BIG, tmp_path / "ledger"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 96, f"memory grew by {run.stdout.strip()} MiB"
