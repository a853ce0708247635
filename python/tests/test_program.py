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


def test_tickers_are_text():
    for tickers in (["A", float("nan")], [None], [7203], b"AAPL"):
        with pytest.raises(TypeError, match="a ticker is a str, not (float|NoneType|int)"):
            backfill.scan(tickers)
        with pytest.raises(TypeError, match="a ticker is a str"):
            backfill.run("concurrent", tickers=tickers)


def test_other_programs_are_refused(fake):
    calls = (backfill.status, lambda: backfill.scan().to_arrow(), lambda: backfill.run("seal"))
    fake("print('hello')")
    for call in calls:
        with pytest.raises(backfill.Error, match="fake (printed something|ended without a summary)") as error:
            call()
        assert error.value.exit_code == 0 and "BACKFILL_PROGRAM" in error.value.hint
    # Another version, whose summary lacks what this package reads.
    fake("""
        import sys
        (file,) = (word.split("=")[1] for word in sys.argv if word.startswith("--summary-json="))
        open(file, "w").write('{"schema": "backfill.summary/9", "totals": {}}')
    """)
    with pytest.raises(backfill.Error, match="wrote a summary that this package can't read"):
        backfill.run("seal")


def test_exit_codes_that_are_lost_are_no_success():
    # In a process of its own, because pytest needs the signal.
    script = """
import signal, backfill
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
try:
    backfill.status()
except backfill.Error as error:
    print(error.message)
"""
    printed = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert printed.startswith("the signal SIGCHLD is ignored")


def test_a_ticker_is_never_an_option(store):
    backfill.scan("--to=stolen.csv").to_arrow()
    assert not os.path.exists("stolen.csv")


def test_errors_can_be_pickled():
    error = backfill.QuotaError("spent", hint="later", exit_code=5)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is backfill.QuotaError and str(copy) == "spent\nhint: later" and copy.exit_code == 5
