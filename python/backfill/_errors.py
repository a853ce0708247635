"""What is raised if the program fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._summary import Summary


class Error(Exception):
    """The program failed.

    `str(error)` is the message, and the hint on a second line. Hints name options of the command line: the option
    `--store DIR` is the argument `store=DIR`.
    """

    #: What failed, in one line.
    message: str
    #: What can be done about it.
    hint: str | None
    #: The program's exit code: 1 failed, 2 wrong arguments, 3 partial, 4 conflicts, 5 quota spent, 75 not due yet, 130
    #: interrupted. Negative if a signal ended it, None if it could not be started, 0 if it is another program.
    exit_code: int | None
    #: What a run did before it ended. None unless `run` raised this.
    summary: Summary | None

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        exit_code: int | None = None,
        summary: Summary | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
        self.summary = summary

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The usual one calls the class with the message only.
        return (type(self), (self.message,), self.__dict__)


class PartialError(Error):
    """Some tickers or files failed, or completeness is too low (exit code 3). The others are stored."""


class ConflictError(Error):
    """Bars conflict with stored bars (exit code 4). Those of other tickers and files are stored."""


class QuotaError(Error):
    """A quota of requests is spent (exit code 5). `resume=True` continues the run later."""


#: The exit codes that `check=False` accepts: a run ended before its work was complete and stored what it had, or
#: `due` found that a session isn't published yet.
INCOMPLETE: dict[int, type[Error]] = {3: PartialError, 4: ConflictError, 5: QuotaError, 75: Error}


def error_class(exit_code: int) -> type[Error]:
    """The class of the errors with this exit code."""
    return INCOMPLETE.get(exit_code, Error)
