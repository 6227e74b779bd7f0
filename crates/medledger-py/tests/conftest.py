"""A ledger with people in it, for tests."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import medledger

PASSWORD = "correct horse"


@dataclass
class World:
    """A ledger of one hospital with two doctors and two patients."""

    ledger: medledger.Ledger
    hospital: medledger.Identity
    doctor: medledger.Identity
    reader: medledger.Identity
    patient: medledger.Identity
    stranger: medledger.Identity

    def granted(self, data=b"a report", until="1h"):
        """A report that `reader` may read: the upload and the permission, mined."""
        uploaded = self.ledger.upload(self.doctor, self.patient.id, data)
        request = self.ledger.request(self.reader, uploaded.report, purpose="TREAT", until=until)
        key = uploaded.access_key
        approved = self.ledger.approve(self.patient, request, access_key=key, wait=True)
        return uploaded, approved


def make_world(folder: Path, **options) -> World:
    options = {"engine": "log"} | options
    ledger = medledger.Ledger.create(
        folder, hospital="General Hospital", password=PASSWORD, **options
    )
    hospital = ledger.unlock(ledger.hospital, PASSWORD)
    people = [
        ledger.add_member(hospital, role, name, PASSWORD)[0]
        for role, name in (
            ("doctor", "Dr Ada"),
            ("doctor", "Dr Bob"),
            ("patient", "Pat"),
            ("patient", "Sam"),
        )
    ]
    return World(ledger, hospital, *people)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """One ledger for all tests that only add to it."""
    with (world := make_world(tmp_path_factory.mktemp("world") / "ledger")).ledger:
        yield world


@pytest.fixture
def fresh(tmp_path):
    """A ledger of the test's own."""
    with (world := make_world(tmp_path / "ledger")).ledger:
        yield world
