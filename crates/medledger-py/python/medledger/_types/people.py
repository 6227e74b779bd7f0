"""Members, their keys, and the hospitals of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from medledger._types.words import Role


@dataclass(frozen=True, slots=True)
class Registration:
    """What registering returned."""

    member: str
    """Id of the new member."""
    number: int
    """Registration number at this hospital."""
    record: str
    """The record that registered them."""
    block: int | None
    """Height of its block, if the call waited for it."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member, with what this hospital knows of them."""

    id: str
    number: int
    """Registration number at this hospital; 0 where it has none."""
    name: str
    email: str | None
    role: Role
    hospital: str
    """The hospital that registered them."""
    custody: Literal["self", "hospital"]
    """In whose hands their secret keys are."""
    suspended: bool
    """Whether their keys are suspended: they sign nothing and open nothing."""
    suspended_since: datetime | None
    """Time of the block that suspended them; none while the suspension waits for one."""


@dataclass(frozen=True, slots=True)
class IdentityInfo:
    """What a member's identity file tells without its password."""

    member: str
    version: int
    """Of the file's format."""
    algorithm: str
    """Of the key that things are wrapped to."""
    former_keys: int
    memory_kib: int
    """What a guess at the password costs: memory, passes over it, and lanes of Argon2id."""
    passes: int
    lanes: int


@dataclass(frozen=True, slots=True)
class Succession:
    """New keys that succeeded others."""

    member: str
    record: str
    collections: tuple[str, ...]
    """Hospitals at which the patient's collection moved to its next key."""
    to_renew: tuple[str, ...]
    """Hospitals at which it goes on with a former key, until the patient renews it there."""
    elsewhere: tuple[str, ...]
    """Other hospitals that may keep keys for the former ones."""
    block: int | None
    """Height of the record's block, if the call waited for it."""


@dataclass(frozen=True, slots=True)
class KeyConsent:
    """A patient's consent to keys that succeed suspended ones, for the hospital that registered the patient."""

    member: str
    """Whose keys it is about."""
    chain: str
    """The chain it was given for."""
    fingerprint: str
    """Of the new keys: the patient reads it out, the hospital compares."""
    data: bytes
    """The consent itself."""


@dataclass(frozen=True, slots=True)
class HospitalCard:
    """A hospital's public keys, signed by both: for founding a chain, or for one that is named."""

    hospital: str
    """Its id."""
    name: str
    """What it calls itself; nobody vouches for it."""
    chain: str | None
    data: bytes
    """The card itself, to be given to the founder."""


@dataclass(frozen=True, slots=True)
class Hospital:
    """A hospital of the chain."""

    hospital: str
    """Its id."""
    name: str
    mining_key: str
    """The key it signs blocks, votes and checkpoints with."""
    here: bool
    """Whether this is its ledger."""
    votes: bool
    """Whether it votes on what becomes final: one just admitted does not yet."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal to admit or to expel a hospital, with the approvals it has so far."""

    change: Literal["admit", "expel"]
    hospital: str
    """Whom it is about."""
    name: str
    """What a hospital to be admitted calls itself; nobody vouches for it."""
    approved: tuple[str, ...]
    """Hospitals that have approved."""
    needed: int
    """How many have to, whoever submits it included."""
    data: bytes
    """The proposal itself, to be given to the other hospitals."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """What has to come before more blocks are final."""

    kind: Literal["blocks", "votes", "cosignatures", "unknown"]
    """Blocks of more hospitals, or votes, or cosignatures."""
    height: int
    """Height of the block that becomes final next."""
    missing: int
    """Hospitals that have to mine at or above it before it is voted for."""
    hospitals: tuple[str, ...]
    """Those that have not mined there."""
    reason: str
    """The same in words."""


@dataclass(frozen=True, slots=True)
class HeardNews:
    """What another hospital's news brought."""

    records: int
    """Records that wait here too now."""
    refused: int
    """Records that could not be read, or take no effect."""
    votes: int
    """Votes and certificates that count."""
    ignored: int
    """Votes, certificates and checkpoints that count for nothing here."""
    votes_cast: int
    """Votes of this hospital upon it."""
    cosigned: bool
    """Whether this hospital cosigned a checkpoint upon it."""
    finalized: int
    """Blocks that are final, now."""
