"""An opened report as a raw binary file."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING

from medledger._errors import InvalidArgumentError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from medledger._medledger import RawReport


class OpenedReport(io.RawIOBase):
    """The plaintext of a report, as a file open for reading in binary.

    Bytes are decrypted as they are read, and only the parts that are read are fetched. Whatever comes
    out was checked: blocks against their CIDs, the key against its commitment, every 16 KiB against
    its tag. For many small reads wrap it in ``io.BufferedReader``.
    """

    def __init__(self, raw: RawReport) -> None:
        self._raw = raw
        self._at = 0
        self._lock = threading.Lock()

    @property
    def file_name(self) -> str:
        """The name it was uploaded under, never a path; empty if none was given."""
        return self._raw.file_name

    @property
    def media_type(self) -> str:
        """Media type, such as ``application/pdf``; empty if none was given."""
        return self._raw.media_type

    @property
    def note(self) -> str:
        """The note it was uploaded with."""
        return self._raw.note

    @property
    def length(self) -> int:
        """Bytes of the report."""
        return self._raw.length

    @property
    def read_record(self) -> str:
        """The record that says that the report was read."""
        return self._raw.read_record

    @property
    def grant(self) -> str | None:
        """The permission it was read under; none for the patient."""
        return self._raw.grant

    @property
    def envelope(self) -> str:
        """CID of the envelope, which the ledger names."""
        return self._raw.envelope

    @property
    def body(self) -> str:
        """CID of the ciphertext."""
        return self._raw.body

    def read_range(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset`` on, wherever the file's position is.

        Raises InvalidArgumentError when the range goes beyond the end.
        """
        self._check_open()
        if offset < 0 or length < 0 or offset + length > self.length:
            raise InvalidArgumentError(
                f"{length} bytes at {offset} are not within the {self.length} bytes of the report"
            )
        return self._raw.read_up_to(offset, length)

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to ``size`` bytes, fewer only at the end; all that are left without ``size``."""
        self._check_open()
        with self._lock:
            left = max(self.length - self._at, 0)
            wanted = left if size is None or size < 0 else min(size, left)
            data = self._raw.read_up_to(min(self._at, self.length), wanted)
            self._at += len(data)
            return data

    def readall(self) -> bytes:
        """All bytes that are left."""
        return self.read(-1)

    def readinto(self, buffer: Buffer, /) -> int:
        """Reads into a writable buffer and returns the number of bytes, 0 at the end."""
        self._check_open()
        with memoryview(buffer) as view, view.cast("B") as target:
            done = 0
            while done < len(target):
                data = self.read(min(len(target) - done, 1 << 20))
                if not data:
                    break
                target[done : done + len(data)] = data
                done += len(data)
            return done

    def write(self, data: Buffer, /) -> int:
        """Not possible."""
        raise io.UnsupportedOperation("a report is not changed by writing into it")

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position and returns it; a position beyond the end reads as the end."""
        self._check_open()
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError(f"whence must be 0, 1 or 2, found {whence}")
        with self._lock:
            base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.length}[whence]
            if base + offset < 0:
                raise ValueError(f"a position cannot be negative, found {base + offset}")
            self._at = base + offset
            return self._at

    def tell(self) -> int:
        """The position."""
        self._check_open()
        return self._at

    def readable(self) -> bool:
        """Always true."""
        self._check_open()
        return True

    def seekable(self) -> bool:
        """Always true."""
        self._check_open()
        return True

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed report")

    def __repr__(self) -> str:
        return f"<OpenedReport of {self.length} bytes, read record {self.read_record}>"
