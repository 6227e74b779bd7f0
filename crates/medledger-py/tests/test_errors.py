"""Every class of exception, reached by what really causes it; and arguments that cannot be."""

import datetime
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import medledger
from conftest import PASSWORD, make_world


def refused(world, tmp_path):
    world.ledger.upload(world.patient, world.patient.id, b"")


def no_access(world, tmp_path):
    done = world.ledger.upload(world.doctor, world.patient.id, b"")
    world.ledger.open_report(world.stranger, done.report)


def wrong_key(world, tmp_path):
    medledger.unseal(medledger.seal(b"", key=bytes(16)), key=bytes([1]) * 16)


def too_many_attempts(world, tmp_path):
    done = world.ledger.upload(world.doctor, world.patient.id, b"")
    for _ in range(5):
        with pytest.raises(medledger.NoAccessError):
            world.ledger.open_report(world.stranger, done.report)
    world.ledger.open_report(world.stranger, done.report)


def wrong_password(world, tmp_path):
    world.ledger.unlock(world.doctor.id, "guess")


def expired(world, tmp_path):
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
    uploaded, approved = world.granted(until=until)
    # Times on the ledger are whole seconds.
    while datetime.datetime.now(datetime.timezone.utc) < until + datetime.timedelta(seconds=1):
        time.sleep(0.1)
    world.ledger.open_report(world.reader, uploaded.report, access_key=approved.access_key)


def revoked(world, tmp_path):
    uploaded, approved = world.granted()
    world.ledger.revoke(world.patient, approved.grant)
    world.ledger.open_report(world.reader, uploaded.report, access_key=approved.access_key)


def not_mined(world, tmp_path):
    done = world.ledger.upload(world.doctor, world.patient.id, b"")
    shared = world.ledger.share(
        world.patient, done.report, world.reader.id, purpose="TREAT", until="1h"
    )
    world.ledger.open_report(world.reader, done.report, access_key=shared.access_key)


def not_found(world, tmp_path):
    medledger.Ledger.open(tmp_path / "nothing")


def damaged(world, tmp_path):
    with make_world(tmp_path / "ledger").ledger as ledger:
        path = ledger.path
    (path / "settings.json").write_text("{")
    medledger.Ledger.open(path)


def storage(world, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    medledger.Ledger.create(tmp_path / "file" / "ledger", hospital="H", password=PASSWORD)


def in_use(world, tmp_path):
    medledger.Ledger.open(world.ledger.path)


def read_only(world, tmp_path):
    with medledger.Ledger.open(world.ledger.path, read_only=True) as ledger:
        ledger.upload(world.doctor, world.patient.id, b"")


def update_needed(world, tmp_path):
    with make_world(tmp_path / "ledger").ledger as ledger:
        path = ledger.path / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"v": 2}))
    medledger.Ledger.open(path.parent)


def conflict(world, tmp_path):
    for data in (b"one", b"two"):
        world.ledger.upload(world.doctor, world.patient.id, data, idempotency_key="conflict")


def receipt(world, tmp_path):
    done = world.ledger.upload(world.doctor, world.patient.id, b"")
    world.ledger.receipt(done.record)


def invalid_argument(world, tmp_path):
    world.ledger.upload(world.doctor, "doctor", b"")


def upload_many(world, tmp_path):
    world.ledger.upload_many(world.doctor, [(world.doctor.id, b"")])


def closed(world, tmp_path):
    with medledger.Ledger.open(world.ledger.path, read_only=True) as ledger:
        pass
    assert ledger.closed and "closed" in repr(ledger)
    ledger.members()


CAUSES = {
    medledger.RefusedError: refused,
    medledger.NoAccessError: no_access,
    medledger.TooManyAttemptsError: too_many_attempts,
    medledger.WrongKeyError: wrong_key,
    medledger.WrongPasswordError: wrong_password,
    medledger.ExpiredError: expired,
    medledger.RevokedError: revoked,
    medledger.NotMinedError: not_mined,
    medledger.NotFoundError: not_found,
    medledger.DamagedError: damaged,
    medledger.StorageError: storage,
    medledger.InUseError: in_use,
    medledger.ReadOnlyError: read_only,
    medledger.UpdateNeededError: update_needed,
    medledger.ConflictError: conflict,
    medledger.UploadManyError: upload_many,
    medledger.ReceiptError: receipt,
    medledger.InvalidArgumentError: invalid_argument,
    medledger.ClosedError: closed,
}


@pytest.mark.parametrize("error", CAUSES, ids=lambda error: error.__name__)
def test_each_class_is_reached(error, world, tmp_path):
    with pytest.raises(error) as caught:
        CAUSES[error](world, tmp_path)
    assert type(caught.value) is error and str(caught.value)
    assert (caught.value.result is None) is (error is not medledger.UploadManyError)


def leaves(error):
    below = error.__subclasses__()
    return {error} if not below else set().union(*map(leaves, below))


def test_the_table_has_every_class_and_each_is_documented():
    assert leaves(medledger.MedledgerError) == set(CAUSES)
    for error in CAUSES:
        assert error.__doc__ and getattr(medledger, error.__name__) is error


def test_a_refusal_has_the_code_of_its_outcome(world):
    with pytest.raises(medledger.RefusedError) as caught:
        refused(world, None)
    assert caught.value.code == 6 and "(code 6)" in str(caught.value)


def test_the_cause_is_kept(world, tmp_path):
    with pytest.raises(medledger.StorageError) as caught:
        storage(world, tmp_path)
    assert isinstance(caught.value.__cause__, NotADirectoryError)


def test_what_is_unknown_is_not_found(world):
    with pytest.raises(medledger.NotFoundError):
        world.ledger.receipt("00" * 32)
    with pytest.raises(medledger.NotFoundError):
        world.ledger.wait("00" * 32)
    with pytest.raises(medledger.NotFoundError):
        world.ledger.unlock("00" * 16, PASSWORD)


@pytest.mark.parametrize("full", [True, False])
def test_a_tampered_block_is_not_released(tmp_path, full):
    with (world := make_world(tmp_path / "ledger")).ledger as ledger:
        done = ledger.upload(world.doctor, world.patient.id, bytes(2_000_000), wait=True)
        blocks = [path for path in (ledger.path / "blocks").rglob("*") if path.is_file()]
        leaf = max(blocks, key=lambda path: path.stat().st_size)
        content = bytearray(leaf.read_bytes())
        content[len(content) // 2] ^= 1
        leaf.chmod(0o600)
        leaf.write_bytes(content)
    with medledger.Ledger.open(tmp_path / "ledger") as ledger:
        with pytest.raises(medledger.DamagedError):
            ledger.open_report(world.patient, done.report).read()
        found = ledger.verify(full=full)
        assert found.ok is not full and len(found.findings) == full


TEXT_ARGUMENTS = [
    ("members are named by ids", lambda w: w.ledger.reports("Pat")),
    ("an id is cut", lambda w: w.ledger.requests(w.patient.id[:-1])),
    ("not hex", lambda w: w.ledger.reports("xy" * 16)),
    ("unknown purpose", lambda w: w.ledger.request(w.reader, "00" * 16, purpose="X", until="1h")),
    ("no time", lambda w: w.ledger.request(w.reader, "00" * 16, purpose="TREAT", until="soon")),
    (
        "a time without zone",
        lambda w: w.ledger.request(
            w.reader, "00" * 16, purpose="TREAT", until=datetime.datetime(2030, 1, 1)
        ),
    ),
    (
        "a negative span",
        lambda w: w.ledger.request(
            w.reader, "00" * 16, purpose="TREAT", until=datetime.timedelta(seconds=-1)
        ),
    ),
    ("unknown kind", lambda w: w.ledger.log(kind="gossip")),
    ("unknown role", lambda w: w.ledger.add_member(w.hospital, "king", "K", PASSWORD)),
    ("no name", lambda w: w.ledger.add_member(w.hospital, "lab", "", PASSWORD)),
    ("no password", lambda w: w.ledger.add_member(w.hospital, "lab", "L", "")),
    ("no address", lambda w: w.ledger.add_member(w.hospital, "lab", "L", PASSWORD, email="@")),
    ("a path", lambda w: w.ledger.upload(w.doctor, w.patient.id, b"", file_name="../x")),
    ("no media type", lambda w: w.ledger.upload(w.doctor, w.patient.id, b"", media_type="pdf")),
    ("empty key of many", lambda w: w.ledger.upload_many(w.doctor, [], idempotency_key="")),
    ("empty key", lambda w: w.ledger.upload(w.doctor, w.patient.id, b"", idempotency_key="")),
    ("typing error", lambda w: w.ledger.open_report(w.reader, "00" * 16, access_key="4CT4")),
    ("reader_key", lambda w: w.ledger.approve(w.patient, "00" * 32, reader_key="none")),
    ("not empty", lambda w: medledger.Ledger.create(w.ledger.path, hospital="H", password="p")),
    ("chain", lambda w: medledger.check_receipt(b"", chain="main")),
]


@pytest.mark.parametrize("call", [call for _, call in TEXT_ARGUMENTS], ids=[n for n, _ in TEXT_ARGUMENTS])
def test_a_value_that_cannot_be(call, world):
    with pytest.raises(medledger.InvalidArgumentError) as caught:
        call(world)
    assert isinstance(caught.value, ValueError) and str(caught.value)


@pytest.mark.parametrize(
    "options", [{"mail": "pigeon"}, {"engine": "oracle"}, {"padding": "some"}, {"seconds_per_block": 0}]
)
def test_an_option_that_cannot_be_makes_no_ledger(tmp_path, options):
    with pytest.raises(medledger.InvalidArgumentError):
        medledger.Ledger.create(tmp_path / "ledger", hospital="H", password="p", **options)
    assert list(tmp_path.iterdir()) == []


TYPES = [
    lambda w: w.ledger.upload("doctor", w.patient.id, b""),
    lambda w: w.ledger.upload(w.doctor, w.patient, b""),
    lambda w: w.ledger.upload(w.doctor, w.patient.id, "report.pdf"),
    lambda w: w.ledger.upload(w.doctor, w.patient.id, 7),
    lambda w: w.ledger.upload_many(w.doctor, 7),
    lambda w: w.ledger.upload_many(w.doctor, [b""]),
    lambda w: w.ledger.upload_many(w.doctor, [(w.patient.id, b"", "name")]),
    lambda w: w.ledger.upload_many(w.doctor, [(w.patient.id, "report.pdf")]),
    lambda w: w.ledger.upload_many(w.doctor, [medledger.Upload(w.patient, b"")]),
    lambda w: medledger.Upload(w.patient.id),
    lambda w: w.ledger.open_report(w.patient, "00" * 16, access_key=7),
    lambda w: w.ledger.request(w.reader, "00" * 16, purpose="TREAT", until=30),
    lambda w: w.ledger.reports(7),
    lambda w: medledger.Ledger(),
    lambda w: medledger.AccessKey(),
    lambda w: medledger.Identity(),
    lambda w: medledger.Ledger.open(7),
]


@pytest.mark.parametrize("call", TYPES)
def test_an_argument_of_another_type(call, world):
    with pytest.raises(TypeError) as caught:
        call(world)
    assert str(caught.value)


def test_a_key_is_never_in_the_text_of_an_exception(world):
    key = world.granted()[0].access_key.text
    mistyped = key[:-1] + ("0" if key[-1] != "0" else "1")
    for call in (
        lambda: medledger.AccessKey.from_text(mistyped),
        lambda: world.ledger.open_report(world.reader, "00" * 16, access_key=mistyped),
        lambda: world.ledger.open_report(world.reader, "00" * 16, access_key=key.encode()),
    ):
        with pytest.raises((medledger.InvalidArgumentError, TypeError)) as caught:
            call()
        assert key[:8] not in str(caught.value) and key[:8] not in repr(caught.value)


def test_a_writer_in_another_process_holds_the_folder(world):
    program = "import sys, medledger; medledger.Ledger.open(sys.argv[1])"
    run = subprocess.run(
        [sys.executable, "-c", program, world.ledger.path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1 and "InUseError" in run.stderr


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer")
def test_an_interrupt_while_waiting_keeps_what_was_accepted(tmp_path):
    class Interrupted(Exception):
        pass

    def interrupt(*_):
        raise Interrupted

    with (world := make_world(tmp_path / "ledger", engine="work")).ledger as ledger:
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            # About one in ten is mined before the alarm; then once more.
            for _ in range(50):
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                try:
                    ledger.upload(world.doctor, world.patient.id, b"kept", wait=True)
                except Interrupted as error:
                    interrupted = error
                    if hasattr(error, "result"):
                        break
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        uploaded = interrupted.result
        assert uploaded.block is None and "accepted" in interrupted.__notes__[0]
        assert ledger.waiting() > 0
        opened = ledger.open_report(world.patient, uploaded.report, access_key=uploaded.access_key)
        assert opened.read() == b"kept"


def test_the_folder_is_free_after_closing(tmp_path):
    with make_world(tmp_path / "ledger").ledger as ledger:
        pass
    ledger.close()
    with medledger.Ledger.open(str(Path(tmp_path, "ledger"))) as again:
        assert again.chain == ledger.chain and again.path == ledger.path
    with pytest.raises(medledger.ClosedError), again:
        pass
