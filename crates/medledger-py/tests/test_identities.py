"""Members' own keys: passwords, keys that succeed others, keys that were lost."""

import pytest
from conftest import PASSWORD

import medledger


def opens(world, reader, report):
    with world.ledger.open_report(reader, report) as opened:
        return opened.read()


def shared(world):
    """A report that `reader` opens with the identity."""
    uploaded = world.ledger.upload(world.doctor, world.patient.id, b"a report", wait=True)
    world.ledger.share(
        world.patient,
        uploaded.report,
        world.reader.id,
        purpose="TREAT",
        until="1h",
        reader_key="identity",
        wait=True,
    )
    return uploaded.report


def test_a_file_tells_what_a_guess_costs_and_takes_another_password(fresh):
    ledger, member = fresh.ledger, fresh.doctor.id
    info = ledger.identity_info(member)
    assert (info.member, info.algorithm, info.former_keys) == (member, "X-Wing", 0)
    assert info.memory_kib >= 1024 and info.passes > 0 and info.lanes > 0
    assert ledger.upgrade_identity(member, PASSWORD) is False
    ledger.change_password(member, PASSWORD, "another one")
    with pytest.raises(medledger.WrongPasswordError):
        ledger.unlock(member, PASSWORD)
    assert ledger.unlock(member, "another one") == fresh.doctor
    with pytest.raises(medledger.WrongPasswordError):
        ledger.change_password(member, PASSWORD, "a third")
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.change_password(member, "another one", "")
    with pytest.raises(medledger.NotFoundError):
        ledger.identity_info("00" * 16)


def test_keys_succeed_one_another_and_what_was_given_still_opens(fresh):
    ledger, report = fresh.ledger, shared(fresh)
    patient, succession = ledger.succeed(fresh.patient, PASSWORD, wait=True)
    assert succession.collections == (ledger.hospital,) and succession.block is not None
    assert patient == fresh.patient and opens(fresh, patient, report) == b"a report"
    reader, succession = ledger.succeed(fresh.reader, PASSWORD, wait=True)
    assert (succession.member, succession.collections) == (reader.id, ())
    assert opens(fresh, reader, report) == b"a report"
    assert ledger.identity_info(reader.id).former_keys == 1
    assert (ledger.rewrap(reader), ledger.rewrap(reader)) == (1, 0)
    reader = ledger.forget_former_keys(reader, PASSWORD)
    assert ledger.identity_info(reader.id).former_keys == 0
    assert opens(fresh, reader, report) == b"a report"
    # What the former keys sign is refused, and a hospital's are not changed so.
    for former in (fresh.reader, fresh.hospital):
        with pytest.raises(medledger.RefusedError):
            ledger.succeed(former, PASSWORD)


def test_lost_keys_are_suspended_and_replaced_by_the_hospital(fresh):
    ledger, report = fresh.ledger, shared(fresh)
    with pytest.raises(medledger.RefusedError):
        ledger.suspend(fresh.doctor, fresh.reader.id)
    record = ledger.suspend(fresh.hospital, fresh.reader.id, wait=True)
    assert ledger.log(kind="suspend")[0].id == record
    suspended = {member.id: member for member in ledger.members() if member.suspended}
    assert suspended.keys() == {fresh.reader.id}
    assert suspended[fresh.reader.id].suspended_since.tzinfo is not None
    with pytest.raises(medledger.RefusedError, match="your keys are suspended since"):
        opens(fresh, fresh.reader, report)
    with pytest.raises(medledger.RefusedError):
        ledger.replace_keys(fresh.hospital, fresh.patient.id, PASSWORD)
    reader, succession = ledger.replace_keys(fresh.hospital, fresh.reader.id, "new", wait=True)
    assert (reader.id, succession.member) == (fresh.reader.id, fresh.reader.id)
    assert ledger.unlock(reader.id, "new") == reader
    with pytest.raises(medledger.AccessError):
        opens(fresh, reader, report)


def test_pitfall_33_a_patients_consent_travels_and_the_hospital_never_has_the_keys(fresh):
    ledger, report = fresh.ledger, shared(fresh)
    patient, hospital = fresh.patient, fresh.hospital
    # On the patient's machine, without a ledger; both go on as bytes.
    next_keys, consent = patient.consent_to_next(ledger.chain)
    file = next_keys.lock("mine alone")
    assert (consent.member, consent.chain) == (patient.id, ledger.chain)
    assert len(consent.fingerprint.split()) == 8
    replace = lambda member, data: ledger.replace_with_consent(  # noqa: E731
        hospital, member, data, wait=True
    )
    with pytest.raises(medledger.RefusedError, match="not suspended"):
        ledger.read_consent(consent.data)
    with pytest.raises(medledger.ConflictError):
        ledger.install_identity(file, "mine alone")
    ledger.suspend(hospital, patient.id, wait=True)
    assert ledger.read_consent(consent.data) == consent
    for bad, error in (
        (b"nothing", medledger.DamagedError),
        (consent.data + b"\0", medledger.DamagedError),
        (patient.consent_to_next("07" * 32)[1].data, medledger.ConflictError),
        (fresh.doctor.consent_to_next(ledger.chain)[1].data, medledger.RefusedError),
    ):
        with pytest.raises(error):
            ledger.read_consent(bad)
    with pytest.raises(medledger.ConflictError):
        replace(fresh.reader.id, consent.data)
    with pytest.raises(medledger.RefusedError):
        ledger.replace_with_consent(fresh.doctor, patient.id, consent.data)
    succession = replace(patient.id, consent.data)
    assert (succession.member, succession.collections) == (patient.id, ())
    assert (succession.to_renew, succession.elsewhere) == ((ledger.hospital,), ())
    with pytest.raises(medledger.ConflictError, match="used"):
        replace(patient.id, consent.data)

    # At the next visit.
    with pytest.raises(medledger.WrongPasswordError):
        ledger.install_identity(file, PASSWORD)
    now = ledger.install_identity(file, "mine alone")
    assert opens(fresh, now, report) == b"a report"
    with pytest.raises(medledger.AccessError):
        opens(fresh, patient, report)
    ledger.rewrap(now)
    with pytest.raises(medledger.ConflictError, match="renew it first"):
        ledger.forget_former_keys(now, "mine alone", anyway=True)
    with pytest.raises(medledger.InvalidArgumentError):
        ledger.renew_collection(now, fresh.reader.id)
    with pytest.raises(medledger.RefusedError):
        ledger.enrol(now)
    ledger.renew_collection(now, wait=True)
    bare = ledger.forget_former_keys(now, "mine alone")
    late = ledger.upload(fresh.doctor, bare.id, b"later", wait=True).report
    assert (opens(fresh, bare, report), opens(fresh, bare, late)) == (b"a report", b"later")
    assert opens(fresh, fresh.reader, report) == b"a report"
