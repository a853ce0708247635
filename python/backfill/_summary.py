"""The summary of a run."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Numbers of bars, of a run or of one ticker or file in it."""

    #: Rows that the provider sent or a file has.
    fetched: int = 0
    #: Bars left out because they may still change.
    held: int = 0
    #: Rows that aren't valid bars.
    rejected: int = 0
    #: Valid bars.
    prepared: int = 0
    #: Bars that are stored now and weren't before.
    committed: int = 0
    #: Stored bars that were replaced.
    updated: int = 0
    #: Bars that were stored already, with the same values.
    skipped_identical: int = 0
    #: Bars that were stored already with other values, which were kept.
    skipped_restated: int = 0
    #: Bars that conflict with stored bars.
    conflicts: int = 0


@dataclass(frozen=True)
class Unit:
    """What became of one ticker or file."""

    #: The ticker, or the file's path as it was given.
    name: str
    status: str
    counts: Counts
    elapsed_seconds: float
    error: str | None


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    command: str
    #: In one word: ok, partial, conflict, quota, …
    status: str
    #: 0 done, 3 partial, 4 conflicts, 5 quota spent, 75 not due yet; 1, 2 and 130 only in `Error.summary`.
    exit_code: int
    started_at: datetime.datetime
    finished_at: datetime.datetime
    elapsed_seconds: float
    #: Folder of the store.
    store: str | None
    #: Length of the bars, if all have the same.
    interval_minutes: int | None
    #: First and last day of a download.
    start: datetime.date | None
    end: datetime.date | None
    #: Whether the run stored nothing on purpose.
    dry_run: bool
    on_conflict: str | None
    #: Why the run could not continue.
    error: str | None
    #: The sum over all tickers or files.
    totals: Counts
    #: Requests sent, with repeated ones.
    requests: int
    #: Requests that were repeated.
    retries: int
    tickers: tuple[Unit, ...]
    files: tuple[Unit, ...]
    #: What the command printed, such as the requests of a plan.
    output: str = dataclasses.field(repr=False)
    #: The whole document that the program wrote (`--summary-json`).
    raw: Mapping[str, Any] = dataclasses.field(repr=False)

    @property
    def failed(self) -> tuple[Unit, ...]:
        """The tickers and files that have an error."""
        return tuple(unit for unit in self.tickers + self.files if unit.error is not None)


def parse(document: Mapping[str, Any], output: str) -> Summary:
    """Makes a summary of the program's document."""
    totals = document["totals"]
    return Summary(
        command=document["command"],
        status=document["status"],
        exit_code=document["exit_code"],
        started_at=_instant(document["started_at"]),
        finished_at=_instant(document["finished_at"]),
        elapsed_seconds=document["elapsed_seconds"],
        store=document["store"],
        interval_minutes=document["interval_minutes"],
        start=_date(document["start"]),
        end=_date(document["end"]),
        dry_run=document["dry_run"],
        on_conflict=document["on_conflict"],
        error=document["error"],
        totals=_counts(totals),
        requests=totals["requests"],
        retries=totals["retries"],
        tickers=_units(document, "tickers", "ticker"),
        files=_units(document, "files", "file"),
        output=output,
        raw=document,
    )


def _units(document: Mapping[str, Any], key: str, name: str) -> tuple[Unit, ...]:
    return tuple(
        Unit(
            name=unit[name],
            status=unit["status"],
            counts=_counts(unit),
            elapsed_seconds=unit["elapsed_seconds"],
            error=unit["error"],
        )
        for unit in document.get(key, [])
    )


def _counts(document: Mapping[str, Any]) -> Counts:
    return Counts(**{field.name: document[field.name] for field in dataclasses.fields(Counts)})


def _instant(text: str) -> datetime.datetime:
    # Python before 3.11 doesn't read the Z.
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _date(text: str | None) -> datetime.date | None:
    return None if text is None else datetime.date.fromisoformat(text)
