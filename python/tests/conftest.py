"""Stores and programs for the tests. They run against the installed package, in a scratch folder."""

import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import backfill

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = ROOT / "data/sample"


# A shell's background job ignores Ctrl-C, and Python then leaves it so.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """A working folder without a store, and no settings of this machine."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("BACKFILL_"):
            monkeypatch.delenv(name)
    shutil.copytree(SAMPLE, tmp_path / "data/sample")
    yield tmp_path
    assert children() == [], "a process is left"


@pytest.fixture
def store(scratch):
    """The store of the sample files: 1170 bars each of ACME, GLOBEX and INITECH."""
    backfill.run("inject-csv", csv_dir="data/sample")
    return scratch / "data/staging"


@pytest.fixture
def fake(scratch, monkeypatch):
    """Returns a function that replaces the program by a script."""

    def replace(script: str) -> None:
        path, code = scratch / "fake", scratch / "fake.py"
        code.write_text(textwrap.dedent(script))
        # The first line of a script can't name a path with spaces.
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(code))} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("BACKFILL_PROGRAM", str(path))

    return replace


def children() -> list[str]:
    """Processes that this one started and that still run, or were not waited for."""
    listed = subprocess.run(
        ["/bin/ps", "-o", "pid=,stat=,comm=", "--ppid", str(os.getpid())], stdout=subprocess.PIPE, text=True
    ).stdout
    return [line for line in listed.splitlines() if not line.endswith(" ps")]
