"""A child process of the one-machine system: started, watched for readiness, stopped."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from hemaline_shared.errors import HemalineError, PermanentError

_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.05
_NEVER = threading.Event()


class StoppedError(HemalineError):
    """A start was given up, because somebody asked the whole system to stop."""

    def __init__(self) -> None:
        super().__init__("stopped", "stopped before it was ready")


class Child:
    """One child with its log file. It runs in a session of its own: Ctrl-C is ours to handle."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        unset: Collection[str] = (),
        inherited: Sequence[int] = (),
    ) -> None:
        """Start it.

        Args:
            name: For people.
            command: Its command line.
            log: Takes what it says; it is added to.
            env: What its environment has beside ours.
            stop_signal: What it ends in good order on.
            unset: Variables of ours that it does not get.
            inherited: Open files that it keeps open for as long as it lives.
        """
        self.name = name
        self.log = log
        self._stop_signal = stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        ours = {key: value for key, value in os.environ.items() if key not in unset}
        tied = [sys.executable, "-m", "hemaline_local.end_with_parent", str(os.getpid())]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tied, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**ours, **(env or {})},
                start_new_session=True,
                pass_fds=inherited,
            )

    @property
    def pid(self) -> int:
        """The process id: `end_with_parent` becomes the command, so it is the command's too."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def wait_ready(
        self,
        ready: Callable[[], bool],
        timeout_s: float,
        stopping: threading.Event = _NEVER,
        *,
        port: int | None = None,
    ) -> Self:
        """Wait until `ready` says so, and until the child itself listens on `port` if it has one.

        Whoever took the port first would answer `ready` in the place of a child that cannot start.

        Raises:
            PermanentError: `child-failed` when it ends or the time is over; the message holds the
                end of its log.
            StoppedError: `stopping` was set.
        """
        deadline = time.monotonic() + timeout_s
        while not (ready() and (port is None or self.listens_on(port))):
            if stopping.wait(_POLL_S):
                raise StoppedError
            if self.exit_status is not None:
                raise self.failure(f"ended with status {self.exit_status} before it was ready")
            if time.monotonic() > deadline:
                self.stop()
                raise self.failure(f"was not ready within {timeout_s:.0f} s")
        return self

    def listens_on(self, port: int) -> bool:
        """Whether the child, and no other process, has a listener on the TCP port."""
        try:
            sockets = psutil.Process(self.pid).net_connections("tcp")
        except psutil.Error:
            return False
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)

    def wait(self, timeout_s: float) -> int | None:
        """Wait for its end; None: it still runs."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it and what it started without a chance to clean up, as a crash would."""
        if self.exit_status is None:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def ask_to_stop(self) -> None:
        """Send it the signal that it ends in good order on; return at once."""
        if self.exit_status is None:
            self._process.send_signal(self._stop_signal)

    def stop(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Ask it to end; kill what is left of its session after the time is over."""
        stop_all([self], timeout_s)

    def log_tail(self, lines: int = 12) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def failure(self, what: str) -> PermanentError:
        """Return the error that says what it did, with the end of its log."""
        tail = textwrap.indent(self.log_tail(), "  ")
        return PermanentError(
            "child-failed", f"{self.name} {what}. The end of its log, {self.log}:\n{tail}"
        )


def stop_all(children: Iterable[Child], timeout_s: float) -> None:
    """Ask all to end at the same time; kill those that have not ended after the time."""
    children = list(children)
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + timeout_s
    for child in children:
        if child.wait(max(0.0, deadline - time.monotonic())) is None:
            child.kill()
