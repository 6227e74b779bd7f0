#!/usr/bin/env python3
"""Upload reports: connect to the ledger, encrypt, store, append a block.

    MEDLEDGER_PASSWORD=... upload.py --ledger DIR --init report.pdf
    MEDLEDGER_PASSWORD=... upload.py --ledger DIR --key-file patient.key report.pdf
    MEDLEDGER_PASSWORD=... upload.py --ledger DIR scans/*.dcm

`--init` makes the ledger, with a hospital, a doctor and a patient for demonstration, all under one
password. What is left when keys for others, proof and consent are taken away is `by_hand` below; with
`--by-hand` only that is done.
"""

import argparse
import getpass
import os
import sys
from pathlib import Path

import medledger


def password() -> str:
    """The password of the identities: from the environment, or typed."""
    return os.environ.get("MEDLEDGER_PASSWORD") or getpass.getpass("Password: ")


def connect(folder: Path, init: bool, secret: str) -> medledger.Ledger:
    """Open the ledger; with --init make it first, with a doctor and a patient."""
    if not init:
        return medledger.Ledger.open(folder)
    ledger = medledger.Ledger.create(folder, hospital="Demo Hospital", password=secret)
    hospital = ledger.unlock(ledger.hospital, secret)
    doctor, _ = ledger.add_member(hospital, "doctor", "Dr Demo", secret)
    patient, _ = ledger.add_member(hospital, "patient", "Pat Demo", secret)
    print(f"doctor  {doctor.id}")
    print(f"patient {patient.id}")
    return ledger


def member_of(ledger: medledger.Ledger, role: str, wanted: str | None) -> medledger.Member:
    """The member with this id or name, or the first of the role."""
    for member in ledger.members():
        if member.role == role and (wanted is None or wanted in (member.id, member.name)):
            return member
    sys.exit(f"upload.py: no {role} {wanted or ''} in this ledger: see --init")


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read; never over another."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")


def by_hand(source: Path, target: Path) -> None:
    """The same by hand, without a ledger: a key, the ciphertext, and the CID that names it."""
    key = os.urandom(16)
    sealed = medledger.seal(source.read_bytes(), key=key, context=source.name.encode())
    write_secret(target.with_name(target.name + ".key"), key.hex())
    target.write_bytes(sealed)
    print(f"cid     {medledger.cid(sealed)}")


def upload(options: argparse.Namespace) -> None:
    """The reports go to the ledger, their keys to the patient."""
    secret = password()
    with connect(options.ledger, options.init, secret) as ledger:
        doctor = ledger.unlock(member_of(ledger, "doctor", options.doctor).id, secret)
        patient = member_of(ledger, "patient", options.patient)
        uploads = [(patient.id, file) for file in options.files]
        results = ledger.upload_many(doctor, uploads, return_exceptions=True)
        # From here on the reports are on the ledger; the keys are handed over once, so that comes first.
        for file, done in zip(options.files, results, strict=True):
            if isinstance(done, Exception):
                print(f"upload.py: {file} is not uploaded: {done}", file=sys.stderr)
                continue
            print(f"report  {done.report}")
            print(f"cid     {done.body}")
            if done.access_key is None:
                print(f"key     {done.delivery}")
            elif options.key_file is None:
                print(f"key     {done.access_key.text}")
            else:
                write_secret(options.key_file, done.access_key.text)
                print(f"key     in {options.key_file}")
        for done in results:
            if isinstance(done, medledger.Uploaded):
                print(f"block   {ledger.wait(done.record)}")
        if any(isinstance(done, Exception) for done in results):
            sys.exit(1)


def main() -> None:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="the reports")
    parser.add_argument("--ledger", type=Path, default=Path("ledger"), help="folder of the ledger")
    parser.add_argument("--init", action="store_true", help="make the ledger, with demo members")
    parser.add_argument("--doctor", metavar="ID|NAME", help="who uploads; by default the first")
    parser.add_argument("--patient", metavar="ID|NAME", help="whose report; by default the first")
    parser.add_argument("--key-file", type=Path, help="where the key of one goes, unshown")
    parser.add_argument("--by-hand", type=Path, metavar="TARGET", help="only seal FILE to TARGET")
    options = parser.parse_args()
    if len(options.files) > 1 and (options.key_file or options.by_hand):
        parser.error("--key-file and --by-hand are for one file")
    if options.key_file is not None and options.key_file.exists():
        parser.error(f"{options.key_file} exists: a key is never written over another file")
    try:
        if options.by_hand is not None:
            by_hand(options.files[0], options.by_hand)
        else:
            upload(options)
    except EOFError:
        sys.exit("upload.py: set MEDLEDGER_PASSWORD, or run it in a terminal")
    except (medledger.MedledgerError, OSError) as error:
        sys.exit(f"upload.py: {error}")


if __name__ == "__main__":
    main()
