"""The whole system as processes that may be killed, and that come back as under a supervisor."""

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hemaline_cloud.settings import DirectoryObjects, S3Objects
from hemaline_edge.spool.view import INDEX_NAME, open_view
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from hemaline_shared.errors import HemalineError
from parts.broker import BrokerPart
from parts.edge_process import environment
from parts.postgres import PostgresPart
from parts.thin_line import ThinLine

SITE = "lab"


class Killable(Protocol):
    """A server or process of the campaign."""

    def start(self) -> None:
        """Start it; return when it is ready."""

    def kill(self) -> None:
        """End it as a crash would."""

    def stop(self) -> None:
        """End it in good order."""


class Service:
    """One process of Hemaline's cloud."""

    def __init__(self, name: str, log: Path, env: Mapping[str, str]) -> None:
        self._name, self._log = name, log
        self._port = free_port()
        self._env = dict(env) | {"HEMALINE_HEALTH__PORT": str(self._port)}
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, ready or not: the servers that it needs may be away."""
        command = [sys.executable, "-m", "hemaline_cloud", self._name]
        unset = {name for name in os.environ if name.startswith("HEMALINE_")}
        self._child = Child(self._name, command, self._log, self._env, unset=unset)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._child
        self._child.kill()

    def stop(self) -> None:
        """End it in good order."""
        if self._child:
            self._child.stop(30)

    @property
    def ready(self) -> bool:
        """Whether it says that all it needs is there."""
        return http_ok(self._port, "/readyz")

    @property
    def ended(self) -> bool:
        """Whether it gave up by itself."""
        return self._child is not None and self._child.exit_status is not None


class Agent:
    """One microscope's agent, behind a network line of its own."""

    def __init__(self, device: str, folder: Path, broker: BrokerPart) -> None:
        self.device = device
        self.more_env: dict[str, str] = {}
        self.pictures = folder / "pictures"
        self.spool = folder / "spool"
        self.line = ThinLine(broker.settings.port)
        self.done = False
        self._log = folder / "agent.log"
        self._broker = broker.settings.model_copy(update={"port": self.line.port})
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, or start it again."""
        env = environment(
            self.spool,
            self.pictures,
            self._broker,
            SITE=SITE,
            DEVICE=self.device,
            SOURCE__WATCH="false",
            SOURCE__SETTLE_S="0",
            TELEMETRY_S="5",
            PUBLISHER__RECEIPT_TIMEOUT_S="5",
            PUBLISHER__SLOWEST_RESEND_S="20",
        )
        command = [sys.executable, "-m", "hemaline_edge", "run", "--until-drained"]
        unset = {name for name in os.environ if name.startswith("HEMALINE_")}
        env = {name: value for name, value in env.items() if name not in os.environ}
        self._child = Child(self.device, command, self._log, env | self.more_env, unset=unset)

    def kill(self) -> None:
        """End it as the power does."""
        assert self._child
        self._child.kill()

    def stop(self) -> None:
        """End it in good order."""
        if self._child:
            self._child.stop(30)

    def revive(self) -> None:
        """Start it again if it was killed; note that it has sent everything if it says so."""
        assert self._child
        status = self._child.exit_status
        if status == 0 or (status is not None and self.drained):
            self.done = True
        elif status is not None:
            self.start()

    @property
    def captured(self) -> int:
        """Frames that its spool has counted."""
        return self._spooled()[0]

    @property
    def drained(self) -> bool:
        """Whether it has said so, or its spool shows it.

        Under a false clock the system's own sleep may fail at the very end of the process.
        """
        if self.done:
            return True
        captured, waiting = self._spooled()
        return captured == sum(path.is_file() for path in self.pictures.rglob("*")) and not waiting

    def _spooled(self) -> tuple[int, int]:
        if not (self.spool / INDEX_NAME).exists():
            return 0, 0
        try:
            view = open_view(self.spool)
        except HemalineError:
            return 0, 0  # just being made, or killed in the middle of a change
        try:
            return view.counts().captured, view.contents().messages
        finally:
            view.close()


@dataclass(slots=True)
class Campground:
    """Where a leg of the campaign runs, and its parts."""

    folder: Path
    broker: BrokerPart
    postgres: PostgresPart
    objects: DirectoryObjects | S3Objects
    store_part: Killable | None
    """The object store's server; None where it is a directory."""
    ingest: Service
    infer: Service
    agents: list[Agent]
    database_url: str
    supervisor: "Supervisor"


class Supervisor:
    """Starts again what has ended, as systemd and Kubernetes do."""

    def __init__(self, services: list[Service], agents: list[Agent]) -> None:
        self._services, self._agents = services, agents
        self._over = threading.Event()
        self.lock = threading.Lock()
        """Held while somebody kills, so that nothing is started twice."""
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            with self.lock:
                for service in self._services:
                    if service.ended:
                        service.start()
                for agent in self._agents:
                    if not agent.done:
                        agent.revive()


def storage_env(objects: DirectoryObjects | S3Objects) -> dict[str, str]:
    """Return the settings of a store as environment variables."""
    values = {"HEMALINE_OBJECTS__KIND": objects.kind}
    if isinstance(objects, DirectoryObjects):
        return values | {"HEMALINE_OBJECTS__PATH": str(objects.path)}
    return values | {
        "HEMALINE_OBJECTS__ENDPOINT": objects.endpoint,
        "HEMALINE_OBJECTS__BUCKET": objects.bucket,
        "HEMALINE_OBJECTS__ACCESS_KEY": objects.access_key,
        "HEMALINE_OBJECTS__SECRET_KEY": objects.secret_key.get_secret_value(),
        "HEMALINE_OBJECTS__SECURE": "false",
    }
