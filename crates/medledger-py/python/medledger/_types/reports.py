"""Reports, and who may read them."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from medledger._medledger import AccessKey
from medledger._types.words import Delivery, Purpose, Role, Scope, State

if TYPE_CHECKING:
    from medledger._medledger import _Source


@dataclass(frozen=True, slots=True)
class Upload:
    """One report of several for :meth:`Ledger.upload_many`, told as :meth:`Ledger.upload` is."""

    patient: str
    source: _Source = field(repr=False)
    _: KW_ONLY
    file_name: str | None = None
    media_type: str = ""
    note: str = field(default="", repr=False)
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """An accepted upload."""

    record: str
    report: str
    label: str
    """What people call the report."""
    envelope: str
    """CID of the envelope, which the ledger names."""
    body: str
    """CID of the ciphertext."""
    length: int
    """Bytes of the report."""
    sealed_length: int
    """Bytes of the ciphertext."""
    delivery: Delivery
    """How the patient gets the access key."""
    access_key: AccessKey | None
    """The patient's key, when it is to be picked up. Nothing keeps a copy."""
    repeated: bool
    """Whether an earlier upload with the same idempotency key was returned."""
    block: int | None
    """Height of its block, if the call waited for it."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that waits for the patient."""

    id: str
    report: str
    label: str
    reader: str
    reader_name: str
    purpose: Purpose
    until: datetime


@dataclass(frozen=True, slots=True)
class Approved:
    """A permission that was accepted."""

    grant: str
    """The permission; revoking names it."""
    record: str
    scope: Scope
    """What it covers."""
    report: str | None
    """The report, if it covers one."""
    reports: tuple[str, ...]
    """Every report that it names; none where it covers a collection."""
    hospital: str | None
    """The hospital of the collection."""
    reader: str
    """The member, or the group."""
    reader_kind: Literal["member", "group"]
    purpose: Purpose
    until: datetime
    delegable: int
    """How many times it may be passed on."""
    parent: str | None
    """The permission that was passed on with it."""
    delivery: Delivery
    """How the reader gets their access key."""
    access_key: AccessKey | None
    """The reader's key, when it is to be picked up. Nothing keeps a copy."""
    block: int | None
    """Height of its block, if the call waited for it."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """A patient's new key to their own report."""

    report: str
    delivery: Delivery
    access_key: AccessKey | None
    """The key, when it is to be handed over. Nothing keeps a copy."""


@dataclass(frozen=True, slots=True)
class PickedUp:
    """A key that its owner picked up. Nothing keeps a copy."""

    report: str | None
    """The report it opens, where it is one."""
    label: str
    grant: str | None
    """The permission it belongs to; None for a patient's own key."""
    since: datetime
    access_key: AccessKey


@dataclass(frozen=True, slots=True)
class Access:
    """One reading of a report."""

    record: str
    report: str
    label: str
    reader: str
    reader_name: str
    time: datetime
    grant: str | None
    purpose: Purpose | None
    """What the permission is for; None for the patient."""
    version: int
    state: State
    block: int | None


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was found of the hospital's audit log."""

    size: int
    digests: int
    vouched: int
    """Entries that a digest on the chain vouches for."""
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission as the patient or its reader sees it."""

    id: str
    scope: Scope
    """What it covers."""
    report: str | None
    """The report, if it covers one."""
    reports: tuple[str, ...]
    """Every report that it names; none where it covers a collection."""
    hospital: str | None
    """The hospital of the collection."""
    reader: str
    """The member, or the group."""
    reader_kind: Literal["member", "group"]
    reader_name: str
    purpose: Purpose
    until: datetime
    live: bool
    """Whether it lets its reader in now."""
    revoked: bool
    """Whether it, or one it was passed on from, was taken back."""
    delegable: int
    """How many times it may be passed on."""
    parent: str | None
    """The permission that was passed on with it."""


@dataclass(frozen=True, slots=True)
class Collection:
    """All reports of a patient at a hospital, present and future, as what a permission covers."""

    hospital: str
    """Id of the hospital."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of readers."""

    id: str
    name: str
    """What people call it; its id where this hospital was not told."""
    hospital: str
    """The hospital that keeps it."""
    role: Role | None
    """Everyone of this role at that hospital, if it is such a group."""
    epoch: int
    """Counts its keys."""
    members: tuple[str, ...]
    """Ids of who belongs to it now."""
    stale: bool
    """A member lost their keys and the group has had no next key since: nothing can be granted to it until its hospital
    gives it one, with `change_group(..., fresh=True)`."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """A report under a new key, which the hospital has still to confirm."""

    report: str
    record: str
    epoch: int
    """Counts the report's keys."""
    length: int
    """Bytes of the report."""
    readers: int
    """Permissions whose readers were given the new key; those on the collection need none."""
    delivery: Delivery
    """How the patient gets a new key, only where the one they have is not known here."""
    access_key: AccessKey | None
    """That key, when it is to be picked up. Nothing keeps a copy."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What became of a rotation that waited."""

    report: str
    result: Literal["same", "differs", "no-keys"]
    """Confirmed; not confirmed, since the content is another; not compared, since the keys are not here."""
    record: str | None
    """The record that confirms it."""


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """A request for a wrapped key, to be carried to the hospital that keeps it."""

    custodian: str
    """That hospital."""
    read: str
    """The record of the reading that it will accept."""
    data: bytes
    """The request, sealed to that hospital."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report as a member sees it in a list."""

    id: str
    label: str
    patient: str
    patient_name: str
    author: str
    author_name: str
    envelope: str
    record: str
    state: State
    block: int | None
    grants: tuple[Grant, ...]
    """All permissions on it for its patient, their own for others."""
