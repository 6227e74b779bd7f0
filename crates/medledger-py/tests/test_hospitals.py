"""Two hospitals on one chain, each with a folder: cards, joining, news."""

import io
import json

import pytest
from conftest import PASSWORD

import medledger


def chain_of(ledger):
    car = io.BytesIO()
    ledger.export_chain(car, reports=True)
    return io.BytesIO(car.getvalue())


def give(one, other):
    """One tells the other everything it has."""
    news = one.export_news()
    other.import_chain(chain_of(one))
    return other.import_news(news)


@pytest.fixture
def two(tmp_path):
    """The ledgers of two hospitals, and the folders they lie in."""
    card = medledger.Ledger.new_hospital(tmp_path / "b", hospital="B", password=PASSWORD)
    assert (card.name, card.chain) == ("B", None)
    assert medledger.Ledger.hospital_card(tmp_path / "b", password=PASSWORD) == card
    with pytest.raises(medledger.NotFoundError):
        medledger.Ledger.open(tmp_path / "b")
    a = medledger.Ledger.create(
        tmp_path / "a", hospital="A", password=PASSWORD, bits="207fffff", founders=[card.data]
    )
    b = medledger.Ledger.join(tmp_path / "b", chain_of(a), chain=a.chain)
    assert (b.chain, b.hospital) == (a.chain, card.hospital)
    with a, b:
        yield a, b


def test_two_hospitals_make_a_record_final_together(two):
    a, b = two
    hospital = b.unlock(b.hospital, PASSWORD)
    _, registration = b.add_member(hospital, "doctor", "Dr Bob", PASSWORD)
    heard = give(b, a)
    assert (heard.records, heard.refused, heard.ignored) == (1, 0, 0)
    assert a.awaited() is None
    a.mine()
    assert a.progress(registration.record).stage == "mined"
    # Nobody votes for it before the other hospital has mined as well.
    waits = a.awaited()
    assert (waits.kind, waits.height, waits.missing) == ("blocks", 1, 1)
    assert waits.hospitals == (b.hospital,)
    assert waits.reason == "block 1 is voted for once 1 more hospital has mined at or above it"
    with pytest.raises(medledger.ReceiptError) as caught:
        a.receipt(registration.record)
    assert caught.value.reason == "not_final"
    give(a, b)
    b.mine(empty=True)
    for _ in range(6):
        give(b, a)
        if give(a, b).finalized > 1:
            break
    for ledger in two:
        assert ledger.progress(registration.record).stage == "final"
        proven = medledger.check_receipt(ledger.receipt(registration.record), chain=a.chain)
        assert (proven.quorum, proven.hospitals, len(proven.cosigned)) == (2, 2, 2)


def test_a_third_hospital_is_admitted_by_both_and_expelled(two, tmp_path):
    a, b = two
    at_a, at_b = (ledger.unlock(ledger.hospital, PASSWORD) for ledger in two)
    card = medledger.Ledger.new_hospital(tmp_path / "c", hospital="C", password=PASSWORD)
    with pytest.raises(medledger.InvalidArgumentError):
        a.propose_admission(at_a, card.data)
    card = medledger.Ledger.hospital_card(tmp_path / "c", password=PASSWORD, chain=a.chain)
    proposal = a.propose_admission(at_a, card.data)
    assert (proposal.change, proposal.name, proposal.needed) == ("admit", "C", 2)
    with pytest.raises(medledger.ConflictError, match="1 of the hospitals"):
        a.submit_proposal(at_a, proposal.data)
    approved = b.approve_proposal(at_b, proposal.data)
    assert a.read_proposal(approved.data) == approved
    assert set(approved.approved) == {a.hospital, b.hospital}
    record = b.submit_proposal(at_b, approved.data)
    give(b, a)
    a.mine()
    give(a, b)
    b.mine(empty=True)
    for _ in range(6):
        give(b, a)
        if give(a, b).finalized > 1:
            break
    give(b, a)
    receipt = a.receipt(record)
    assert medledger.check_receipt(receipt, chain=a.chain).quorum == 2
    with medledger.Ledger.join(tmp_path / "c", chain_of(a), chain=a.chain) as c:
        listed = c.hospitals()
        assert [hospital.votes for hospital in listed] == [True] * 3
        assert [hospital.hospital for hospital in listed if hospital.here] == [c.hospital]
    with pytest.raises(medledger.ConflictError, match="have changed"):
        a.approve_proposal(at_a, approved.data)
    with pytest.raises(medledger.DamagedError):
        a.read_proposal(b"nothing")
    part = a.propose_expulsion(at_a, card.hospital)
    assert (part.change, part.hospital, part.needed) == ("expel", card.hospital, 3)


def test_news_and_cards_that_are_none(two, tmp_path):
    a, b = two
    with pytest.raises(medledger.DamagedError):
        a.import_news(b"news")
    with medledger.Ledger.create(
        tmp_path / "c", hospital="C", password=PASSWORD, engine="log"
    ) as other, pytest.raises(medledger.ConflictError):
        a.import_news(other.export_news())
    with pytest.raises(medledger.DamagedError):
        medledger.Ledger.create(
            tmp_path / "d", hospital="D", password=PASSWORD, bits="207fffff", founders=[b"card"]
        )
    for_this = medledger.Ledger.hospital_card(b.path, password=PASSWORD, chain=a.chain)
    assert for_this.chain == a.chain
    with pytest.raises(medledger.InvalidArgumentError):
        medledger.Ledger.create(
            tmp_path / "d", hospital="D", password=PASSWORD, bits="207fffff", founders=[for_this.data]
        )
    assert not (tmp_path / "d").exists()
    with pytest.raises(medledger.WrongPasswordError):
        medledger.Ledger.hospital_card(b.path, password="guess")
    with pytest.raises(medledger.InvalidArgumentError):
        medledger.Ledger.new_hospital(tmp_path / "d", hospital="", password=PASSWORD)


def test_a_follower_has_no_card_and_who_joined_does_not_join_again(two, tmp_path):
    a, b = two
    with medledger.Ledger.follow(tmp_path / "f", chain_of(a), chain=a.chain):
        pass
    with pytest.raises(medledger.NotFoundError):
        medledger.Ledger.hospital_card(tmp_path / "f", password=PASSWORD)
    b.close()
    with pytest.raises(medledger.ConflictError):
        medledger.Ledger.join(tmp_path / "b", chain_of(a), chain=a.chain)
    medledger.Ledger.new_hospital(tmp_path / "e", hospital="E", password=PASSWORD)
    with pytest.raises(medledger.ConflictError):
        medledger.Ledger.join(tmp_path / "e", chain_of(a), chain=a.chain)


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "bitcoin", "window": 20, "spacing": 2, "bits": "207fffff"},
        {"schedule": "asert", "half_life": 600, "spacing": 2, "bits": "1f00ffff", "floor": "207fffff"},
        {"schedule": "asert", "seconds_per_block": 0.01},
        {"bits": "207fffff"},
    ],
)
def test_a_schedule_is_chosen_at_the_beginning(tmp_path, options):
    with medledger.Ledger.create(
        tmp_path / "l", hospital="H", password=PASSWORD, **options
    ) as ledger:
        ledger.mine(empty=True)
        assert ledger.verify().ok


@pytest.mark.parametrize(
    "options",
    [
        {"schedule": "weather"},
        {"spacing": 2},
        {"schedule": "bitcoin", "half_life": 5},
        {"schedule": "asert", "window": 5},
        {"schedule": "asert", "bits": "207fffff"},
        {"bits": "207fffff", "seconds_per_block": 1.0},
        {"bits": "hard"},
        {"engine": "log", "schedule": "asert"},
        {"schedule": "asert", "spacing": 0, "bits": "207fffff"},
    ],
)
def test_a_schedule_that_cannot_be_makes_no_ledger(tmp_path, options):
    with pytest.raises(medledger.InvalidArgumentError):
        medledger.Ledger.create(tmp_path / "l", hospital="H", password=PASSWORD, **options)
    assert not (tmp_path / "l").exists()


def test_blocks_are_mined_as_they_are_due(fresh):
    ledger = fresh.ledger
    while ledger.mine():
        pass
    assert ledger.keep_mining(timeout=0.1) == 0
    for data in (b"one", b"two"):
        ledger.upload(fresh.doctor, fresh.patient.id, data)
    # Two wait and three are asked for.
    assert ledger.keep_mining(records=3, age=3600, timeout=0.1) == 0
    seen = []
    assert ledger.keep_mining(lambda block: seen.append(block) or True, records=2, age=3600) == 1
    assert [block.records for block in seen] == [2]

    def broken(block):
        raise KeyError(block.height)

    ledger.upload(fresh.doctor, fresh.patient.id, b"three")
    with pytest.raises(KeyError):
        ledger.keep_mining(broken, records=1)
    assert ledger.waiting() == 0
    for bad in ({"age": -1.0}, {"timeout": float("nan")}):
        with pytest.raises(medledger.InvalidArgumentError):
            ledger.keep_mining(**bad)


def test_keepers_are_described_in_full(fresh):
    ledger = fresh.ledger
    origin = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWGRUVh7b5CzLTQ2Wzh1F5GyLq6xFZfKL3VjQ2sXkGVJ7m"
    ledger.add_replica_keeper("own", cluster="http://127.0.0.1:9", peers=(2, 3))
    ledger.add_replica_keeper(
        "far", service="https://pins.example", public=True, origins=[origin]
    )
    settings = json.loads((ledger.path / "settings.json").read_text())
    own, far = settings["storage"]["replicas"]["keepers"]
    assert (own["peers"], far["origins"]) == ([2, 3], [origin])
    for bad in (
        {"cluster": "http://127.0.0.1:9", "origins": [origin]},
        {"service": "https://pins.example", "peers": (1, 2)},
        {},
    ):
        with pytest.raises(medledger.InvalidArgumentError):
            ledger.add_replica_keeper("bad", **bad)
