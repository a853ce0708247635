"""The examples of docs/python.md, and the types."""

import doctest
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

import backfill


def test_the_document_is_true(scratch):
    result = doctest.testfile(str(ROOT / "docs/python.md"), module_relative=False, encoding="utf-8")
    assert result.attempted > 20
    assert result.failed == 0


def test_types():
    package = Path(backfill.__file__).parent
    assert (package / "py.typed").exists()
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir=mypy", "-p", "backfill"], stdout=subprocess.PIPE, text=True
    )
    assert checked.returncode == 0, checked.stdout
