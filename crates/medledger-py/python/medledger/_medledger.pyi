"""The private half of medledger, in Rust. Use what the package `medledger` exports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, final, overload

from typing_extensions import Buffer, Self

from medledger._report import OpenedReport
from medledger._types import (
    Access,
    Approved,
    AuditReport,
    Awaited,
    Backup,
    Block,
    BlockCheck,
    CacheStats,
    CollectedBlocks,
    Collection,
    Confirmation,
    Exported,
    Group,
    HeardNews,
    Hospital,
    HospitalCard,
    IdentityInfo,
    ImportedChain,
    ImportedReports,
    KeyConsent,
    KuboCheck,
    LogEntry,
    MailReport,
    Member,
    MovedStorage,
    PickedUp,
    Pin,
    Profile,
    Progress,
    Proposal,
    Proven,
    Pruned,
    Purpose,
    Registration,
    Renewed,
    RepairedBlocks,
    ReplicaReport,
    Report,
    Request,
    Role,
    Rotated,
    SlotRequest,
    Succession,
    Upload,
    StorageStatus,
    SyncedStorage,
    Uploaded,
    VerifyReport,
)

__all__ = [
    "PROFILES",
    "PURPOSES",
    "RECEIPT_VERIFIER",
    "ROLES",
    "AccessKey",
    "Identity",
    "Ledger",
    "RawReport",
    "__version__",
    "check_kubo",
    "check_receipt",
    "cid",
    "seal",
    "simulate",
    "unseal",
]

__version__: Final[str]
ROLES: Final[tuple[Role, ...]]
PURPOSES: Final[tuple[Purpose, ...]]
RECEIPT_VERIFIER: Final[str]
PROFILES: Final[tuple[Profile, ...]]

class _BinaryFile(Protocol):
    def read(self, size: int, /) -> Buffer: ...

class _WritableFile(Protocol):
    def write(self, data: bytes, /) -> int | None: ...

_Target: TypeAlias = PathLike[str] | _WritableFile
_Source: TypeAlias = Buffer | PathLike[str] | _BinaryFile
_Time: TypeAlias = str | datetime | timedelta
_Key: TypeAlias = AccessKey | str
_Scope: TypeAlias = str | Sequence[str] | Collection

def seal(data: Buffer, *, key: Buffer | str, context: Buffer | None = None) -> bytes:
    """Encrypt bytes under a key and bind them to a context."""

def unseal(data: Buffer, *, key: Buffer | str, context: Buffer | None = None) -> bytes:
    """Decrypt what `seal` made, with the same key and context."""

def cid(source: _Source, *, profile: Profile = "unixfs-v1-2025") -> str:
    """The CID that IPFS gives to a file with these bytes."""

def simulate(
    miners: Sequence[float | Mapping[str, Any]] | None = None,
    *,
    latency: float = 1.0,
    blocks: int = 10_000,
    schedule: str = "asert",
    spacing: int = 600,
    half_life: int | None = None,
    window: int | None = None,
    bits: str = "1b00ffff",
    floor: str | None = None,
    hash_rate_changes: Sequence[tuple[int, float]] | None = None,
    seed: int = 1,
    attackers: Sequence[float] | None = None,
    confirmations: int = 6,
    final_after: int | None = None,
    trials: int = 1000,
) -> dict[str, Any]:
    """Simulate mining by several miners, and attackers who try to undo what was mined."""

def check_kubo(address: str | None = None, *, deep: bool = False) -> KuboCheck:
    """Look at a Kubo node's version, settings, room and pins; tells what to mend and how."""

def check_receipt(data: Buffer, *, chain: str) -> Proven:
    """Check a receipt, in either form, against the id of a chain, offline."""

@final
class Identity:
    """A member's secret keys. Never shown; lock it to keep it."""

    @staticmethod
    def generate() -> Identity:
        """A fresh identity, known to no ledger yet."""

    @staticmethod
    def unlock(data: Buffer, password: str) -> Identity:
        """Unlock what `lock` made."""

    def lock(self, password: str) -> bytes:
        """The identity locked with a password (Argon2id), to be kept in a file."""

    def consent_to_next(self, chain: str) -> tuple[Identity, KeyConsent]:
        """Fresh keys for a patient whose keys are suspended, and the consent to them."""

    @property
    def id(self) -> str:
        """The member's id, for life."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class AccessKey:
    """What opens one person's copy of a report's key: 16 secret bytes on paper or in a mail."""

    @staticmethod
    def from_text(text: str) -> AccessKey:
        """Read the text form: 28 letters and digits in groups, or 32 hexadecimal characters."""

    @property
    def text(self) -> str:
        """The text form, to be printed or mailed. Secret."""

    def qr(self, format: Literal["png", "svg"] = "png") -> bytes:
        """The key as a picture of a QR code. Secret."""

    def __eq__(self, other: object, /) -> bool: ...
    __hash__: None  # type: ignore[assignment]

@final
class RawReport:
    """The plaintext of an opened report, by place. Use medledger.OpenedReport, which is a file."""

    @property
    def file_name(self) -> str: ...
    @property
    def media_type(self) -> str: ...
    @property
    def note(self) -> str: ...
    @property
    def length(self) -> int: ...
    @property
    def read_record(self) -> str: ...
    @property
    def grant(self) -> str | None: ...
    @property
    def envelope(self) -> str: ...
    @property
    def body(self) -> str: ...
    def read_up_to(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on, fewer only at the end."""

@final
class Ledger:
    """A ledger in a folder, open for use."""

    @staticmethod
    def create(
        path: str | PathLike[str],
        *,
        hospital: str,
        password: str,
        email: str | None = None,
        mail: Literal["none", "outbox"] = "none",
        delivery: Literal["mail", "pickup", "caller"] | None = None,
        mail_qr: bool = False,
        seconds_per_block: float | None = None,
        engine: Literal["work", "log"] = "work",
        padding: Literal["padme", "none"] = "padme",
        bits: str | None = None,
        schedule: Literal["fixed", "bitcoin", "asert"] = "fixed",
        spacing: int | None = None,
        half_life: int | None = None,
        window: int | None = None,
        floor: str | None = None,
        founders: Sequence[Buffer] = ...,
        diversity: int = 0,
    ) -> Ledger:
        """Make a ledger of one hospital in a folder, which must not exist or be empty, and open it."""

    @staticmethod
    def open(path: str | PathLike[str], *, read_only: bool = False) -> Ledger:
        """Open the ledger in a folder."""

    def close(self) -> None:
        """Close the ledger."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_error: Any) -> None: ...
    @property
    def path(self) -> Path:
        """The folder."""

    @property
    def chain(self) -> str:
        """Id of the chain: whoever knows it can check receipts."""

    @property
    def hospital(self) -> str:
        """Id of the hospital that keeps this folder."""

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def register(
        self,
        hospital: Identity,
        member: Identity,
        role: Role,
        name: str,
        *,
        email: str | None = None,
        wait: bool = False,
    ) -> Registration:
        """Register a member who holds their own identity."""

    def add_member(
        self,
        hospital: Identity,
        role: Role,
        name: str,
        password: str,
        *,
        email: str | None = None,
        wait: bool = False,
    ) -> tuple[Identity, Registration]:
        """Make an identity, lock it into the ledger's folder and register it."""

    def unlock(self, member: str, password: str) -> Identity:
        """Unlock the identity of a member whose locked identity lies in the ledger's folder."""

    def members(self) -> list[Member]:
        """Every member, by registration number."""

    def identity_info(self, member: str) -> IdentityInfo:
        """What a member's identity file tells without its password."""

    def change_password(
        self, member: str, password: str, new: str
    ) -> Literal["none", "locked", "other-password"]:
        """Lock a member's identity file with another password."""

    def upgrade_identity(self, member: str, password: str) -> bool:
        """Lock a member's identity file anew if that makes a guess dearer, or the file newer."""

    def succeed(
        self, identity: Identity, password: str, *, wait: bool = False
    ) -> tuple[Identity, Succession]:
        """Give a member new keys; the former ones stay in the file."""

    def suspend(self, author: Identity, member: str, *, wait: bool = False) -> str:
        """Suspend keys that were lost; returns the id of the record."""

    def replace_keys(
        self, hospital: Identity, member: str, password: str, *, wait: bool = False
    ) -> tuple[Identity, Succession]:
        """As the hospital: give a member whose keys are suspended new ones."""

    def read_consent(self, consent: Buffer) -> KeyConsent:
        """Read a patient's consent to new keys, and check all of it."""

    def replace_with_consent(
        self, hospital: Identity, member: str, consent: Buffer, *, wait: bool = False
    ) -> Succession:
        """As the hospital: give a patient whose keys are suspended those of a consent."""

    def install_identity(self, data: Buffer, password: str) -> Identity:
        """Put an identity file that was brought here into the ledger's folder."""

    def rewrap(self, identity: Identity) -> int:
        """Wrap to a reader's present keys what stands here to former ones; returns how many."""

    def forget_former_keys(
        self,
        identity: Identity,
        password: str,
        *,
        done_at: Sequence[str] = ...,
        anyway: bool = False,
    ) -> Identity:
        """Lock an identity into its file without its former keys."""

    @staticmethod
    def new_hospital(
        path: str | PathLike[str], *, hospital: str, password: str, email: str | None = None
    ) -> HospitalCard:
        """Make a hospital's keys in a folder of its own; it is on no chain until it joins one."""

    @staticmethod
    def hospital_card(
        path: str | PathLike[str], *, password: str, chain: str | None = None
    ) -> HospitalCard:
        """The card of the hospital in a folder, for founding a chain, or for the one named."""

    @staticmethod
    def join(path: str | PathLike[str], source: _Source, *, chain: str) -> Ledger:
        """Make a hospital's folder a ledger of the chain founded with its card, and open it."""

    def export_news(self) -> bytes:
        """What this hospital has to tell the others beside its blocks. It votes first."""

    def import_news(self, news: Buffer) -> HeardNews:
        """Take in what another hospital tells, then vote."""

    def awaited(self) -> Awaited | None:
        """What the newest blocks wait for before they are final; None when all of them are."""

    def hospitals(self) -> tuple[Hospital, ...]:
        """The hospitals of the chain."""

    def propose_admission(self, hospital: Identity, card: Buffer) -> Proposal:
        """Propose to admit the hospital of a card that was made for this chain."""

    def propose_expulsion(self, hospital: Identity, expelled: str) -> Proposal:
        """Propose to expel a hospital."""

    def read_proposal(self, proposal: Buffer) -> Proposal:
        """Read a proposal and check every approval in it."""

    def approve_proposal(self, hospital: Identity, proposal: Buffer) -> Proposal:
        """Add this hospital's approval to a proposal."""

    def submit_proposal(self, hospital: Identity, proposal: Buffer, *, wait: bool = False) -> str:
        """Put a proposal that a quorum has approved on the ledger; returns the record's id."""

    def upload(
        self,
        author: Identity,
        patient: str,
        source: _Source,
        *,
        file_name: str | None = None,
        media_type: str = "",
        note: str = "",
        idempotency_key: str | None = None,
        wait: bool = False,
    ) -> Uploaded:
        """Encrypt and store a report about a patient and accept its record."""

    @overload
    def upload_many(
        self,
        author: Identity,
        uploads: Iterable[tuple[str, _Source] | Upload],
        *,
        idempotency_key: str | None = None,
        wait: bool = False,
        return_exceptions: Literal[False] = False,
    ) -> list[Uploaded]:
        """Upload many reports of one author in one call; raises in the end if any was not accepted."""

    @overload
    def upload_many(
        self,
        author: Identity,
        uploads: Iterable[tuple[str, _Source] | Upload],
        *,
        idempotency_key: str | None = None,
        wait: bool = False,
        return_exceptions: Literal[True],
    ) -> list[Uploaded | Exception]:
        """Upload many reports of one author in one call; an exception stands for each that failed."""

    def request(
        self,
        reader: Identity,
        report: str,
        *,
        purpose: Purpose,
        until: _Time,
        wait: bool = False,
    ) -> str:
        """Ask the patient for permission to read a report; returns the id of the request."""

    def requests(self, patient: str) -> list[Request]:
        """The requests that wait for a patient's answer."""

    def approve(
        self,
        patient: Identity,
        request: str,
        *,
        access_key: _Key | None = None,
        until: _Time | None = None,
        reader_key: Literal["access", "identity"] = "access",
        wait: bool = False,
    ) -> Approved:
        """Approve a request; the reader gets a key of their own."""

    def refuse(self, patient: Identity, request: str, *, wait: bool = False) -> str:
        """Refuse a request; returns the id of the record."""

    def share(
        self,
        patient: Identity,
        scope: _Scope,
        reader: str | Group,
        *,
        purpose: Purpose,
        until: _Time,
        access_key: _Key | None = None,
        reader_key: Literal["access", "identity"] = "access",
        delegable: int = 0,
        wait: bool = False,
    ) -> Approved:
        """Permit a reader unasked."""

    def delegate(
        self,
        holder: Identity,
        grant: str,
        reader: str | Group,
        *,
        scope: _Scope | None = None,
        until: _Time | None = None,
        access_key: _Key | None = None,
        reader_key: Literal["access", "identity"] = "access",
        delegable: int = 0,
        wait: bool = False,
    ) -> Approved:
        """Pass a permission on, where the patient said it may be."""

    def groups(self) -> list[Group]:
        """Every group."""

    def create_group(
        self, hospital: Identity, name: str, members: Sequence[str], *, wait: bool = False
    ) -> Group:
        """Make a group of doctors and nurses."""

    def create_role_group(self, hospital: Identity, role: Role, *, wait: bool = False) -> Group:
        """Make the group of everyone of a role at the hospital, now and later."""

    def change_group(
        self,
        hospital: Identity,
        group: Group,
        *,
        join: Sequence[str] = ...,
        leave: Sequence[str] = ...,
        fresh: bool = False,
        wait: bool = False,
    ) -> Group:
        """Let members join and leave a group; as it is then."""

    def renew_stale_groups(self, hospital: Identity, *, wait: bool = False) -> list[Group]:
        """Give each stale group of the hospital's a next key; these groups, as they are then."""

    def rotate(
        self, patient: Identity, report: str, *, access_key: _Key | None = None, wait: bool = False
    ) -> Rotated:
        """Put a report under a new key, for all who may still read it."""

    def mark_for_rotation(self, patient: Identity, scope: _Scope) -> int:
        """Note reports to be rotated later; returns how many were not noted before."""

    def unmark_for_rotation(
        self, patient: Identity, reports: Sequence[str] | None = None
    ) -> int:
        """Take back the marks of these reports, or of all; returns how many there were."""

    def marked_for_rotation(self, patient: str) -> list[str]:
        """The ids of a patient's reports that are marked to be rotated."""

    def rotate_marked(
        self,
        patient: Identity,
        *,
        limit: int | None = None,
        wait: bool = False,
        progress: Callable[[int, int], object] | None = None,
    ) -> list[Rotated]:
        """Rotate what is marked, many reports in one unit of work."""

    def confirm_rotations(self, hospital: Identity, *, wait: bool = False) -> list[Confirmation]:
        """As the hospital: compare old and new content, confirm what is the same."""

    def enrol(self, patient: Identity, *, wait: bool = False) -> str:
        """Enrol a patient of another hospital at this one; returns the id of the record."""

    def renew_collection(
        self, patient: Identity, hospital: str | None = None, *, wait: bool = False
    ) -> str:
        """Move a patient's collection at a hospital to its next key; returns the id of the record."""

    def ask_for_slot(
        self, reader: Identity, report: str, *, access_key: _Key | None = None
    ) -> SlotRequest:
        """Ask the custodian of a report for its wrapped key."""

    def release_slot(self, hospital: Identity, request: Buffer) -> bytes:
        """As the custodian: record the reading, then give the slot, sealed to its reader."""

    def open_report(
        self,
        reader: Identity,
        report: str,
        *,
        access_key: _Key | None = None,
        slot: Buffer | None = None,
    ) -> OpenedReport:
        """Open a report, for its patient or for a reader with a live permission."""

    def revoke(self, patient: Identity, grant: str, *, wait: bool = False) -> str:
        """Take a permission back; returns the id of the record."""

    def renew_key(
        self, patient: Identity, report: str, *, access_key: _Key | None = None
    ) -> Renewed:
        """Make a new key for a patient's own report in place of one that was lost."""

    def renew_grant_key(
        self, patient: Identity, grant: str, *, access_key: _Key | None = None, wait: bool = False
    ) -> Approved:
        """Give the reader of a permission a new key in place of one that was lost."""

    def pick_up(self, owner: Identity) -> list[PickedUp]:
        """The keys that wait for a member, each shown this once."""

    def accesses(self, patient: str, *, offset: int = 0, limit: int = 0) -> list[Access]:
        """Who saw a patient's reports, when and for which purpose."""

    def digest_audit(self, hospital: Identity, *, wait: bool = False) -> str:
        """Sign how far the hospital's audit log has come; returns the id of the record."""

    def verify_audit(self) -> AuditReport:
        """Recompute the audit log and compare it with its digests on the chain."""

    def reports(self, member: str) -> list[Report]:
        """The reports a member is party to."""

    def log(
        self,
        *,
        kind: str | None = None,
        author: str | None = None,
        patient: str | None = None,
        report: str | None = None,
        since: _Time | None = None,
        until: _Time | None = None,
        limit: int = 0,
        offset: int = 0,
    ) -> list[LogEntry]:
        """The records that match, oldest first."""

    def mine(self, *, empty: bool = False) -> Block | None:
        """Mine one block of waiting records."""

    def keep_mining(
        self,
        mined: Callable[[Block], object] | None = None,
        *,
        records: int = 1000,
        bytes: int = 1_048_576,
        age: float = 10.0,
        timeout: float | None = None,
    ) -> int:
        """Mine whenever a block is due; returns how many blocks there were."""

    def wait(self, record: str) -> int:
        """Mine until a record is in a block; returns that block's height."""

    def progress(self, record: str) -> Progress:
        """How far a record has come."""

    def wait_for(
        self,
        record: str,
        *,
        stage: Literal["accepted", "mined", "final"] = "final",
        timeout: float = 60.0,
    ) -> Progress:
        """Wait until a record has come to a stage; mines nothing."""

    def waiting(self) -> int:
        """How many accepted records wait to be mined."""

    def send_mail(self) -> MailReport:
        """Try to send every letter that waits."""

    def backup(self, to: str | PathLike[str]) -> Backup:
        """Copy the ledger while it may be written to; without the node key."""

    def prune(self, *, keep: int, only_copy: bool = False) -> Pruned:
        """Drop the records of final blocks but of the newest ones."""

    def verify(self, *, full: bool = True) -> VerifyReport:
        """Check this copy from its first block on."""

    def pins(self) -> tuple[Pin, ...]:
        """What is kept in the store of ciphertext, and why."""

    def keep_blocks(self, root: str, reason: str) -> None:
        """Keep a root, with all that lies below it, for a reason of somebody's."""

    def release_blocks(self, root: str, reason: str) -> bool:
        """Take such a reason back; returns whether it was there."""

    def check_blocks(self) -> BlockCheck:
        """Hash every block again and walk all that is kept."""

    def storage(self) -> StorageStatus:
        """Where ciphertext lies, and how far behind the node is."""

    def use_storage(
        self, mode: str, *, kubo: str | None = None, public: bool = False, free: bool = False
    ) -> MovedStorage:
        """Move all ciphertext, read it back and hash it there, then use the new place."""

    def sync_storage(self, *, compare: bool = False) -> SyncedStorage:
        """Give the node what it missed while it was away."""

    def collect_blocks(self, *, dry_run: bool = False, force: bool = False) -> CollectedBlocks:
        """Remove blocks that nothing keeps, such as those of uploads that failed."""

    def repair_blocks(self, source: str | PathLike[str]) -> RepairedBlocks:
        """Fetch damaged and missing blocks from another store, each verified."""

    def sources(self) -> dict[str, str]:
        """Gateways that are asked, in order, for blocks that are missing or damaged here."""

    def add_source(self, name: str, address: str) -> None:
        """Add a trustless gateway, to be asked after those that are there."""

    def remove_source(self, name: str) -> None:
        """Ask a gateway no more."""

    def add_replica_keeper(
        self,
        name: str,
        *,
        cluster: str | None = None,
        service: str | None = None,
        public: bool = False,
        gateway: str | None = None,
        peers: tuple[int, int] | None = None,
        origins: Sequence[str] = ...,
    ) -> None:
        """Add somebody who is to keep reports: an IPFS Cluster or a pinning service."""

    def remove_replica_keeper(self, name: str) -> None:
        """Ask somebody no more to keep reports."""

    def check_replicas(self) -> ReplicaReport:
        """Ask those who were asked to keep reports whether they still do."""

    def repair_replicas(self) -> ReplicaReport:
        """Check, then ask for what is short: new reports, and what somebody forgot."""

    def cache_stats(self) -> CacheStats:
        """How often reading a block of ciphertext was spared by the cache."""

    def receipt(
        self, record: str, *, format: Literal["dag-cbor", "tlog-proof"] = "dag-cbor"
    ) -> bytes:
        """The receipt of a record: proof, checkable offline, that it is in this chain."""

    def export_report(self, report: str, target: _Target) -> Exported:
        """Write a report's ciphertext as a CAR file; it opens only with a key and a permission."""

    def export_chain(self, target: _Target, *, reports: bool = False) -> Exported:
        """Write the chain as a CAR file: every block and record, and the newest checkpoint."""

    def import_report(self, source: _Source) -> ImportedReports:
        """Bring back a report's missing or damaged blocks from its CAR file."""

    def import_chain(self, source: _Source) -> ImportedChain:
        """Add the blocks of a chain's CAR file that go on from this ledger's newest one."""

    @staticmethod
    def follow(path: str | PathLike[str], source: _Source, *, chain: str) -> Ledger:
        """Make a ledger in a folder that follows the chain of a CAR file, and open it."""

    @property
    def is_follower(self) -> bool:
        """Whether this ledger only follows a chain and takes no records of its own."""
