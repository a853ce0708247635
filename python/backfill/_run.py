"""Runs: commands that download, load, fill and move bars."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from ._errors import INCOMPLETE, error_class
from ._process import HeldInterrupt, Process
from ._program import AnyPath, Tickers, options, ticker_list
from ._summary import Summary, Unit, parse

#: Failed tickers and files that a message names.
_NAMED_MAX = 3


def run(
    command: str,
    *arguments: AnyPath,
    tickers: Tickers | None = None,
    store: AnyPath | None = None,
    check: bool = True,
    **values: Any,
) -> Summary:
    """Runs a command of the program to its end, and returns its summary.

        run("concurrent", tickers=["AAPL", "MSFT"], start="2025-01-02", end="2025-01-31", resume=True)
        run("inject-csv", csv_dir="downloads", on_conflict="ignore")
        run("gaps", fill=True)
        run("bundle", "create", "bars.tar")

    arguments: subcommand and files, as on the command line.
    values: options as on the command line, with underscores: `--on-conflict ignore` is `on_conflict="ignore"`,
    `--resume` is `resume=True`, an option that is repeated is a list. `backfill COMMAND --help` explains each.
    store: folder of the store.
    check: if False, a run that ended with exit code 3, 4, 5 or 75 returns its summary instead of raising.

    Raises `PartialError` (3: some tickers or files failed), `ConflictError` (4: bars conflict with stored bars) and
    `QuotaError` (5: a quota is spent). What these runs stored stays stored, and the error's `summary` shows it.
    Raises `Error` with exit code 75 (only `run("due")`: not yet), and with 1 (failed) or 2 (wrong arguments) whatever
    `check` is.

    Ctrl-C lets the run end after its current work, a second one ends it at once; `KeyboardInterrupt` follows.
    Committed bars stay, and `resume=True` continues a download. Log lines, one per ticker or file, go to the logger
    `backfill` at INFO.
    """
    line = [command, *(os.fspath(argument) for argument in arguments)]
    line += options(tickers=ticker_list(tickers), store=store, **values)
    with tempfile.TemporaryDirectory(prefix="backfill-") as folder:
        file = Path(folder, "summary.json")
        interrupt = HeldInterrupt()
        try:
            process = Process([*line, f"--summary-json={file}"], own_session=True)
            output = _Output(process)
            code = _wait(process, output, interrupt)
        finally:
            interrupt.release()
        document = _document(file)
    try:
        summary = None if document is None else parse(document, output.text())
    except (KeyError, TypeError, ValueError) as missing:
        raise process.other_program("wrote a summary that this package can't read") from missing
    if code == 0:
        if summary is None:
            raise process.other_program("ended without a summary")
        return summary
    if code not in INCOMPLETE or summary is None:
        error = process.error(code)
        error.summary = summary
        raise error
    if not check:
        return summary
    raise error_class(code)(_message(summary), hint=process.hints, exit_code=code, summary=summary)


def _wait(process: Process, output: _Output, held: HeldInterrupt) -> int:
    """Waits for the end of a run. Passes each Ctrl-C on, and raises it again when the run has ended."""
    interrupt: KeyboardInterrupt | None = None
    try:
        while True:
            try:
                held.release()
                output.join()
                code = process.wait()
                break
            except KeyboardInterrupt as again:
                interrupt = again
                process.interrupt()
    except BaseException:
        process.end()
        raise
    if interrupt is not None:
        raise interrupt
    return code


class _Output:
    """Reads standard output in a thread of its own: Ctrl-C can't break a read of it in two."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._bytes = b""
        self._thread = threading.Thread(target=self._read, name="backfill output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self._bytes = self._process.stdout.read()
        except ValueError:
            pass  # closed because the run was ended

    def join(self) -> None:
        # In slices: see `_Pipe`.
        while self._thread.is_alive():
            self._thread.join(0.2)

    def text(self) -> str:
        return self._bytes.decode(errors="replace")


def _document(file: Path) -> dict[str, Any] | None:
    """The summary that was written; None if the command line was wrong or a signal ended the program."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    assert isinstance(document, dict)
    return document


def _message(summary: Summary) -> str:
    """Why a run is incomplete."""
    failed = summary.failed
    if summary.error is not None or not failed:
        return summary.error or f"{summary.command} ended with {summary.status}"
    named = "; ".join(_named(unit) for unit in failed[:_NAMED_MAX])
    more = f"; and {len(failed) - _NAMED_MAX} more" if len(failed) > _NAMED_MAX else ""
    return f"{len(failed)} of {len(summary.tickers) + len(summary.files)} failed: {named}{more}"


def _named(unit: Unit) -> str:
    return f"{unit.name}: {unit.error}"


