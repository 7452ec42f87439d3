"""The edge agent as a real process, to be stopped and killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from hemaline_shared.broker import BrokerSettings
from parts.waiting import LONG_S

BASE = {
    "HEMALINE_SITE": "lab",
    "HEMALINE_DEVICE": "scope",
    "HEMALINE_SPOOL__DISK_FLOOR_BYTES": "0",
    "HEMALINE_PUBLISHER__RECEIPT_TIMEOUT_S": "1",
    "HEMALINE_PUBLISHER__SLOWEST_RESEND_S": "2",
    "HEMALINE_TELEMETRY_S": "0.5",
}


def environment(spool: Path, folder: Path, broker: BrokerSettings, **more: str) -> dict[str, str]:
    """Settings of an agent that watches a folder, or takes it once with `SOURCE__WATCH=false`."""
    inherited = {name: text for name, text in os.environ.items() if "HEMALINE" not in name}
    own = {
        "HEMALINE_SPOOL__PATH": str(spool),
        "HEMALINE_SOURCE__KIND": "folder",
        "HEMALINE_SOURCE__PATH": str(folder),
        "HEMALINE_BROKER__PORT": str(broker.port),
        **{f"HEMALINE_{name}": text for name, text in more.items()},
    }
    return {**inherited, **BASE, **own}


class EdgeProcess:
    """`hemaline-edge` with arguments, its log in a file."""

    def __init__(self, env: dict[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hemaline_edge", *arguments],
                env=env,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def wait(self, timeout_s: float = LONG_S) -> int:
        """Return its exit status."""
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """As the power does."""
        self.process.kill()
        self.process.wait()

    def terminate(self, number: int = signal.SIGTERM) -> int:
        """As systemd and Ctrl-C do; return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(LONG_S)

    def __enter__(self) -> "EdgeProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def text_of(log: Path) -> str:
    """What the agent has said."""
    return log.read_text() if log.exists() else ""
