"""A running program: its standard output for the caller, its log lines for `logging`."""

from __future__ import annotations

import io
import json
import logging
import select
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import IO, Any

from ._errors import Error, error_class
from ._program import program

_LOG = logging.getLogger("backfill")
_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
}
_READ_BYTES = 1 << 16
#: Seconds that a program gets to end after SIGTERM, before SIGKILL. A store survives both.
_GRACE = 10.0


class HeldInterrupt:
    """Holds Ctrl-C back from here to `release`.

    A `KeyboardInterrupt` between the start of a program and the code that would end it leaves the program running.
    """

    def __init__(self) -> None:
        self._handler: Callable[[int, FrameType | None], object] | None = None
        self._held: tuple[int, FrameType | None] | None = None
        handler = signal.getsignal(signal.SIGINT)
        # Python handles signals in the main thread only, and one that it doesn't handle raises nothing.
        if threading.current_thread() is threading.main_thread() and callable(handler):
            signal.signal(signal.SIGINT, self._hold)
            self._handler = handler

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._held = (number, frame)

    def release(self) -> None:
        """Raises `KeyboardInterrupt` if there was a Ctrl-C. Only the first call does something."""
        handler, self._handler = self._handler, None
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
            if self._held is not None:
                handler(*self._held)


class Process:
    """A started program. `end` or `wait` must follow, so that no process and no thread is left."""

    def __init__(self, arguments: list[str], *, own_session: bool = False) -> None:
        """Starts the program. Raises `Error` if that fails.

        With `own_session`, Ctrl-C at a terminal reaches only Python, which passes it on.
        """
        # The system then discards exit codes, and Python returns 0 for every program.
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            raise Error(
                "the signal SIGCHLD is ignored, so it can't be seen whether the program fails",
                hint="signal.signal(signal.SIGCHLD, signal.SIG_DFL) ends that",
            )
        self._path = path = program()
        try:
            self._popen = subprocess.Popen(
                [path, *arguments, "--log-format=json", "--no-progress"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=own_session,
            )
        except OSError as error:
            raise Error(f"{path} could not be started: {error.strerror or error}") from error
        assert self._popen.stdout is not None and self._popen.stderr is not None
        self.stdout = io.BufferedReader(_Pipe(self._popen.stdout), _READ_BYTES)
        self._log = _Log(self._popen.stderr)

    def wait(self) -> int:
        """Waits until the program has ended, and returns its exit code. Its standard output must have been read."""
        code = self._popen.wait()
        self._log.join()
        self.stdout.close()
        return code

    def end(self) -> None:
        """Ends the program if it is still running; its output isn't wanted any more."""
        is_running = self._popen.poll() is None
        if is_running:
            self._log.mute()
            self._popen.terminate()
        # A program that waits for its reader notices the signal only now. Another thread may read until the program
        # ends.
        self.stdout.close()
        if is_running:
            try:
                self._popen.wait(_GRACE)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._log.join()

    def interrupt(self) -> None:
        """Passes Ctrl-C on: the first ends a run after its current work, the second at once."""
        self._popen.send_signal(signal.SIGINT)

    def other_program(self, what: str) -> Error:
        """The error of a program that isn't the one of this version of the package."""
        return Error(
            f"{self._path} {what}",
            hint="is it another program, or of another version? BACKFILL_PROGRAM names the one that is used",
            exit_code=self._popen.poll(),
        )

    def error(self, exit_code: int) -> Error:
        """The error of a program that ended with this code."""
        message, hint = self._log.failure()
        if message is None and exit_code < 0:
            message = f"the program was ended by signal {-exit_code}"
        elif message is None:
            message = f"the program ended with exit code {exit_code}"
        return error_class(exit_code)(message, hint=hint, exit_code=exit_code)

    @property
    def hints(self) -> str | None:
        """All hints that were printed, one a line."""
        return "\n".join(self._log.hints) or None


class _Pipe(io.RawIOBase):
    """A pipe whose reader notices Ctrl-C.

    A library with a signal handler of its own, such as Polars, can make the system repeat a read that Ctrl-C
    interrupted, so that Python doesn't notice it until there is something to read.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        self._poll = select.poll()
        self._poll.register(pipe, select.POLLIN)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._poll.poll(1000):
            pass
        count = self._pipe.readinto(buffer)  # type: ignore[attr-defined]
        assert isinstance(count, int)
        return count

    def close(self) -> None:
        self._pipe.close()
        super().close()


class _Log:
    """Reads standard error in a thread of its own, so that a program with much to report never waits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._error: str | None = None
        #: The last hints, and the last lines that aren't JSON: those of a wrong command line, or of the system's
        #: loader.
        self.hints: deque[str] = deque(maxlen=10)
        self._other: deque[str] = deque(maxlen=10)
        self._is_muted = False
        self._thread = threading.Thread(target=self._read, name="backfill log", daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def mute(self) -> None:
        """Stops logging: the caller ends the program, so its messages about that are useless."""
        self._is_muted = True

    def failure(self) -> tuple[str | None, str | None]:
        """The last error with the hints, if any was printed. Call it after `join`."""
        message = self._error or " ".join(self._other) or None
        return message, "\n".join(self.hints) or None

    def _read(self) -> None:
        with io.BufferedReader(self._stream) as lines:  # type: ignore[type-var]
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._take(text)

    def _take(self, text: str) -> None:
        try:
            entry = json.loads(text)
            message, level = str(entry["message"]), _LEVELS.get(entry["level"], logging.INFO)
        except (ValueError, TypeError, KeyError):
            self._take_plain(text)
            return
        if entry.get("hint"):
            self.hints.append(message)
            level, message = logging.INFO, f"hint: {message}"
        # An error is raised, so it isn't logged too.
        if level == logging.ERROR:
            self._error = message
        elif not self._is_muted:
            _LOG.log(level, "%s", message)

    def _take_plain(self, text: str) -> None:
        if text.startswith("error: "):
            self._error = text[len("error: ") :]
        elif text.startswith("hint: "):
            self.hints.append(text[len("hint: ") :])
        else:
            self._other.append(text)
