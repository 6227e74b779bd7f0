"""Records, blocks and receipts, and what becomes of a whole ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from medledger._types.words import Stage, State


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A record as the log shows it."""

    id: str
    kind: str
    author: str
    author_name: str
    hospital_name: str
    patient: str | None
    report: str | None
    label: str | None
    time: datetime
    """The author's time."""
    state: State
    block: int | None
    """Height of its block."""
    block_id: str | None
    """Hash of its block."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block just mined."""

    id: str
    height: int
    time: datetime
    records: int
    tries: int
    """Hashes tried."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds."""

    height: int
    head: str
    database: int
    """Bytes of the database."""
    files: int
    """Files of ciphertext and identities."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a record has come."""

    stage: Stage
    height: int | None
    """Of its block, once it is mined."""
    code: int | None
    """Why it was refused, as a number."""
    reason: str | None
    """The same in words."""


@dataclass(frozen=True)
class Pruned:
    """What pruning dropped."""

    blocks: int
    records: int
    """Records dropped."""
    kept: int
    """Own records kept."""
    kept_from: int
    """Blocks from this height on are whole."""


@dataclass(frozen=True)
class VerifyReport:
    """What verifying found."""

    blocks: int
    records: int
    reports: int
    bytes: int
    """Bytes of ciphertext hashed."""
    findings: tuple[str, ...]
    """What is not as it should be; empty when all is well."""
    unchecked: tuple[str, ...] = ()
    """What could not be looked at, because whatever keeps it does not answer."""

    @property
    def ok(self) -> bool:
        """Whether everything was looked at and is well."""
        return not (self.findings or self.unchecked)


@dataclass(frozen=True, slots=True)
class MailReport:
    """What became of the letters that waited."""

    sent: int
    waiting: int
    error: str | None
    """Why the last of them waits."""


@dataclass(frozen=True, slots=True)
class Cosignature:
    """That a hospital signed a checkpoint, at a time it states itself."""

    hospital: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Proven:
    """What a receipt proves: that the record took effect. Never that a permission is still live."""

    record: str
    kind: str
    author: str
    time: datetime
    """The author's time."""
    block_id: str
    block: int
    """Height of its block."""
    block_time: datetime
    miner: str
    """The hospital that mined its block."""
    patient: str | None
    """Whom an added report is about; None for other kinds of records."""
    checkpoint_size: int
    """How many blocks the signed checkpoint covers."""
    cosigned: tuple[Cosignature, ...]
    """The hospitals that signed the checkpoint."""
    quorum: int
    """How many of them had to."""
    hospitals: int
    """How many hospitals the chain has."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    roots: tuple[str, ...]
    """Roots of the CAR file; the first is the report's envelope, or the newest block's node."""
    reports: int
    blocks: int
    """IPFS blocks."""
    bytes: int


@dataclass(frozen=True, slots=True)
class ImportedReports:
    """What importing a report brought."""

    reports: tuple[str, ...]
    """Ids of the reports that are whole now."""
    blocks: int
    """IPFS blocks that came, new or not."""
    bytes: int


@dataclass(frozen=True, slots=True)
class ImportedChain:
    """What importing a chain brought."""

    chain: str
    height: int
    """Height of the newest block, now."""
    head: str
    """Its id."""
    added: int
    """Blocks added; 0 when all were here."""
    removed: int
    """Blocks of another branch that were taken off for them."""
    records: int
    finalized: int
    """Blocks that are final, now."""
    reports: int
    """Reports whose ciphertext came along."""
