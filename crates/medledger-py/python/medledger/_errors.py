"""The exceptions of medledger.

Every exception that medledger itself raises is a :class:`MedledgerError`, except ``TypeError`` for an
argument of the wrong type. What a Python file object raises while it is read travels unchanged.
The cause, where the machine gave one, is kept as ``__cause__``.

A later version may raise a new class; it will be a subclass of one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medledger._types import Uploaded


class MedledgerError(Exception):
    """Base of all exceptions of medledger."""

    result: object = None
    """What had been accepted before the failure, if anything.

    A call with ``wait=True`` first has its record accepted and then waits until it is mined. When the
    waiting fails or is interrupted, what the call would have returned is here (also on a
    ``KeyboardInterrupt``): the record stays accepted, and a key to pick up must not get lost.
    """


class RefusedError(MedledgerError):
    """The rules of the chain refuse the record: wrong role, unknown member, asked twice, and so on.

    Nothing was written. ``code`` is the number of the outcome; the text tells it in words.
    """

    code: int
    """The number of the outcome, as in ``docs/format.md``."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text, code)
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class AccessError(MedledgerError):
    """The report may not be opened by this reader with this key."""


class NoAccessError(AccessError):
    """There is no such report, the reader has no permission for it, or the key is not the one for it.

    Nobody is told which. Check the key for typing errors, use the newest letter, or ask for
    permission with :meth:`Ledger.request`.
    """


class TooManyAttemptsError(AccessError):
    """After too many failed attempts nothing is tried for a while; the text says until when."""


class WrongKeyError(AccessError):
    """The key is not the one this was sealed with."""


class WrongPasswordError(AccessError):
    """The password does not unlock this identity, or the locked identity is damaged."""


class ExpiredError(AccessError):
    """The permission has ended. Ask for a new one with :meth:`Ledger.request`."""


class RevokedError(AccessError):
    """The patient took the permission back."""


class NotMinedError(AccessError):
    """The permission is accepted, but in no block yet: call :meth:`Ledger.wait` with its record."""


class NotFoundError(MedledgerError, LookupError):
    """There is no ledger in that folder, or no such record or identity in the ledger."""


class DamagedError(MedledgerError):
    """Stored or given bytes are not what they should be: changed, cut, or missing.

    Nothing of them was released. Run :meth:`Ledger.verify` and restore from a copy.
    """


class StorageError(MedledgerError):
    """The disk or the database failed: no space, no permission, no such folder.

    Nothing was accepted. ``__cause__`` is the ``OSError`` where the system gave one.
    """


class InUseError(MedledgerError):
    """Another process writes to this ledger: wait for it, or open it with ``read_only=True``."""


class ReadOnlyError(MedledgerError):
    """The ledger is open for reading only, or its folder cannot be written."""


class UpdateNeededError(MedledgerError):
    """Written by a later version of medledger than this one: update medledger."""


class ConflictError(MedledgerError):
    """What is given contradicts what is here: an idempotency key that this author used for another
    request; a file of another chain, or of one that parts from this one; two signed histories."""


class UploadManyError(MedledgerError):
    """Some of the reports given to :meth:`Ledger.upload_many` were not accepted; the others are."""

    result: list[Uploaded | Exception]
    """What became of each report, in their order: what was accepted, with its key, or why not."""

    def __init__(self, result: list[Uploaded | Exception]) -> None:
        super().__init__(result)
        self.result = result

    @property
    def failures(self) -> dict[int, Exception]:
        """The exceptions, by the places of the reports in the order in which they were given."""
        return {
            place: one for place, one in enumerate(self.result) if isinstance(one, Exception)
        }

    def __str__(self) -> str:
        failures = self.failures
        first = "".join(f"; the first is {error}" for error in list(failures.values())[:1])
        return f"{len(failures)} of {len(self.result)} reports were not accepted{first}"


class ReceiptError(MedledgerError):
    """The receipt proves nothing about this chain, or there can be no receipt of this record yet.

    A record has a receipt once it is mined: call :meth:`Ledger.wait` with it.
    """

    reason: str
    """Why, in one word such as ``other_chain`` or ``record_changed``; the same as the command's codes."""

    def __init__(self, text: str, reason: str = "") -> None:
        super().__init__(text, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidArgumentError(MedledgerError, ValueError):
    """An argument has the right type but a value that cannot be."""


class ClosedError(MedledgerError, ValueError):
    """The ledger was closed: open it again."""
