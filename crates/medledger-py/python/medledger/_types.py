"""What calls of a ledger take and return. Ids and CIDs are text; times are aware, in UTC."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from medledger._medledger import AccessKey

if TYPE_CHECKING:
    from medledger._medledger import _Source

Role = Literal["hospital", "doctor", "nurse", "lab", "patient"]
"""What a member may do."""

Purpose = Literal[
    "TREAT",
    "ETREAT",
    "BTG",
    "CAREMGT",
    "COC",
    "HPAYMT",
    "HOPERAT",
    "HRESCH",
    "PUBHLTH",
    "PATRQT",
    "FAMRQT",
    "HLEGAL",
]
"""Why somebody reads: codes of HL7 v3 PurposeOfUse."""

Profile = Literal["unixfs-v1-2025", "unixfs-v0-2015", "kubo-cidv1"]
"""How a file is cut into blocks, and so which CID it has."""

Delivery = Literal["mailed", "queued", "waits", "pick-up", "none"]
"""How an access key reaches its owner; with "pick-up" the result holds it, once."""

State = Literal["accepted", "mined", "refused"]
"""How far a record has come."""

Scope = Literal["report", "reports", "collection"]
"""What a permission covers: a report, several, or all of a patient's at a hospital."""

Stage = Literal["unknown", "accepted", "mined", "final", "refused"]
"""The same, with what the hospitals made final and what is not known here."""


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

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not self.findings


@dataclass(frozen=True, slots=True)
class StorageStatus:
    """Where ciphertext lies."""

    mode: str
    """``embedded``, ``kubo`` or ``both``."""
    node: str | None
    """Address of the node."""
    behind: int
    """Roots that the node has still to be given, or told to let go."""


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

    @property
    def ok(self) -> bool:
        """Whether every block that is kept is there and healthy."""
        return not (self.damaged or self.missing or self.malformed)


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
