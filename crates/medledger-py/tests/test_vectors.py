"""The vector files that Rust reads too, as far as the module has what they are about."""

import json
from pathlib import Path

import pytest

import medledger

VECTORS = Path(__file__).resolve().parents[3] / "tests" / "vectors"


def cases(name):
    """The cases of a file."""
    file = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    assert file["cases"], f"{name} has no cases"
    return [pytest.param(case, id=case["name"]) for case in file["cases"]]


def given(value):
    """Bytes as the files write them."""
    if isinstance(value, dict):
        assert set(value) == {"repeat", "count"}
        return bytes.fromhex(value["repeat"]) * value["count"]
    return bytes.fromhex(value)


def check(case, fields, outcomes, call):
    """The call gives what is expected; an outcome or a field nobody knows is a failure."""
    assert set(case) <= {"name", "expect", "reason", "pitfall"} | fields, case["name"]
    expect = case["expect"]
    if expect == "ok":
        return call()
    with pytest.raises(outcomes[expect]):
        call()
    return None


SEAL = {
    "wrong_key_or_context": medledger.WrongKeyError,
    "damaged": medledger.DamagedError,
    "truncated": medledger.DamagedError,
    "invalid_length": medledger.DamagedError,
}


@pytest.mark.parametrize("case", cases("seal"))
def test_seal(case):
    fields = {"report", "version", "epoch", "patient", "author", "context", "dek", "salt", "plain"}
    plain = check(
        case,
        fields | {"sealed"},
        SEAL,
        lambda: medledger.unseal(
            given(case["sealed"]), key=case["dek"], context=given(case["context"])
        ),
    )
    if plain is not None:
        assert plain == given(case["plain"])
        again = medledger.seal(plain, key=case["dek"], context=given(case["context"]))
        assert len(again) == len(given(case["sealed"]))


KEYS = dict.fromkeys(
    ["character", "check", "length", "sixteen_digits", "spare_bits"], medledger.InvalidArgumentError
)


@pytest.mark.parametrize("case", cases("access_keys"))
def test_access_keys(case):
    fields = {"text", "key", "written"}
    key = check(case, fields, KEYS, lambda: medledger.AccessKey.from_text(case["text"]))
    if key is not None:
        assert key.text == case["written"]
        assert key == medledger.AccessKey.from_text(case["key"])


RECEIPTS = dict.fromkeys(
    [
        "malformed",
        "other_chain",
        "genesis",
        "genesis_block",
        "record",
        "foreign_record",
        "not_in_block",
        "descriptor",
        "work",
        "block_signature",
        "not_in_log",
        "not_final",
        "tlog_proof",
        "no_extra",
        "size",
        "note",
        "checkpoint",
    ],
    medledger.ReceiptError,
) | {"unknown_version": medledger.UpdateNeededError}


@pytest.mark.parametrize("case", cases("receipts"))
def test_receipts(case):
    fields = {"chain", "bytes", "record", "block", "height"}
    proven = check(
        case,
        fields,
        RECEIPTS,
        lambda: medledger.check_receipt(given(case["bytes"]), chain=case["chain"]),
    )
    if proven is not None:
        assert proven.record == case["record"]
        assert (proven.block_id, proven.block) == (case["block"], case["height"])


@pytest.mark.parametrize("case", cases("unixfs"))
def test_unixfs(case):
    data = bytes.fromhex(case["byte"]) * int(case["count"])
    profile = case["profile"]
    cid = check(
        case,
        {"byte", "count", "profile", "cid"},
        {"unknown_profile": medledger.InvalidArgumentError},
        lambda: medledger.cid(data, profile=profile),
    )
    if cid is not None:
        assert cid == case["cid"]
