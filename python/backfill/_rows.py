"""Bars and results of SQL, as streams of Arrow batches."""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ._errors import Error
from ._process import HeldInterrupt, Process
from ._program import AnyPath, AsOf, Date, Tickers, options, ticker_list

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class Rows:
    """Rows that are read when they are used.

    Nothing is read before that, and every use reads the store again: keep the table, not this, to work on one state.
    Any library that takes Arrow data accepts it: `duckdb.sql("from rows")`, `polars.DataFrame(rows)`,
    `pyarrow.RecordBatchReader.from_stream(rows)`.

    Every method raises `backfill.Error` if the program fails, also in the middle of a stream: what was returned until
    then isn't all.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments

    def __repr__(self) -> str:
        return f"<backfill.Rows of {self._arguments[0]}>"

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Returns one batch after another, and holds one at a time. A loop that is left early ends the program."""
        stream = _Stream(self._arguments)
        try:
            yield from stream
        finally:
            stream.close()

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns. Starts the program."""
        stream = _Stream(self._arguments)
        stream.close()
        return stream.schema

    def to_arrow(self) -> pa.Table:
        """All rows as a `pyarrow.Table`."""
        stream = _Stream(self._arguments)
        try:
            return pa.Table.from_batches(list(stream), schema=stream.schema)
        finally:
            stream.close()

    def to_pandas(self, **options: Any) -> pd.DataFrame:
        """All rows as a pandas frame. Timestamps are in UTC. `options` go to `pyarrow.Table.to_pandas`."""
        _need("pandas")
        return self.to_arrow().to_pandas(**options)

    def to_polars(self) -> pl.DataFrame:
        """All rows as a Polars frame. Timestamps are in UTC."""
        _need("polars")
        import polars as pl

        frame = pl.from_arrow(self.to_arrow())
        assert isinstance(frame, pl.DataFrame)
        return frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface, by which other libraries read the rows as a stream."""
        stream = _Stream(self._arguments)
        # The reader holds the stream: when it is dropped, the program ends.
        reader = pa.RecordBatchReader.from_batches(stream.schema, stream)
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]


class _Stream:
    """Batches of a program that has been started. Ends it when closed, or when no longer used."""

    def __init__(self, arguments: list[str]) -> None:
        interrupt = HeldInterrupt()
        try:
            self._process: Process | None = Process(arguments)
            # Also at the end of Python. It must not refer to this object.
            self._end = weakref.finalize(self, self._process.end)
        except BaseException:
            interrupt.release()
            raise
        try:
            interrupt.release()
            self._batches = pa.ipc.open_stream(self._process.stdout)
        except (OSError, pa.ArrowInvalid) as error:
            # No stream: the program printed an error instead.
            raise self._finish() from error
        except BaseException:
            self.close()
            raise
        self.schema: pa.Schema = self._batches.schema

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> pa.RecordBatch:
        if self._process is None:
            raise StopIteration
        try:
            return self._batches.read_next_batch()
        except (StopIteration, OSError, pa.ArrowInvalid) as error:
            # A stream that breaks off looks like its end: only the exit code shows that all rows were read.
            not_arrow = self._finish()
            if isinstance(error, StopIteration):
                raise
            raise not_arrow from error
        except BaseException:
            # Ctrl-C, for example: a message may be half read.
            self.close()
            raise

    def close(self) -> None:
        self._process = None
        self._end()

    def _finish(self) -> Error:
        """Raises the program's error if it failed. Otherwise returns the error to raise if its output was no stream."""
        process, self._process = self._process, None
        assert process is not None
        try:
            # What follows the end of the stream: nothing, unless the program is another one.
            while process.stdout.read(1 << 16):
                pass
            code = process.wait()
        finally:
            self._end()
        if code != 0:
            raise process.error(code)
        return process.other_program("printed something that isn't an Arrow stream")


def _need(library: str) -> None:
    """Says how to install an optional library, before anything is read for it."""
    try:
        importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        message = f"to_{library} needs {library}, which isn't installed: pip install 'backfill-bars[{library}]'"
        raise ModuleNotFoundError(message, name=library) from None


def scan(
    tickers: Tickers | None = None,
    start: Date | None = None,
    end: Date | None = None,
    interval: int | None = None,
    *,
    resample: int | None = None,
    as_of: AsOf | None = None,
    store: AnyPath | None = None,
) -> Rows:
    """Stored bars, sorted by ticker and timestamp.

    The columns are ticker, timestamp (when the bar opens, in UTC), open, high, low, close, volume, vwap and trades;
    the last two are null where the source had none. Bars that aren't in Parquet files yet are included.

    tickers: one, or a list; by default all that are stored. A ticker without bars is a warning in the log.
    start, end: first and last day, both inclusive, local to the exchange. `"2025-01-31"` or a `datetime.date`.
    interval: length of the bars in minutes: 1, 5, 15, 30 or 60. Needed only if the store has several.
    resample: combine one-minute bars into bars of this many minutes, from 2 to 1440, counted from the session's open.
    as_of: read the bars that the store had then: a `datetime` with its time zone, or the number of a commit.
    store: folder of the store.
    """
    return Rows(
        [
            "export",
            "--to=-",
            "--format=arrow",
            *options(
                tickers=ticker_list(tickers),
                start=start,
                end=end,
                interval=interval,
                resample=resample,
                as_of=as_of,
                store=store,
            ),
        ]
    )


def query(
    sql: str,
    *,
    files: Mapping[str, AnyPath] | None = None,
    memory_limit: str | None = None,
    temp_limit: str | None = None,
    as_of: AsOf | None = None,
    store: AnyPath | None = None,
) -> Rows:
    """The result of a SQL statement, in DuckDB's dialect.

    The views are bars (the columns of `scan`, source, commit_seq, and interval in minutes), coverage, conflicts and
    runs. The time zone is UTC. Only statements that read are allowed.

    files: more views over CSV or Parquet files: `{"names": "names.csv"}`.
    memory_limit: memory that the query may use, such as `"4GiB"`; by default 1 GiB.
    temp_limit: disk space for what doesn't fit into memory; by default 16 GiB.
    as_of: the view bars has the bars that the store had then, as in `scan`. The other views have the current rows.
    store: folder of the store.
    """
    named = [f"{name}={path}" for name, path in files.items()] if files else None
    return Rows(
        [
            "query",
            "--format=arrow",
            *options(
                file=named,
                memory_limit=memory_limit,
                temp_limit=temp_limit,
                as_of=as_of,
                store=store,
            ),
            # White space: SQL may begin with a comment, which looks like an option.
            f" {sql}",
        ]
    )
