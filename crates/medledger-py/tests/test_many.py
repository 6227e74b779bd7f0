"""Many reports in one call."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import medledger
from conftest import make_world

Upload = medledger.Upload


def read(world, done, **key):
    with world.ledger.open_report(world.patient, done.report, **key) as report:
        return report.read(), report.file_name, report.media_type, report.note


def test_every_kind_of_source_and_item_with_its_own_key(world, tmp_path):
    data = os.urandom(1_500_000)
    path = tmp_path / "scan.dcm"
    path.write_bytes(data)
    patient = world.patient.id
    described = {"file_name": "lab.txt", "media_type": "text/plain", "note": "fasting"}
    with path.open("rb") as file:
        uploads = [
            (patient, data),
            (patient, bytearray(data)),
            (patient, memoryview(data)),
            (patient, io.BytesIO(data)),
            (patient, file),
            (patient, path),
            Upload(patient, path),
            Upload(patient, data, **described),
            Upload(patient, path, file_name="other.dcm"),
        ]
        done = world.ledger.upload_many(world.doctor, iter(uploads), wait=True)
    assert [type(one) for one in done] == [medledger.Uploaded] * len(uploads)
    assert len({one.access_key.text for one in done}) == len(uploads)
    names = [""] * 5 + ["scan.dcm", "scan.dcm", "lab.txt", "other.dcm"]
    for one, name in zip(done, names, strict=True):
        more = ("text/plain", "fasting") if name == "lab.txt" else ("", "")
        assert read(world, one, access_key=one.access_key) == (data, name, *more)
        assert one.block >= 1 and one.length == len(data)
    shown = repr(Upload(patient, b"what it says", **described))
    assert "lab.txt" in shown and "fasting" not in shown and "what it says" not in shown


def test_nothing_to_upload(world):
    assert world.ledger.upload_many(world.doctor, []) == []


class Unplugged(Exception):
    pass


class Broken:
    def __init__(self, error):
        self.error = error

    def read(self, size):
        raise self.error


def test_what_is_wrong_with_one_keeps_no_other_back(world, tmp_path):
    patient = world.patient.id
    unplugged = Unplugged("the cable")
    uploads = [
        ("nobody", b""),
        (patient, b"first"),
        (patient, Broken(unplugged)),
        (patient, tmp_path / "missing"),
        (world.doctor.id, b"about a doctor"),
        Upload(patient, b"", file_name="../x"),
        (patient, b"last"),
        (patient[:-1], b""),
    ]
    before = len(world.ledger.reports(patient))
    with pytest.raises(medledger.UploadManyError) as caught:
        world.ledger.upload_many(world.doctor, uploads)
    error = caught.value
    assert str(error).startswith("6 of 8 reports were not accepted; the first is patient: ")
    assert sorted(error.failures) == [0, 2, 3, 4, 5, 7]
    assert [read(world, error.result[place])[0] for place in (1, 6)] == [b"first", b"last"]
    assert error.result[1].access_key.text not in repr(error)
    assert error.result[2] is unplugged
    assert isinstance(error.result[3], FileNotFoundError)
    assert error.result[3].filename == tmp_path / "missing"
    assert isinstance(error.result[4], medledger.RefusedError) and error.result[4].code
    for place in (0, 5, 7):
        assert isinstance(error.result[place], medledger.InvalidArgumentError), place
    assert len(world.ledger.reports(patient)) == before + 2
    result = world.ledger.upload_many(world.doctor, uploads, return_exceptions=True)
    assert [type(one) for one in result] == [type(one) for one in error.result]


def test_the_whole_call_is_repeated_harmlessly(world, tmp_path):
    patient = world.patient.id
    path = tmp_path / "late.txt"
    own = Upload(patient, b"own", idempotency_key="a key of its own")
    uploads = [(patient, b"same"), (patient, b"same"), (patient, path), own]
    key = {"idempotency_key": "many 1"}
    with pytest.raises(medledger.UploadManyError) as caught:
        world.ledger.upload_many(world.doctor, uploads, **key)
    first = caught.value.result
    path.write_bytes(b"there now")
    again = world.ledger.upload_many(world.doctor, uploads, **key)
    assert [one.repeated for one in again] == [True, True, False, True]
    assert [again[n].record == first[n].record for n in (0, 1, 3)] == [True] * 3
    assert len({one.record for one in again}) == 4
    assert again[0].access_key is None and again[2].access_key is not None

    # Each key is what docs/format.md says.
    def part(place, name):
        length = len("many 1").to_bytes(8, "big")
        text = b"medledger/v1/idempotency-part\0" + length + b"many 1" + place.to_bytes(8, "big")
        return hashlib.sha256(text + name).hexdigest()

    for place, source, name in ((1, b"same", b""), (2, b"same", b""), (3, path, b"late.txt")):
        one = world.ledger.upload(
            world.doctor, patient, source, idempotency_key=part(place, name)
        )
        assert one.repeated and one.record == again[place - 1].record
    path.write_bytes(b"another")
    with pytest.raises(medledger.UploadManyError) as caught:
        world.ledger.upload_many(world.doctor, uploads, **key)
    assert isinstance(caught.value.failures[2], medledger.ConflictError)


def given(patient, error):
    yield patient, b"before"
    raise error


def test_what_ends_the_iterable_ends_the_call_and_loses_no_key(world):
    error = Unplugged("half way")
    with pytest.raises(Unplugged) as caught:
        world.ledger.upload_many(world.doctor, given(world.patient.id, error))
    assert caught.value is error and "result" in caught.value.__notes__[0]
    (one,) = caught.value.result
    assert read(world, one, access_key=one.access_key)[0] == b"before"


def test_ctrl_c_in_the_iterable_leaves_out_what_was_not_read_yet(world):
    before = len(world.ledger.reports(world.patient.id))
    with pytest.raises(KeyboardInterrupt) as caught:
        world.ledger.upload_many(world.doctor, given(world.patient.id, KeyboardInterrupt()))
    (one,) = caught.value.result
    assert isinstance(one, OSError)
    assert len(world.ledger.reports(world.patient.id)) == before


def test_an_item_of_another_type_ends_the_call_and_loses_no_key(world):
    patient = world.patient.id
    with pytest.raises(TypeError, match="found int") as caught:
        world.ledger.upload_many(world.doctor, [(patient, b"before"), 7, (patient, b"after")])
    (one,) = caught.value.result
    assert read(world, one, access_key=one.access_key)[0] == b"before"


def test_ctrl_c_in_one_source_ends_them_all(world):
    patient = world.patient.id
    never_read = Broken(AssertionError("read after Ctrl-C"))
    uploads = [(patient, b"before"), (patient, Broken(KeyboardInterrupt())), (patient, never_read)]
    with pytest.raises(KeyboardInterrupt) as caught:
        world.ledger.upload_many(world.doctor, uploads, return_exceptions=True)
    before, interrupted, after = caught.value.result
    assert isinstance(interrupted, KeyboardInterrupt)
    assert isinstance(after, OSError) and not isinstance(after, AssertionError)
    assert read(world, before, access_key=before.access_key)[0] == b"before"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")
def test_a_signal_between_small_reports_ends_the_call(world):
    class Alarm(Exception):
        pass

    def alarm(*_):
        raise Alarm

    def endless():
        while True:
            yield world.patient.id, b"x" * 100_000

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Alarm) as caught:
            world.ledger.upload_many(world.doctor, endless())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for one in caught.value.result:
        assert isinstance(one, (medledger.Uploaded, Exception))


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process")
def test_a_wait_that_fails_keeps_the_results(tmp_path):
    def interrupt(*_):
        raise Unplugged("waiting")

    with (world := make_world(tmp_path / "ledger", engine="work")).ledger as ledger:

        def kill_when_accepted(both):
            while len(ledger.reports(world.patient.id)) < both:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        uploads = [(world.patient.id, b"kept"), (world.patient.id, b"kept, too")]
        before = signal.signal(signal.SIGINT, interrupt)
        try:
            # A block takes a second or so: few are mined before the signal comes; then once more.
            for tries in range(20):
                thread = threading.Thread(target=kill_when_accepted, args=(2 * tries + 2,))
                thread.start()
                try:
                    ledger.upload_many(world.doctor, uploads, wait=True)
                    thread.join(60)
                except Unplugged as error:
                    if result := getattr(error, "result", None):
                        break
        finally:
            signal.signal(signal.SIGINT, before)
        assert len(result) == 2 and result[1].block is None
        for one, data in zip(result, (b"kept", b"kept, too"), strict=True):
            assert read(world, one, access_key=one.access_key)[0] == data


def run(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


FEW_OPEN = """
import resource, sys
from pathlib import Path
from conftest import make_world

folder = Path(sys.argv[1])
world = make_world(folder / "ledger")
paths = [folder / f"{number}.txt" for number in range(700)]
for path in paths:
    path.write_text(path.name)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
done = world.ledger.upload_many(world.doctor, ((world.patient.id, path) for path in paths))
for number in (0, 511, 512, 699):
    with world.ledger.open_report(world.patient, done[number].report) as report:
        assert report.read().decode() == report.file_name == f"{number}.txt"
print(len(done))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no setrlimit")
def test_more_files_than_may_be_open(tmp_path):
    assert int(run(FEW_OPEN, tmp_path)) == 700


OTHER_THREAD = """
import os, sys, threading
from pathlib import Path
from conftest import make_world

folder = Path(sys.argv[1])
world = make_world(folder / "ledger")
os.mkfifo(folder / "pipe")
data = b"x" * 3_000_000

def write():
    (folder / "pipe").write_bytes(data)

thread = threading.Thread(target=write)
thread.start()
(done,) = world.ledger.upload_many(world.doctor, [(world.patient.id, folder / "pipe")])
thread.join()
assert done.length == len(data)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_other_threads_run_meanwhile(tmp_path):
    """What is uploaded comes from another thread of the same interpreter."""
    run(OTHER_THREAD, tmp_path)
