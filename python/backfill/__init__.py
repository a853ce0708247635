"""Query and download intraday market bars, from Python.

>>> import backfill
>>> bars = backfill.scan("AAPL", start="2025-01-02", end="2025-01-31")
>>> df = bars.to_pandas()

Each function starts the program `backfill`, which is part of this package, and reads what it prints as a stream. The
store is `data/staging` in the working folder, or that of the variable `BACKFILL_STORE`, unless `store=` names
another. Log lines of the program go to the logger `backfill`.
"""

from importlib import metadata as _metadata

from ._errors import ConflictError, Error, PartialError, QuotaError
from ._lists import conflicts, gaps, status
from ._program import program
from ._rows import Rows, query, scan
from ._run import run
from ._summary import Counts, Summary, Unit

__all__ = [
    "ConflictError",
    "Counts",
    "Error",
    "PartialError",
    "QuotaError",
    "Rows",
    "Summary",
    "Unit",
    "conflicts",
    "gaps",
    "program",
    "query",
    "run",
    "scan",
    "status",
]

try:
    __version__ = _metadata.version("backfill-bars")
except _metadata.PackageNotFoundError:  # a source folder
    __version__ = "unknown"
