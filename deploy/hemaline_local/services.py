"""What runs on one machine: each service's command, settings and sign of readiness."""

import os
import secrets
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hemaline_cloud.settings import PROCESSES
from hemaline_edge.settings import EdgeSettings
from hemaline_local.broker import broker_command
from hemaline_local.model import BUNDLE_VARIABLE
from hemaline_local.ports import answers, http_ok
from hemaline_local.postgres import STOP_SIGNAL, url_of
from hemaline_shared.durable import write_durably
from hemaline_shared.errors import PermanentError
from hemaline_shared.settings import PREFIX, ProcessSettings, variables_of

_STOP_GRACE_S = "1"
"""A person who waits at the terminal gets back what is in hand: the queue keeps it."""


@dataclass(frozen=True, slots=True)
class Service:
    """A child process that runs for as long as the system does."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    ready: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    unset: frozenset[str] = frozenset()
    """Variables of our environment that are no settings of its."""
    port: int | None = None
    """The TCP port that it listens on itself."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one system keeps its files, and its ports."""

    home: Path
    broker_port: int
    ingest_port: int
    infer_port: int
    api_port: int
    logs: Path | None = None
    """Where the logs go that shall outlive the home; None: they lie in it."""
    throwaway: bool = False
    """The home is removed at the end: nothing in it needs to be brought in order first."""

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.api_port}/"

    def log(self, name: str) -> Path:
        """The log file of a child."""
        return (self.logs or self.home / "logs") / f"{name}.log"


def broker_service(layout: Layout) -> Service:
    """Mosquitto, or iotcore where there is none."""
    name, command = broker_command(layout.home / "broker", layout.broker_port)
    port = layout.broker_port
    return Service(f"broker ({name})", command, {}, lambda: answers(port), port=port)


def postgres_service(layout: Layout) -> Service:
    """The embedded PostgreSQL."""
    folder = layout.home / "postgres"
    command = [sys.executable, "-m", "hemaline_local.postgres", str(folder)]
    ready = lambda: url_of(folder) is not None  # noqa: E731
    stop_signal = signal.SIGQUIT if layout.throwaway else STOP_SIGNAL
    return Service("database (PostgreSQL)", command, {}, ready, stop_signal)


def cloud_services(layout: Layout, database_url: str, bundle: Path) -> list[Service]:
    """Ingest, inference with a model bundle, and the API; they share their storage."""
    storage = {
        "HEMALINE_DATABASE_URL": database_url,
        "HEMALINE_OBJECTS__KIND": "directory",
        "HEMALINE_OBJECTS__PATH": str(layout.home / "objects"),
        "HEMALINE_OBJECTS__UPLOAD_URL": layout.address,
        "HEMALINE_OBJECTS__UPLOAD_SECRET": kept_secret(layout.home / "upload-secret"),
    }

    def service(name: str, port: int, env: dict[str, str]) -> Service:
        command = [sys.executable, "-m", "hemaline_cloud", name]
        ready = lambda: http_ok(port, "/readyz")  # noqa: E731
        unset = foreign_variables(*PROCESSES)
        return Service(name, command, storage | env, ready, unset=unset, port=port)

    return [
        service(
            "api",
            layout.api_port,
            {
                "HEMALINE_PORT": str(layout.api_port),
                "HEMALINE_IDENTITY_KEY": kept_secret(layout.home / "identity-key"),
            },
        ),
        service(
            "ingest",
            layout.ingest_port,
            {
                "HEMALINE_BROKER__PORT": str(layout.broker_port),
                "HEMALINE_HEALTH__PORT": str(layout.ingest_port),
            },
        ),
        service(
            "infer",
            layout.infer_port,
            {
                BUNDLE_VARIABLE: str(bundle),
                "HEMALINE_STOP_GRACE_S": _STOP_GRACE_S,
                "HEMALINE_HEALTH__PORT": str(layout.infer_port),
            },
        ),
    ]


def migration(database_url: str) -> Service:
    """The command that brings the database to this version's schema; it ends when it has."""
    command = [sys.executable, "-m", "hemaline_cloud", "migrate"]
    return Service(
        "migrate",
        command,
        {"HEMALINE_DATABASE_URL": database_url},
        lambda: False,
        unset=foreign_variables(*PROCESSES),
    )


def foreign_variables(*kinds: type[ProcessSettings]) -> frozenset[str]:
    """Return the settings in our environment that are for other processes than these.

    A process refuses what is no setting of its own, and ours serves them all.
    """
    own: set[str] = set().union(*[variables_of(kind) for kind in kinds])
    every: set[str] = set().union(*[variables_of(kind) for kind in (EdgeSettings, *PROCESSES)])
    return frozenset(
        name
        for name in os.environ
        if name.startswith(PREFIX) and name.partition("__")[0] in every - own
    )


def kept_secret(file: Path) -> str:
    """Return a secret of this home; the first time it is made, and is there for good before use.

    Raises:
        PermanentError: `home-damaged`. What was sealed with a lost secret cannot be opened, and a
            new one would hide that.
    """
    if not file.exists():
        write_durably(file, secrets.token_urlsafe(32).encode(), 0o600)
    secret = file.read_text(errors="replace").strip()
    if not secret:
        raise PermanentError(
            "home-damaged",
            f"{file} is empty: put it back from a backup of this home. Without one, delete it: "
            "what was sealed with it cannot be opened any more",
        )
    return secret
