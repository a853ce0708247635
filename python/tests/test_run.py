"""Runs: summaries, errors, Ctrl-C."""

import datetime
import json
import logging
import os
import signal
import threading

import pytest
from conftest import children

import backfill
from backfill import _process

DEMO = {"provider": "demo", "start": "2025-01-02", "end": "2025-01-03"}


def test_a_download_returns_its_summary(caplog):
    caplog.set_level(logging.INFO, "backfill")
    summary = backfill.run("concurrent", tickers=["AAPL", "MSFT"], **DEMO)
    assert (summary.command, summary.status, summary.exit_code) == ("concurrent", "ok", 0)
    assert (summary.start, summary.end) == (datetime.date(2025, 1, 2), datetime.date(2025, 1, 3))
    assert summary.started_at.tzinfo is not None and summary.started_at <= summary.finished_at
    assert [unit.name for unit in summary.tickers] == ["AAPL", "MSFT"]
    assert summary.totals.committed == sum(unit.counts.committed for unit in summary.tickers) > 700
    assert summary.raw["totals"]["committed"] == summary.totals.committed
    assert summary.failed == ()
    assert any(record.getMessage().startswith("[AAPL]") for record in caplog.records)
    assert backfill.scan(store="data/demo").to_arrow().num_rows == summary.totals.committed


def test_what_a_command_prints_is_kept():
    summary = backfill.run("concurrent", tickers="AAPL", plan=True, **DEMO)
    assert "AAPL" in summary.output
    assert not os.path.exists("data/demo")


def test_files_and_subcommands(store):
    backfill.run("bundle", "create", "bars.tar")
    backfill.run("bundle", "apply", "bars.tar", store="other")
    assert backfill.scan(store="other").to_arrow().num_rows == 3510
    assert backfill.run("verify", store="other").exit_code == 0


def test_conflicts_raise(store):
    with pytest.raises(backfill.ConflictError, match="failed: ACME: 1170 of 1170 rows") as error:
        backfill.run("inject-csv", csv_dir="data/sample")
    assert error.value.exit_code == 4 and "--on-conflict ignore" in error.value.hint
    assert error.value.summary.totals.conflicts == 3510
    summary = backfill.run("inject-csv", csv_dir="data/sample", check=False)
    assert (summary.exit_code, summary.totals.conflicts) == (4, 3510)
    assert len(summary.files) == 2 and len(summary.failed) == 5


def test_partial_runs_raise(scratch):
    (scratch / "data/sample/broken.csv").write_text("this isn't a CSV file of bars\n1,2,3\n")
    with pytest.raises(backfill.PartialError, match="broken.csv") as error:
        backfill.run("inject-csv", csv_dir="data/sample")
    assert error.value.exit_code == 3
    assert error.value.summary.totals.committed == 3510
    assert backfill.run("inject-csv", csv_dir="data/sample", on_conflict="ignore", check=False).exit_code == 3


def test_a_spent_quota_raises():
    call = {"tickers": ["AAPL", "MSFT", "NVDA"], "max_requests": 1, **DEMO}
    with pytest.raises(backfill.QuotaError) as error:
        backfill.run("specific", **call)
    assert error.value.exit_code == 5 and error.value.summary.requests == 1
    assert backfill.run("specific", check=False, resume=True, **call).status == error.value.summary.status


def test_not_due_is_no_failure_without_check(fake):
    document = dict(backfill.run("due", provider="demo", check=False).raw, status="not_due", exit_code=75, error=None)
    fake(f"""
        import json, sys
        (file,) = (word.split("=")[1] for word in sys.argv if word.startswith("--summary-json="))
        open(file, "w").write({json.dumps(json.dumps(document))})
        print("2025-02-03T21:05:00Z")
        sys.exit(75)
    """)
    assert backfill.run("due", check=False).output == "2025-02-03T21:05:00Z\n"
    with pytest.raises(backfill.Error, match="due ended with not_due") as error:
        backfill.run("due")
    assert error.value.exit_code == 75 and error.value.summary.exit_code == 75


def test_wrong_arguments_raise_whatever_check_is():
    with pytest.raises(backfill.Error, match="unexpected argument '--wrong'") as error:
        backfill.run("concurrent", wrong=True, check=False)
    assert error.value.exit_code == 2 and error.value.summary is None
    with pytest.raises(backfill.Error, match="FMP_API_KEY") as error:
        backfill.run("concurrent", tickers="AAPL", start="2025-01-02", end="2025-01-03", check=False)
    assert error.value.exit_code in (1, 2)


def test_ctrl_c_is_passed_on_once_and_raised_at_the_end(fake):
    fake("""
        import os, signal, sys, time
        got = []
        signal.signal(signal.SIGINT, lambda *_: got.append(1))
        os.kill(os.getppid(), signal.SIGINT)
        while not got:
            time.sleep(0.01)
        time.sleep(0.2)  # for a second one
        open("interrupts", "w").write(str(len(got)))
        sys.exit(130)
    """)
    with pytest.raises(KeyboardInterrupt):
        backfill.run("concurrent")
    assert open("interrupts").read() == "1"
    assert children() == []


def test_ctrl_c_during_the_start_leaves_no_program(fake, monkeypatch):
    start = _process._Log.__init__

    def interrupted(self, stream):
        os.kill(os.getpid(), signal.SIGINT)
        start(self, stream)

    monkeypatch.setattr(_process._Log, "__init__", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    fake("import time; time.sleep(1000)")
    for call in (lambda: backfill.run("concurrent"), lambda: backfill.scan().to_arrow()):
        with pytest.raises(KeyboardInterrupt):
            call()
        assert children() == []
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_ends_a_read(fake):
    fake("""
        import os, signal, sys, time
        import pyarrow as pa
        batch = pa.record_batch({"x": [1]})
        stream = pa.ipc.new_stream(sys.stdout.buffer, batch.schema)
        stream.write_batch(batch)
        sys.stdout.flush()
        os.kill(os.getppid(), signal.SIGINT)
        while True:
            time.sleep(0.1)
            stream.write_batch(batch)
            sys.stdout.flush()
    """)
    with pytest.raises(KeyboardInterrupt):
        backfill.scan().to_arrow()
    assert children() == []


def test_runs_in_threads():
    results = []

    def work(ticker):
        results.append(backfill.run("concurrent", tickers=ticker, store=ticker, **DEMO).totals.committed)

    threads = [threading.Thread(target=work, args=(ticker,)) for ticker in ("AAPL", "MSFT")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2 and min(results) > 700


def test_a_signal_that_another_process_sends_is_an_error(fake):
    fake("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(backfill.Error, match="ended by signal 9") as error:
        backfill.run("concurrent")
    assert error.value.exit_code == -signal.SIGKILL
