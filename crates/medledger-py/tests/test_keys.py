"""Keys on their way, who used them, and the audit log."""

import json
import re
import struct
import zlib

import pytest
from conftest import PASSWORD, make_world

import medledger


def test_a_key_waits_for_its_owner_and_is_shown_once(tmp_path):
    world = make_world(tmp_path / "ledger")
    world.ledger.close()
    path = world.ledger.path / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"delivery": "pickup"}))
    with medledger.Ledger.open(world.ledger.path) as ledger:
        done = ledger.upload(world.doctor, world.patient.id, b"a report", wait=True)
        assert (done.delivery, done.access_key) == ("waits", None)
        (key,) = ledger.pick_up(world.patient)
        assert (key.report, key.label, key.grant) == (done.report, done.label, None)
        assert ledger.pick_up(world.patient) == []
        opened = ledger.open_report(world.patient, done.report, access_key=key.access_key)
        assert opened.read() == b"a report"


def test_a_lost_key_is_replaced_and_the_patient_sees_who_read(tmp_path):
    world = make_world(tmp_path / "ledger")
    with world.ledger as ledger:
        uploaded, approved = world.granted()
        renewed = ledger.renew_key(world.patient, uploaded.report)
        with pytest.raises(medledger.NoAccessError):
            ledger.open_report(world.patient, uploaded.report, access_key=uploaded.access_key)
        again = ledger.renew_grant_key(
            world.patient, approved.grant, access_key=renewed.access_key, wait=True
        )
        with pytest.raises(medledger.RevokedError):
            ledger.open_report(world.reader, uploaded.report, access_key=approved.access_key)
        ledger.open_report(world.reader, uploaded.report, access_key=again.access_key)
        (access,) = ledger.accesses(world.patient.id)
        assert (access.reader, access.purpose, access.grant) == (world.reader.id, "TREAT", again.grant)
        assert access.state == "accepted"

        hospital = ledger.unlock(ledger.hospital, PASSWORD)
        ledger.digest_audit(hospital, wait=True)
        audit = ledger.verify_audit()
        # A wrong key, one of a permission taken back, and two renewals.
        assert (audit.size, audit.digests, audit.vouched, audit.findings) == (4, 1, 4, ())


def test_how_keys_reach_people_is_said_when_the_ledger_is_made(tmp_path):
    world = make_world(tmp_path / "waits", delivery="pickup")
    with world.ledger as ledger:
        done = ledger.upload(world.doctor, world.patient.id, b"a report")
        assert (done.delivery, done.access_key) == ("waits", None)
        (key,) = ledger.pick_up(world.patient)
        assert key.report == done.report
    with pytest.raises(medledger.InvalidArgumentError, match="mail, pickup, caller"):
        make_world(tmp_path / "wrong", delivery="pigeon")
    assert not (tmp_path / "wrong").exists()


def test_a_rotation_hands_nothing_over_where_the_patients_key_stays(tmp_path):
    world = make_world(tmp_path / "ledger")
    with world.ledger as ledger:
        done = ledger.upload(world.doctor, world.patient.id, b"a report", wait=True)
        rotated = ledger.rotate(world.patient, done.report)
        assert (rotated.delivery, rotated.access_key) == ("none", None)


def pixels(png):
    """The rows of a picture of one bit a pixel, by the PNG specification and Python's own zlib."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, []
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks.append((kind, data))
        at += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[0][1])
    assert rest == [1, 0, 0, 0, 0]
    raw, stride = zlib.decompress(chunks[1][1]), 1 + (width + 7) // 8
    assert len(raw) == stride * height
    rows = [raw[at : at + stride] for at in range(0, len(raw), stride)]
    assert all(row[0] == 0 for row in rows)
    return [[row[1 + x // 8] >> (7 - x % 8) & 1 for x in range(width)] for row in rows]


def test_a_key_is_the_same_picture_in_every_format():
    key = medledger.AccessKey.from_text("07" * 16)
    rows = pixels(key.qr())
    svg = key.qr("svg").decode()
    dark = {tuple(map(int, at)) for at in re.findall(r"M(\d+)[ ,](\d+)h8", svg)}
    assert dark
    for y, row in enumerate(rows):
        for x, light in enumerate(row):
            assert light != ((x // 8 * 8, y // 8 * 8) in dark), (x, y)
    with pytest.raises(medledger.InvalidArgumentError):
        key.qr("gif")
