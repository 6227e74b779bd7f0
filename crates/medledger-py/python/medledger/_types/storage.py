"""Ciphertext and the stores it lies in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """Where ciphertext lies."""

    mode: str
    """``embedded``, ``kubo`` or ``both``."""
    node: str | None
    """Address of the node."""
    behind: int
    """Roots that the node has still to be given, or told to let go."""
    owed_damaged: str | None = None
    """What is wrong with the file that says how far; None where it can be read."""


@dataclass(frozen=True, slots=True)
class MovedStorage:
    """What a move of all ciphertext did."""

    copied: int
    blocks: int
    bytes: int
    verified: int
    """Roots whose every block was read back and hashed."""
    left_over: bool
    """Whether the old place still holds what is not used there any more."""


@dataclass(frozen=True, slots=True)
class SyncedStorage:
    """What a node was given that had been away."""

    copied: int
    blocks: int
    bytes: int
    released: int


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """How the replicas of the ledger's reports with others stand."""

    roots: int
    """Reports that were looked at."""
    asked: int
    """Requests that were made, and agreed to."""
    short: tuple[str, ...]
    """What is known of each report with fewer replicas than wanted."""
    forgot: tuple[str, ...]
    """Keepers that had confirmed a report and have it no more."""
    findings: tuple[str, ...]
    """What keepers say, or do, that is not as it should be."""


@dataclass(frozen=True, slots=True)
class KuboFinding:
    """Something about a node."""

    severity: str
    """``note``, ``warning`` or ``fault``."""
    about: str
    text: str
    mend: str


@dataclass(frozen=True, slots=True)
class KuboCheck:
    """A node's state of health."""

    node: str
    version: str | None
    findings: tuple[KuboFinding, ...]
    """The worst first."""

    @property
    def fit(self) -> bool:
        """Whether reports may go there."""
        return all(finding.severity != "fault" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class PinReason:
    """Why a root of blocks is kept."""

    reason: str
    """Such as ``report`` and an id, or ``user`` and some words."""
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Pin:
    """A root of blocks that is kept with all that lies below it."""

    root: str
    reasons: tuple[PinReason, ...]


@dataclass(frozen=True, slots=True)
class BlockCheck:
    """What was found in the store of ciphertext."""

    pins: int
    blocks: int
    """Healthy blocks."""
    bytes: int
    damaged: tuple[str, ...]
    """Blocks whose bytes are not those their CID names."""
    missing: tuple[str, ...]
    malformed: tuple[str, ...]
    unreferenced: int
    """Blocks that nothing keeps."""
    unreferenced_bytes: int
    strays: tuple[str, ...]
    """Files that are none of the store's own."""
    not_kept: tuple[str, ...] = ()
    """Reports on the ledger that nothing keeps here; ``collect_blocks`` keeps again what is here of them."""

    @property
    def ok(self) -> bool:
        """Whether every block that is kept is there and healthy, and every report kept."""
        return not (self.damaged or self.missing or self.malformed or self.not_kept)


@dataclass(frozen=True, slots=True)
class CollectedBlocks:
    """What a collection removed, or would remove."""

    removed: int
    bytes: int
    kept: int
    released: tuple[str, ...]
    """Roots that only uploads kept which never came to be."""
    pinned: tuple[str, ...]
    """Reports on the ledger that were not kept, and are now."""


@dataclass(frozen=True, slots=True)
class RepairedBlocks:
    """What a repair did."""

    repaired: tuple[str, ...]
    bytes: int
    absent: tuple[str, ...]
    """The source does not have them."""
    wrong: tuple[str, ...]
    """The source has other bytes in their place."""
    failed: tuple[str, ...]
    """The source could not be read."""

    @property
    def ok(self) -> bool:
        """Whether all that was broken is healthy again."""
        return not (self.absent or self.wrong or self.failed)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """How the cache of ciphertext did since the ledger was opened."""

    hits: int
    misses: int
    bytes: int
    """Held now."""
    capacity: int

    @property
    def hit_ratio(self) -> float:
        """Hits among all that was asked for, from 0 to 1."""
        return self.hits / max(self.hits + self.misses, 1)
