"""What type checkers and people see: the stub, the exports, the README."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import medledger

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments, cwd=None):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stub_is_that_of_the_built_module():
    run("-m", "mypy.stubtest", "medledger._medledger")


def test_the_package_and_the_examples_pass_mypy(tmp_path):
    examples = [ROOT / "examples" / name for name in ("upload.py", "download.py")]
    run("-m", "mypy", "--strict", "--cache-dir", tmp_path, "-p", "medledger")
    for example in examples:
        run("-m", "mypy", "--strict", "--cache-dir", tmp_path, example)


def test_every_public_name_is_exported_and_documented():
    names = {name for name in vars(medledger) if not name.startswith("_")}
    modules = {name for name in names if inspect.ismodule(getattr(medledger, name))}
    assert set(medledger.__all__) == names - modules | {"__version__"}
    for name in medledger.__all__:
        value = getattr(medledger, name)
        if inspect.isclass(value) or inspect.isbuiltin(value):
            assert value.__doc__, name
        if inspect.isclass(value):
            fields = getattr(value, "__dataclass_fields__", {})
            public = [item for item in vars(value) if not item.startswith("_")]
            for item in set(public) - set(fields):
                attribute = inspect.getattr_static(value, item)
                if callable(attribute) or inspect.isdatadescriptor(attribute):
                    assert inspect.getdoc(getattr(value, item)), f"{name}.{item}"


def test_literal_types_are_the_tables_of_the_library():
    assert medledger.ROLES == get_args(medledger.Role)
    assert medledger.PURPOSES == get_args(medledger.Purpose)
    assert medledger.PROFILES == get_args(medledger.Profile)


README = (ROOT / "crates" / "medledger-py" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS)
def test_the_readme_runs(code, tmp_path):
    ast.parse(code)
    run("-W", "error", "-c", code, cwd=tmp_path)


def test_the_example_of_the_package_holds():
    import doctest

    assert doctest.testmod(medledger).failed == 0
    assert len(BLOCKS) == 2
