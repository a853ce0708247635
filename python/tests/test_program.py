"""Where the program is found, and how arguments become options."""

import datetime
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import backfill
from backfill import _program
from backfill._program import options


def test_the_program_of_the_environment_is_found():
    assert backfill.program() == Path(sys.prefix, "bin/backfill").resolve()


def test_a_variable_names_another_program(monkeypatch):
    monkeypatch.setenv("BACKFILL_PROGRAM", "/elsewhere/backfill")
    assert backfill.program() == Path("/elsewhere/backfill")
    with pytest.raises(backfill.Error, match="/elsewhere/backfill could not be started: No such file"):
        backfill.status()


def test_the_path_is_searched_last(monkeypatch, scratch):
    monkeypatch.setattr(_program, "_installed", lambda: iter([scratch / "none"]))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(backfill.Error, match="was not found") as error:
        backfill.program()
    assert error.value.exit_code is None and "BACKFILL_PROGRAM" in error.value.hint
    (scratch / "backfill").write_text("")
    (scratch / "backfill").chmod(0o755)
    monkeypatch.setenv("PATH", str(scratch))
    assert backfill.program() == scratch / "backfill"


def test_the_installed_command_runs_without_settings():
    printed = subprocess.run(
        [Path(sys.prefix, "bin/backfill"), "--version"], env={}, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    assert printed.startswith(f"backfill {backfill.__version__} (DuckDB ")


def test_arguments_become_options():
    assert options(on_conflict="ignore", resume=True, again=False, rate=None) == ["--on-conflict=ignore", "--resume"]
    assert options(tickers=["A", "B"], threads=4) == ["--tickers=A", "--tickers=B", "--threads=4"]
    assert options(start=datetime.date(2025, 1, 2), store=Path("a b")) == ["--start=2025-01-02", "--store=a b"]
    midnight = datetime.datetime(2025, 1, 2)
    assert options(start=midnight) == ["--start=2025-01-02"]
    for value in (midnight.replace(hour=9), midnight.replace(tzinfo=datetime.timezone.utc), {"a": 1}, b"a"):
        with pytest.raises(TypeError, match="start"):
            options(start=value)


def test_no_tickers_are_not_all_tickers():
    with pytest.raises(ValueError, match="tickers is empty"):
        backfill.scan([])


def test_a_ticker_is_never_an_option(store):
    backfill.scan("--to=stolen.csv").to_arrow()
    assert not os.path.exists("stolen.csv")


def test_errors_can_be_pickled():
    error = backfill.QuotaError("spent", hint="later", exit_code=5)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is backfill.QuotaError and str(copy) == "spent\nhint: later" and copy.exit_code == 5
