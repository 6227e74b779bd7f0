"""Reports under new keys, confirmed by the hospital."""

import pytest

import medledger


def opens(world, reader, report, **key):
    with world.ledger.open_report(reader, report, **key) as opened:
        return opened.read()


def test_a_report_gets_a_new_key_once_the_hospital_confirms(fresh):
    uploaded, approved = fresh.granted()
    rotated = fresh.ledger.rotate(fresh.patient, uploaded.report, wait=True)
    assert (rotated.report, rotated.epoch, rotated.readers) == (uploaded.report, 2, 1)
    assert (rotated.length, rotated.access_key) == (8, None)
    (report,) = fresh.ledger.reports(fresh.patient.id)
    assert report.envelope == uploaded.envelope
    (done,) = fresh.ledger.confirm_rotations(fresh.hospital, wait=True)
    assert (done.report, done.result) == (uploaded.report, "same")
    assert fresh.ledger.log(kind="confirm")[0].id == done.record
    (report,) = fresh.ledger.reports(fresh.patient.id)
    assert report.envelope != uploaded.envelope
    for person, key in (
        (fresh.patient, uploaded.access_key),
        (fresh.patient, None),
        (fresh.reader, approved.access_key),
    ):
        assert opens(fresh, person, uploaded.report, access_key=key) == b"a report"
    assert fresh.ledger.confirm_rotations(fresh.hospital) == []


def test_pitfall_19_who_is_cut_off_has_nothing_of_the_new_key(fresh):
    uploaded, approved = fresh.granted()
    fresh.ledger.revoke(fresh.patient, approved.grant, wait=True)
    rotated = fresh.ledger.rotate(
        fresh.patient, uploaded.report, access_key=uploaded.access_key, wait=True
    )
    assert rotated.readers == 0
    fresh.ledger.confirm_rotations(fresh.hospital, wait=True)
    with pytest.raises(medledger.RevokedError):
        fresh.ledger.open_report(fresh.reader, uploaded.report, access_key=approved.access_key)
    assert opens(fresh, fresh.patient, uploaded.report) == b"a report"


def test_what_is_marked_is_rotated_bit_by_bit(fresh):
    reports = [
        fresh.ledger.upload(fresh.doctor, fresh.patient.id, bytes([n]), wait=True).report
        for n in range(3)
    ]
    collection = medledger.Collection(fresh.ledger.hospital)
    assert fresh.ledger.mark_for_rotation(fresh.patient, collection) == 3
    assert fresh.ledger.mark_for_rotation(fresh.patient, reports[:2]) == 0  # they were noted before
    assert set(fresh.ledger.marked_for_rotation(fresh.patient.id)) == set(reports)
    assert len(fresh.ledger.rotate_marked(fresh.patient, limit=1)) == 1
    assert len(fresh.ledger.rotate_marked(fresh.patient, wait=True)) == 2
    assert fresh.ledger.rotate_marked(fresh.patient) == []
    assert len(fresh.ledger.confirm_rotations(fresh.hospital, wait=True)) == 3
    for n, report in enumerate(reports):
        assert opens(fresh, fresh.patient, report) == bytes([n])


def test_what_is_marked_is_rotated_together_and_says_how_far_it_is(fresh):
    uploads = [(fresh.patient.id, bytes([n % 256])) for n in range(300)]
    reports = {one.report for one in fresh.ledger.upload_many(fresh.doctor, uploads, wait=True)}
    collection = medledger.Collection(fresh.ledger.hospital)
    fresh.ledger.mark_for_rotation(fresh.patient, collection)
    told = []

    def stop(done, total):
        told.append((done, total))
        raise KeyboardInterrupt

    # What a unit of work has done is done, and in the exception.
    with pytest.raises(KeyboardInterrupt) as ended:
        fresh.ledger.rotate_marked(fresh.patient, wait=True, progress=stop)
    first = ended.value.result
    assert told == [(len(first), 300)] and 1 < len(first) < 300
    assert len(fresh.ledger.marked_for_rotation(fresh.patient.id)) == 300 - len(first)
    rest = fresh.ledger.rotate_marked(
        fresh.patient, wait=True, progress=lambda *how_far: told.append(how_far)
    )
    assert told[1:] == [(300 - len(first), 300 - len(first))]
    assert {one.report for one in (*first, *rest)} == reports
    confirmed = fresh.ledger.confirm_rotations(fresh.hospital, wait=True)
    assert [one.result for one in confirmed] == ["same"] * 300


def test_pitfall_32_only_the_patient_rotates(fresh):
    uploaded, _ = fresh.granted()
    for who in (fresh.stranger, fresh.doctor, fresh.hospital):
        with pytest.raises(medledger.NoAccessError) as refused:
            fresh.ledger.rotate(who, uploaded.report, access_key=uploaded.access_key)
        assert refused.value.result == []
        with pytest.raises(medledger.RefusedError):
            fresh.ledger.mark_for_rotation(who, uploaded.report)
    assert fresh.ledger.confirm_rotations(fresh.hospital) == []
