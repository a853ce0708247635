"""Bars and results of SQL: libraries that read them, and streams that end early, break off or are long."""

import datetime
import logging
import os
import subprocess
import sys

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import children

import backfill


def test_bars_in_every_library(store):
    bars = backfill.scan("ACME")
    table = bars.to_arrow()
    assert table.num_rows == 1170
    assert table.schema.names == "ticker timestamp open high low close volume vwap trades".split()
    assert table.schema == bars.schema
    assert table.schema.field("timestamp").type == pa.timestamp("us", tz="UTC")
    frame = bars.to_pandas()
    assert frame.timestamp[0].isoformat() == "2025-01-07T14:30:00+00:00"
    assert bars.to_polars().equals(pl.DataFrame(bars))
    assert duckdb.sql("select count(*), min(ticker) from bars").fetchall() == [(1170, "ACME")]
    assert pa.RecordBatchReader.from_stream(bars).read_all() == table
    assert pa.table(bars) == table


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_library_that_is_missing_is_named_before_a_read(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    # There is no store: a read would fail in another way.
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'backfill-bars\[{library}\]'"):
        getattr(backfill.scan(), f"to_{library}")()


def test_a_fork_leaves_the_streams_of_its_parent_alone(store):
    reader = pa.RecordBatchReader.from_stream(backfill.scan())
    child = os.fork()
    if child == 0:
        rows = backfill.scan("ACME").to_arrow().num_rows
        del reader
        os._exit(0 if rows == 1170 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert reader.read_all().num_rows == 3510


def test_ranges(store):
    day = datetime.date(2025, 1, 8)
    assert backfill.scan("ACME", start=day, end="2025-01-08").to_arrow().num_rows == 390
    assert backfill.scan(["ACME", "GLOBEX"]).to_arrow().num_rows == 2340
    assert backfill.scan(t for t in ("ACME", "GLOBEX")).to_arrow().num_rows == 2340
    assert backfill.scan().to_arrow().num_rows == 3510
    assert backfill.scan("ACME", interval=1, resample=30, store=store).to_arrow().num_rows == 39
    with pytest.raises(backfill.Error) as error:
        backfill.scan("ACME", interval=7).to_arrow()
    assert error.value.exit_code == 2


def test_hot_bars_are_included():
    backfill.run("inject-csv", csv_dir="data/sample", seal="never")
    assert sum(backfill.status()["hot_rows"].to_pylist()) == 3510
    assert backfill.scan().to_arrow().num_rows == 3510


def test_a_ticker_without_bars_is_a_warning(store, caplog):
    assert backfill.scan("NONE").to_arrow().num_rows == 0
    assert caplog.record_tuples == [("backfill", logging.WARNING, "no bars of NONE are stored")]


def test_sql(store):
    assert backfill.query("-- a comment\nselect 1 as one").to_arrow().to_pylist() == [{"one": 1}]
    with open("names.csv", "w") as file:
        file.write("ticker,name\nACME,Acme\n")
    named = backfill.query("select name from names", files={"names": "names.csv"}, memory_limit="128MiB")
    assert named.to_polars().to_dicts() == [{"name": "Acme"}]
    with pytest.raises(backfill.Error, match="Binder Error"):
        backfill.query("select x").to_arrow()
    rows = backfill.query("select x")
    with pytest.raises(duckdb.Error, match="Binder Error"):
        duckdb.sql("from rows").fetchall()


def test_bars_of_an_earlier_time(store):
    then = datetime.datetime.now(datetime.timezone.utc)
    os.mkdir("more")
    with open("more/bars.csv", "w") as file:
        file.write("ticker,timestamp,open,high,low,close,volume\nACME,2025-01-07T14:30:00Z,83,85,82,84,5\n")
    backfill.run("inject-csv", csv_dir="more", on_conflict="update", interval=1)
    (last,) = backfill.query("select max(commit_seq) as commit from bars").to_arrow().to_pylist()

    def first_volume(**as_of):
        return backfill.scan("ACME", end="2025-01-07", **as_of).to_arrow()["volume"][0].as_py()

    assert first_volume() == first_volume(as_of=last["commit"]) == 5
    assert first_volume(as_of=then) == first_volume(as_of=then.isoformat()) != 5
    zone = datetime.timezone(datetime.timedelta(hours=9))
    assert first_volume(as_of=pd.Timestamp(then.astimezone(zone))) == first_volume(as_of=then)
    restated = backfill.query("select count(*) as bars from bars where volume = 5", as_of=then)
    assert restated.to_arrow().to_pylist() == [{"bars": 0}]
    with pytest.raises(TypeError, match="as_of needs a time zone"):
        backfill.scan(as_of=datetime.datetime(2025, 1, 8))


def test_lists(store):
    status = backfill.status(["ACME"], interval=1)
    assert status.select(["ticker", "rows", "hot_rows"]).to_pylist() == [{"ticker": "ACME", "rows": 1170, "hot_rows": 0}]
    assert backfill.gaps(start="2025-01-07").num_rows == 0
    os.mkdir("other")
    with open("other/bars.csv", "w") as file:
        file.write("ticker,timestamp,open,high,low,close,volume\nACME,2025-01-07T14:30:00Z,83,85,82,84,5\n")
    backfill.run("inject-csv", csv_dir="other", on_conflict="ignore", interval=1)
    conflicts = backfill.conflicts("ACME").to_pylist()
    assert [(row["offered_volume"], row["resolution"]) for row in conflicts] == [(5.0, "skipped")]


def test_no_store():
    for call in (backfill.status, backfill.gaps, backfill.conflicts, lambda: backfill.scan().to_arrow()):
        with pytest.raises(backfill.Error, match="there is no store in") as error:
            call()
        assert error.value.exit_code == 1 and "--store" in error.value.hint


ENDLESS = """
    import sys
    import pyarrow as pa
    batch = pa.record_batch({"x": pa.array(range(100_000))})
    with pa.ipc.new_stream(sys.stdout.buffer, batch.schema) as stream:
        while True:
            stream.write_batch(batch)
"""


def test_a_loop_that_is_left_ends_the_program(fake):
    fake(ENDLESS)
    for batch in backfill.scan():
        assert batch.num_rows == 100_000
        break
    assert children() == []


def test_streams_that_end_early_leave_no_warning(fake):
    fake(ENDLESS)
    # In a process of its own: warnings in finalizers are only printed.
    script = """
import gc
import backfill
import pyarrow as pa
rows = iter(backfill.scan())
next(rows)
rows.close()
for batch in backfill.scan():
    break
unused = iter(backfill.scan())
reader = pa.RecordBatchReader.from_stream(backfill.scan())
del reader, unused, rows
backfill.scan().schema
gc.collect()
left_to_the_end = iter(backfill.scan())
next(left_to_the_end)
"""
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "always", "-c", script], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_is_dropped_ends_the_program(fake):
    fake(ENDLESS)
    reader = pa.RecordBatchReader.from_stream(backfill.scan())
    assert reader.read_next_batch().num_rows == 100_000
    assert len(children()) == 1
    del reader
    assert children() == []


def test_a_program_that_ignores_signals_is_ended(fake, monkeypatch):
    monkeypatch.setattr("backfill._process._GRACE", 0.1)
    fake("""
        import os, signal, sys, time
        import pyarrow as pa
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        batch = pa.record_batch({"x": [1]})
        stream = pa.ipc.new_stream(sys.stdout.buffer, batch.schema)
        stream.write_batch(batch)
        sys.stdout.flush()
        time.sleep(1000)
    """)
    assert backfill.scan().schema.names == ["x"]
    assert children() == []


def test_a_stream_that_breaks_off_raises(fake):
    fake("""
        import sys
        import pyarrow as pa
        batch = pa.record_batch({"x": [1, 2, 3]})
        stream = pa.ipc.new_stream(sys.stdout.buffer, batch.schema)
        stream.write_batch(batch)
        sys.stdout.flush()
        print('{"level":"ERROR","message":"the disk failed"}', file=sys.stderr)
        print('{"level":"ERROR","hint":true,"message":"replace it"}', file=sys.stderr)
        sys.stderr.flush()
        import os; os._exit(1)
    """)
    rows = backfill.scan()
    got = []
    with pytest.raises(backfill.Error) as error:
        for batch in rows:
            got.append(batch)
    assert len(got) == 1
    assert (error.value.message, error.value.hint, error.value.exit_code) == ("the disk failed", "replace it", 1)
    with pytest.raises(duckdb.Error, match="the disk failed"):
        duckdb.sql("from rows").fetchall()
    with pytest.raises(Exception, match="the disk failed"):
        pl.DataFrame(rows)


def test_a_program_that_is_killed_raises(fake):
    fake("""
        import os, signal, sys
        import pyarrow as pa
        batch = pa.record_batch({"x": list(range(100_000))})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        sys.stdout.buffer.write(sink.getvalue().to_pybytes()[:300_000])
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    with pytest.raises(backfill.Error, match="ended by signal 9") as error:
        backfill.scan().to_arrow()
    assert error.value.exit_code == -9


def test_a_long_log_blocks_nothing(fake):
    fake("""
        import sys
        import pyarrow as pa
        for _ in range(100_000):
            print('{"level":"DEBUG","message":"' + "x" * 100 + '"}', file=sys.stderr)
        batch = pa.record_batch({"x": [1, 2, 3]})
        with pa.ipc.new_stream(sys.stdout.buffer, batch.schema) as stream:
            stream.write_batch(batch)
    """)
    assert backfill.scan().to_arrow().num_rows == 3


def test_a_loop_holds_one_batch(fake):
    fake("""
        import sys
        import pyarrow as pa
        batch = pa.record_batch({"x": pa.array(range(1_000_000))})
        with pa.ipc.new_stream(sys.stdout.buffer, batch.schema) as stream:
            for _ in range(100):
                stream.write_batch(batch)
    """)
    # In a process of its own: the figure is the highest that there was.
    script = """
import resource, backfill
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
assert sum(batch.num_rows for batch in backfill.scan()) == 100_000_000
print(peak() - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE).stdout)
    assert grown < 200, f"{grown} MiB for a stream of 800 MB"
