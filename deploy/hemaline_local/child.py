"""A child process of the one-machine system: started, watched for readiness, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from hemaline_shared.errors import PermanentError

_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.05


class Child:
    """One child with its log file. It runs in a session of its own: Ctrl-C is ours to handle."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        leash = [sys.executable, "-m", "hemaline_local.leash", str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id: `leash` becomes the command, so it is the command's too."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float) -> Self:
        """Wait until `ready` says so.

        Raises:
            PermanentError: `child-failed` when it ends or the time is over; the message holds the
                end of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self.exit_status is not None:
                raise self._failure(f"ended with status {self.exit_status} before it was ready")
            if time.monotonic() > deadline:
                self.stop()
                raise self._failure(f"was not ready within {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        return self

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end; None: it still runs."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it without a chance to clean up, as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Ask it to end (SIGTERM); kill what is left of its session after the time is over."""
        if self.exit_status is None:
            self._process.terminate()
            if self.wait(timeout_s) is None:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()

    def log_tail(self, lines: int = 12) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _failure(self, what: str) -> PermanentError:
        tail = self.log_tail()
        return PermanentError("child-failed", f"{self.name} {what}. Its log, {self.log}:\n{tail}")
