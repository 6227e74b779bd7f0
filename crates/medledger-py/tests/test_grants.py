"""Grants beyond one report and one reader, and what is passed on."""

import pytest

import medledger
from conftest import PASSWORD


def upload(world, data):
    return world.ledger.upload(world.doctor, world.patient.id, data, wait=True).report


def nurse(world, name="Nurse Joy"):
    return world.ledger.add_member(world.hospital, "nurse", name, PASSWORD, wait=True)[0]


def share(world, scope, reader, **more):
    more = {"purpose": "TREAT", "until": "1d", "wait": True} | more
    return world.ledger.share(world.patient, scope, reader, **more)


def opens(world, reader, report, **key):
    with world.ledger.open_report(reader, report, **key) as opened:
        return opened.read()


def test_several_reports_and_a_collection(fresh):
    one, two = upload(fresh, b"one"), upload(fresh, b"two")
    shared = share(fresh, [two, one, one], fresh.reader.id)
    assert (shared.scope, shared.report) == ("reports", None)
    assert shared.reports == tuple(sorted((one, two)))
    key = shared.access_key
    assert opens(fresh, fresh.reader, one, access_key=key) == b"one"
    assert opens(fresh, fresh.reader, two, access_key=key) == b"two"

    joy = nurse(fresh)
    collection = medledger.Collection(fresh.ledger.hospital)
    shared = share(fresh, collection, joy.id, reader_key="identity")
    assert (shared.scope, shared.hospital) == ("collection", fresh.ledger.hospital)
    assert (shared.reports, shared.reader_kind) == ((), "member")
    three = upload(fresh, b"three")
    assert opens(fresh, joy, three) == b"three"
    record = fresh.ledger.renew_collection(fresh.patient, wait=True)
    assert fresh.ledger.log(kind="enrol")[-1].id == record
    four = upload(fresh, b"four")
    assert opens(fresh, joy, four) == b"four"
    assert opens(fresh, joy, one) == b"one"
    seen = fresh.ledger.reports(joy.id)
    assert len(seen) == 4
    assert {grant.scope for report in seen for grant in report.grants} == {"collection"}


def test_what_cannot_be_shared_is_refused(fresh):
    done = fresh.ledger.upload(fresh.doctor, fresh.patient.id, b"one", wait=True)
    collection = medledger.Collection(fresh.ledger.hospital)
    with pytest.raises(medledger.InvalidArgumentError, match="one report"):
        share(fresh, collection, fresh.reader.id, access_key=done.access_key)
    with pytest.raises(medledger.RefusedError):
        share(fresh, done.report, fresh.reader.id, delegable=9)
    with pytest.raises(medledger.InvalidArgumentError):
        share(fresh, [], fresh.reader.id)
    with pytest.raises(TypeError):
        share(fresh, 7, fresh.reader.id)
    with pytest.raises(TypeError):
        share(fresh, done.report, collection)
    assert fresh.ledger.reports(fresh.patient.id)[0].grants == ()


def test_a_group_reads_by_its_membership(fresh):
    report, joy = upload(fresh, b"a report"), nurse(fresh)
    group = fresh.ledger.create_group(
        fresh.hospital, "tumour board", [fresh.reader.id, joy.id], wait=True
    )
    assert (group.name, group.epoch, group.role) == ("tumour board", 1, None)
    assert set(group.members) == {fresh.reader.id, joy.id}
    shared = share(fresh, report, group)
    assert (shared.reader, shared.reader_kind, shared.delivery) == (group.id, "group", "none")
    assert opens(fresh, joy, report) == b"a report"
    changed = fresh.ledger.change_group(
        fresh.hospital, group, join=[fresh.doctor.id], leave=[joy.id], wait=True
    )
    assert (changed.id, changed.epoch) == (group.id, 2)
    assert fresh.ledger.groups() == [changed]
    for reader in (fresh.reader, fresh.doctor):
        assert opens(fresh, reader, report) == b"a report"
    with pytest.raises(medledger.NoAccessError):
        fresh.ledger.open_report(joy, report)
    (grant,) = fresh.ledger.reports(fresh.patient.id)[0].grants
    assert (grant.reader, grant.reader_kind, grant.reader_name) == (
        group.id,
        "group",
        "tumour board",
    )
    with pytest.raises(medledger.InvalidArgumentError):
        fresh.ledger.create_group(fresh.hospital, "", [joy.id])
    with pytest.raises(medledger.RefusedError):
        fresh.ledger.change_group(fresh.hospital, group, leave=[joy.id])


def test_a_group_of_lost_keys_is_stale_until_its_hospital_gives_it_a_next_one(fresh):
    report, joy = upload(fresh, b"a report"), nurse(fresh)
    group = fresh.ledger.create_group(
        fresh.hospital, "tumour board", [fresh.reader.id, joy.id], wait=True
    )
    assert not group.stale
    # The nurse alone: nobody has the hospital's identity, by which the group would move at once.
    fresh.ledger.suspend(joy, joy.id, wait=True)
    suspended = {member.id for member in fresh.ledger.members() if member.suspended}
    assert suspended == {joy.id}
    (stale,) = fresh.ledger.groups()
    assert (stale.id, stale.epoch, stale.stale) == (group.id, 1, True)
    with pytest.raises(medledger.RefusedError):
        share(fresh, report, stale)
    (renewed,) = fresh.ledger.renew_stale_groups(fresh.hospital, wait=True)
    assert fresh.ledger.renew_stale_groups(fresh.hospital) == []
    assert renewed.id == group.id
    assert (renewed.epoch, renewed.stale) == (2, False)
    share(fresh, report, renewed)
    assert opens(fresh, fresh.reader, report) == b"a report"


def test_a_role_takes_in_whoever_comes(fresh):
    report = upload(fresh, b"a report")
    group = fresh.ledger.create_role_group(fresh.hospital, "nurse", wait=True)
    assert (group.role, group.members) == ("nurse", ())
    share(fresh, report, group)
    assert opens(fresh, nurse(fresh), report) == b"a report"
    with pytest.raises(medledger.RefusedError):
        fresh.ledger.create_role_group(fresh.hospital, "nurse")


def test_a_grant_is_passed_on_and_ends_with_the_first(fresh):
    one, two = upload(fresh, b"one"), upload(fresh, b"two")
    joy = nurse(fresh)
    shared = share(fresh, [one, two], fresh.reader.id, delegable=1)
    assert shared.delegable == 1
    arguments = {"access_key": shared.access_key, "scope": one, "wait": True}
    with pytest.raises(medledger.RefusedError):
        fresh.ledger.delegate(fresh.reader, shared.grant, joy.id, until="2d", **arguments)
    passed = fresh.ledger.delegate(fresh.reader, shared.grant, joy.id, **arguments)
    assert (passed.parent, passed.report, passed.until) == (shared.grant, one, shared.until)
    assert opens(fresh, joy, one, access_key=passed.access_key) == b"one"
    with pytest.raises(medledger.NoAccessError):
        fresh.ledger.open_report(joy, two, access_key=passed.access_key)
    with pytest.raises(medledger.NoAccessError):
        fresh.ledger.delegate(fresh.reader, shared.grant, joy.id)
    fresh.ledger.revoke(fresh.patient, shared.grant, wait=True)
    with pytest.raises(medledger.RevokedError):
        fresh.ledger.open_report(joy, one, access_key=passed.access_key)
    grants = {g.id: g for r in fresh.ledger.reports(fresh.patient.id) for g in r.grants}
    assert grants[passed.grant].parent == shared.grant
    assert all(grant.revoked and not grant.live for grant in grants.values())


def test_a_slot_is_asked_for_released_and_used_at_another_copy(fresh, tmp_path):
    uploaded, approved = fresh.granted()
    car = tmp_path / "chain.car"
    fresh.ledger.export_chain(car, reports=True)
    key = approved.access_key
    with medledger.Ledger.follow(tmp_path / "copy", car, chain=fresh.ledger.chain) as copy:
        ask = copy.ask_for_slot(fresh.reader, uploaded.report, access_key=key)
        assert ask.custodian == fresh.ledger.hospital
        assert fresh.ledger.log(kind="read") == []
        slot = fresh.ledger.release_slot(fresh.hospital, ask.data)
        assert [entry.id for entry in fresh.ledger.log(kind="read")] == [ask.read]
        with copy.open_report(fresh.reader, uploaded.report, access_key=key, slot=slot) as opened:
            assert opened.read() == b"a report"
            assert opened.read_record == ask.read
        with pytest.raises(medledger.AccessError):
            copy.open_report(fresh.reader, uploaded.report, access_key=key, slot=ask.data)
    with pytest.raises(medledger.DamagedError):
        fresh.ledger.release_slot(fresh.hospital, b"garbage")
    fresh.ledger.revoke(fresh.patient, approved.grant)
    with pytest.raises(medledger.NoAccessError):
        fresh.ledger.release_slot(fresh.hospital, ask.data)
