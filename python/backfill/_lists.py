"""What is stored, what is missing, what conflicts: small tables, read at once."""

from __future__ import annotations

import pyarrow as pa

from ._program import AnyPath, Date, Tickers, options, ticker_list
from ._rows import Rows


def status(
    tickers: Tickers | None = None,
    interval: int | None = None,
    *,
    store: AnyPath | None = None,
) -> pa.Table:
    """What is stored, one row per series (interval and ticker).

    The columns are interval (minutes), ticker, exchange, basis, hours, rows, hot_rows (not in Parquet files yet),
    first and last (timestamps of bars), sessions_complete, sessions_expected, and unsynced (rows per target, as JSON).

    Raises `backfill.Error`, also if there is no store.
    """
    return _table("status", tickers=ticker_list(tickers), interval=interval, store=store)


def gaps(
    tickers: Tickers | None = None,
    start: Date | None = None,
    end: Date | None = None,
    interval: int | None = None,
    *,
    store: AnyPath | None = None,
) -> pa.Table:
    """Missing or incomplete sessions, one row each.

    The columns are interval (minutes), ticker, session (a day), expected and bars (numbers of bars), first_missing and
    last_missing (timestamps), reason (never_asked, empty, partial, failed or short), shortage, and rejected (rows).

    `run("gaps", fill=True)` requests them from the provider. start, end: first and last day, inclusive, local to the
    exchange. Raises `backfill.Error`, also if there is no store.
    """
    return _table(
        "gaps",
        tickers=ticker_list(tickers),
        start=start,
        end=end,
        interval=interval,
        store=store,
    )


def conflicts(
    tickers: Tickers | None = None,
    interval: int | None = None,
    *,
    store: AnyPath | None = None,
) -> pa.Table:
    """Bars that were offered with other values than the stored ones, one row per bar and run.

    The columns are interval (minutes), ticker, timestamp, the stored values (staged_open, …, staged_source), the
    offered ones (offered_open, …), resolution (what was done), and run.

    Raises `backfill.Error`, also if there is no store.
    """
    return _table("conflicts", tickers=ticker_list(tickers), interval=interval, store=store)


def _table(command: str, **values: object) -> pa.Table:
    return Rows([command, "--format=arrow", *options(**values)]).to_arrow()
