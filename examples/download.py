#!/usr/bin/env python3
"""Download a report: fetch it from the ledger, check the hashes, decrypt.

    MEDLEDGER_PASSWORD=... download.py --ledger DIR REPORT
    MEDLEDGER_PASSWORD=... download.py --ledger DIR --member "Dr Bob" --key-file bob.key REPORT

The patient needs no key file: their identity opens their reports. With `--by-hand CID`, REPORT is a file
that `upload.py --by-hand` wrote, and only what `by_hand` below shows is done.
"""

import argparse
import getpass
import os
import shutil
import sys
import tempfile
from pathlib import Path

import medledger


def password() -> str:
    """The password of the identity: from the environment, or typed."""
    return os.environ.get("MEDLEDGER_PASSWORD") or getpass.getpass("Password: ")


def member_of(ledger: medledger.Ledger, wanted: str | None) -> medledger.Member:
    """The member with this id or name, or the first patient."""
    for member in ledger.members():
        if wanted in (member.id, member.name) or (wanted is None and member.role == "patient"):
            return member
    sys.exit(f"download.py: no member {wanted or 'who is a patient'} in this ledger")


def by_hand(source: Path, key: str, cid: str, context: str) -> bytes:
    """The same by hand, without a ledger: check that the CID names the bytes, then decrypt."""
    sealed = source.read_bytes()
    if medledger.cid(sealed) != cid:
        sys.exit(f"download.py: {source} is not what {cid} names")
    return medledger.unseal(sealed, key=key, context=context.encode())


def write_whole(source: medledger.OpenedReport, target: Path) -> None:
    """Write beside the target and rename: there is the whole, verified report, or nothing."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
        part = Path(folder, "part")
        with part.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        part.replace(target)


def download(options: argparse.Namespace, key: str | None) -> None:
    """The ledger records the reading, and checks and decrypts what is read."""
    with medledger.Ledger.open(options.ledger) as ledger:
        reader = ledger.unlock(member_of(ledger, options.member).id, password())
        with ledger.open_report(reader, options.report, access_key=key) as report:
            target = options.output or Path(report.file_name or options.report)
            write_whole(report, target)
            print(f"cid     {report.body}")
            print(f"read    {report.read_record}")
            print(f"file    {target}")
            print(f"bytes   {report.length}")


def main() -> None:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("report", help="id of the report, or the sealed file with --by-hand")
    parser.add_argument("--ledger", type=Path, default=Path("ledger"), help="folder of the ledger")
    parser.add_argument("--member", metavar="ID|NAME", help="who reads; by default the first patient")
    parser.add_argument("--key-file", type=Path, help="file with the access key")
    parser.add_argument("--output", type=Path, help="where to; by default its own name")
    parser.add_argument("--by-hand", metavar="CID", help="unseal a file with this CID, no ledger")
    parser.add_argument("--context", default="", help="what it was sealed for: its file's name")
    options = parser.parse_args()
    try:
        key = options.key_file.read_text().strip() if options.key_file else None
        if options.by_hand is None:
            download(options, key)
        elif key is None or options.output is None:
            parser.error("--by-hand needs --key-file and --output")
        else:
            plain = by_hand(Path(options.report), key, options.by_hand, options.context)
            options.output.write_bytes(plain)
    except EOFError:
        sys.exit("download.py: set MEDLEDGER_PASSWORD, or run it in a terminal")
    except (medledger.MedledgerError, OSError) as error:
        sys.exit(f"download.py: {error}")


if __name__ == "__main__":
    main()
