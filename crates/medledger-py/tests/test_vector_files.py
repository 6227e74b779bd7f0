"""Every file of tests/vectors follows the convention of the README beside it."""

import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[3] / "tests" / "vectors"
# Sets that others published, kept in the form in which they did; their README says whose they are.
PUBLISHED = {"bitcoin", "hpke", "merkle"}
FILES = sorted(path for path in VECTORS.rglob("*.json") if path.parent.name not in PUBLISHED)


def refuse_duplicates(pairs):
    keys = [key for key, _ in pairs]
    assert len(set(keys)) == len(keys), f"a key twice among {keys}"
    return dict(pairs)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_follows_the_convention(path):
    file = json.loads(path.read_text("utf-8"), object_pairs_hook=refuse_duplicates)
    assert set(file) == {"about", "source", "cases"}
    assert file["about"].strip() and file["source"].strip()
    assert file["cases"], "a file without cases"
    names = [case["name"] for case in file["cases"]]
    assert len(set(names)) == len(names), "a name twice"
    for case in file["cases"]:
        for field in ("name", "expect"):
            text = case[field]
            assert text and set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789_"), text
        assert case["reason"].strip(), f"{case['name']} has no reason"
