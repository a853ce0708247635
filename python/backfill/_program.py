"""Where the program is, and how it is called."""

from __future__ import annotations

import datetime
import numbers
import os
import shutil
import sysconfig
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from ._errors import Error

#: A day: `YYYY-MM-DD` or a date.
Date = str | datetime.date
#: A time with its time zone, or the number of a commit. Text is as on the command line.
AsOf = str | int | datetime.datetime
#: A file or folder.
AnyPath = str | os.PathLike[str]
#: One ticker, or several.
Tickers = str | Iterable[str]


def program() -> Path:
    """Returns the path of the program that the functions of this package start.

    It is that of the variable `BACKFILL_PROGRAM`, else the one that was installed with this package, else the first
    in `PATH`.

    Raises `backfill.Error` if there is none.
    """
    named = os.environ.get("BACKFILL_PROGRAM")
    if named:
        return Path(named)
    for path in _installed():
        if path.is_file() and os.access(path, os.X_OK):
            return path.resolve()
    found = shutil.which("backfill")
    if found:
        return Path(found)
    raise Error(
        "the program backfill was not found",
        hint="install the package backfill-bars again, or set BACKFILL_PROGRAM to the program's path",
    )


def _installed() -> Iterator[Path]:
    """Where an installer may have put the program."""
    # The list of installed files is right for an environment, for --user and for a system's own folders.
    try:
        files = metadata.files("backfill-bars") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "backfill" and file.parent.name == "bin":
            yield Path(str(file.locate()))
    yield Path(sysconfig.get_path("scripts")) / "backfill"
    # `pip install --target DIR` moves programs to DIR/bin.
    yield Path(__file__).resolve().parent.parent / "bin" / "backfill"


def options(**values: Any) -> list[str]:
    """Makes options of the command line from arguments.

    `on_conflict="ignore"` is `--on-conflict=ignore`, `resume=True` is `--resume`, a list repeats the option. None and
    False leave it out. A value is never taken for an option, because it follows an equals sign.
    """
    made: list[str] = []
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value is None or value is False:
            continue
        if value is True:
            made.append(option)
        elif isinstance(value, (list, tuple, set, frozenset)):
            if not value:
                # Without the option, the command would take all of them.
                raise ValueError(f"{name} is empty")
            made.extend(f"{option}={_text(name, item)}" for item in value)
        else:
            made.append(f"{option}={_text(name, value)}")
    return made


def ticker_list(tickers: Tickers | None) -> list[str] | None:
    """The tickers as a list; a string is one ticker, or several with commas."""
    if tickers is None or isinstance(tickers, str):
        return None if tickers is None else [tickers]
    found = list(tickers)
    for ticker in found:
        # A missing value of pandas is a number, and text would be made of it.
        if not isinstance(ticker, str):
            raise TypeError(f"a ticker is a str, not {type(ticker).__name__}")
    return found


def _text(name: str, value: Any) -> str:
    if isinstance(value, datetime.datetime) and name == "as_of":
        if value.tzinfo is None:
            raise TypeError("as_of needs a time zone, such as datetime.timezone.utc")
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.datetime):
        # pandas has no other days than instants at midnight.
        if value.tzinfo is not None or value.time() != datetime.time.min:
            raise TypeError(f"{name} is a day, not an instant")
        return value.date().isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, numbers.Real):
        return str(value)
    raise TypeError(f"{name} can't be of the type {type(value).__name__}")
