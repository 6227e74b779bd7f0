"""examples/upload.py and examples/download.py, run as people run them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import medledger

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def script(name, *arguments, cwd, password="secret", fails=False):
    """What a script prints, by its first word; or what it says when it fails."""
    environment = {**os.environ, "MEDLEDGER_PASSWORD": password}
    run = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        # Away from any terminal, where it would ask for the password.
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode != 0) is fails, run.stdout + run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    if fails:
        return run.stderr
    return dict(line.split(maxsplit=1) for line in run.stdout.splitlines())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a ledger, a report in it, and its key."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "scan.pdf").write_bytes(os.urandom(2_000_000))
    done = script("upload.py", "--init", "--key-file", "pat.key", "scan.pdf", cwd=folder)
    return folder, done


def test_up_and_down_again(place):
    folder, done = place
    assert int(done["block"]) >= 1 and done["cid"].startswith("baf") and done["key"] == "in pat.key"
    for keys in ([], ["--key-file", "pat.key"]):
        got = script("download.py", done["report"], "--output", "got", *keys, cwd=folder)
        assert (folder / "got").read_bytes() == (folder / "scan.pdf").read_bytes()
        assert got["cid"] == done["cid"] and got["bytes"] == "2000000"
    if os.name == "posix":
        assert stat.S_IMODE((folder / "pat.key").stat().st_mode) == 0o600


def test_by_default_under_its_own_name_and_the_key_is_shown_once(place, tmp_path):
    folder, _ = place
    (tmp_path / "lab.txt").write_text("all is well")
    ledger = ["--ledger", folder / "ledger"]
    done = script("upload.py", *ledger, tmp_path / "lab.txt", cwd=folder)
    (tmp_path / "key").write_text(medledger.AccessKey.from_text(done["key"]).text)
    (tmp_path / "lab.txt").unlink()
    script("download.py", *ledger, "--key-file", "key", done["report"], cwd=tmp_path)
    assert (tmp_path / "lab.txt").read_text() == "all is well"


def test_several_files_and_one_that_is_missing(place, tmp_path):
    folder, _ = place
    files = {}
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"this is {name}")
        files[name] = tmp_path / name
    paths = [files["a.txt"], tmp_path / "missing.txt", files["b.txt"]]
    environment = {**os.environ, "MEDLEDGER_PASSWORD": "secret"}
    run = subprocess.run(
        [sys.executable, EXAMPLES / "upload.py", *paths],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1 and "missing.txt is not uploaded" in run.stderr, run.stderr
    assert "Traceback" not in run.stderr, run.stderr
    lines = [line.split(maxsplit=1) for line in run.stdout.splitlines()]
    reports, keys = ([rest for first, rest in lines if first == word] for word in ("report", "key"))
    assert len(reports) == len(keys) == 2 and [first for first, _ in lines][-2:] == ["block"] * 2
    for name, report, key in zip(files, reports, keys, strict=True):
        (tmp_path / "key").write_text(key)
        get = ["--output", tmp_path / "got", "--key-file", tmp_path / "key"]
        script("download.py", report, *get, cwd=folder)
        assert (tmp_path / "got").read_bytes() == files[name].read_bytes()
        (tmp_path / "got").unlink()
    several = ["upload.py", "--key-file", "new.key", *files.values()]
    assert "for one file" in script(*several, cwd=folder, fails=True)


def test_what_is_refused(place):
    folder, done = place
    before = sorted(folder.iterdir())
    get = ["download.py", done["report"], "--output", "stolen"]
    assert "no access" in script(*get, "--member", "Dr Demo", cwd=folder, fails=True)
    assert "password" in script(*get, cwd=folder, password="guess", fails=True)
    assert "PASSWORD" in script(*get, cwd=folder, password="", fails=True)
    assert "no member" in script(*get, "--member", "Nobody", cwd=folder, fails=True)
    assert "never written over" in script(
        "upload.py", "--key-file", "pat.key", "scan.pdf", cwd=folder, fails=True
    )
    assert "no ledger" in script("upload.py", "--ledger", "x", "scan.pdf", cwd=folder, fails=True)
    assert "not empty" in script("upload.py", "--init", "scan.pdf", cwd=folder, fails=True)
    assert "missing.pdf" in script("upload.py", "missing.pdf", cwd=folder, fails=True)
    assert sorted(folder.iterdir()) == before


def test_a_tampered_block_is_refused(place):
    folder, _ = place
    (folder / "other.pdf").write_bytes(os.urandom(1_500_000))
    before = set((folder / "ledger" / "blocks").rglob("*"))
    done = script("upload.py", "other.pdf", cwd=folder)
    new = [path for path in (folder / "ledger" / "blocks").rglob("*") if path not in before]
    leaf = max((path for path in new if path.is_file()), key=lambda path: path.stat().st_size)
    content = bytearray(leaf.read_bytes())
    content[1000] ^= 1
    leaf.chmod(0o600)
    leaf.write_bytes(content)
    error = script("download.py", done["report"], "--output", "bad", cwd=folder, fails=True)
    assert "damaged" in error and not (folder / "bad").exists()
    assert not list(folder.glob(".download-*"))


def test_by_hand(place):
    folder, _ = place
    done = script("upload.py", "--by-hand", "sealed", "scan.pdf", cwd=folder)
    get = ["download.py", "sealed", "--key-file", "sealed.key", "--output", "by-hand"]
    script(*get, "--by-hand", done["cid"], "--context", "scan.pdf", cwd=folder)
    assert (folder / "by-hand").read_bytes() == (folder / "scan.pdf").read_bytes()
    (folder / "by-hand").unlink()
    assert "wrong key" in script(*get, "--by-hand", done["cid"], cwd=folder, fails=True)
    other = medledger.cid(b"")
    assert "is not what" in script(*get, "--by-hand", other, cwd=folder, fails=True)
    assert not (folder / "by-hand").exists()
