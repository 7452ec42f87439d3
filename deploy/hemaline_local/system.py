"""The whole system on one machine: its services as child processes, watched and revived."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from hemaline_local.child import Child
from hemaline_local.model import model_bundle
from hemaline_local.postgres import forget_url, url_of
from hemaline_local.services import (
    Layout,
    Service,
    broker_service,
    cloud_services,
    migration,
    postgres_service,
)
from hemaline_shared.errors import PermanentError

_START_TIMEOUT_S = 90.0
_WATCH_S = 1.0


class OneMachine:
    """Starts the services in their order, starts again what dies, stops them backwards.

    `say` gets one line for each thing worth telling a person.
    """

    def __init__(self, layout: Layout, say: Callable[[str], None]) -> None:
        self.layout = layout
        self._say = say
        self._running: list[tuple[Service, Child]] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._revive, name="watch", daemon=True)

    def __enter__(self) -> Self:
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def database_url(self) -> str:
        """The address of the running PostgreSQL server."""
        url = url_of(self.layout.home / "postgres")
        if url is None:
            raise PermanentError("child-failed", "the database server is not running")
        return url

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each service."""
        with self._lock:
            return {service.name: child.pid for service, child in self._running}

    def stop(self) -> None:
        """Stop the services, last started first."""
        self._stopping.set()
        if self._watch.is_alive():
            self._watch.join()
        while self._running:
            _, child = self._running.pop()
            child.stop()

    def _start_all(self) -> None:
        self.layout.home.mkdir(parents=True, exist_ok=True)
        forget_url(self.layout.home / "postgres")
        self._start(postgres_service(self.layout), broker_service(self.layout))
        self._migrate()
        bundle = model_bundle(self.layout.home)
        self._say(f"the model bundle is {bundle.name}")
        self._start(*cloud_services(self.layout, self.database_url, bundle))
        self._watch.start()

    def _start(self, *services: Service) -> None:
        """Start services that do not wait for each other; return when all are ready."""
        started = [(service, self._spawn(service)) for service in services]
        self._running.extend(started)
        for service, child in started:
            child.wait_ready(service.ready, _START_TIMEOUT_S)
            self._say(f"{service.name} is ready")

    def _spawn(self, service: Service) -> Child:
        log = self.layout.log(service.name.split()[0])
        return Child(service.name, service.command, log, service.env)

    def _migrate(self) -> None:
        command, env = migration(self.database_url)
        child = Child("migrate", command, self.layout.log("migrate"), env)
        if child.wait(_START_TIMEOUT_S) != 0:
            child.stop()
            raise PermanentError(
                "child-failed", f"the database could not be migrated:\n{child.log_tail()}"
            )

    def _revive(self) -> None:
        while not self._stopping.wait(_WATCH_S):
            with self._lock:
                for place, (service, child) in enumerate(self._running):
                    if child.exit_status is not None:
                        self._say(f"{service.name} ended ({child.exit_status}); starting it again")
                        self._running[place] = service, self._spawn(service)


def default_home() -> Path:
    """Where `hemaline up` keeps its data for the next time."""
    return Path.home() / ".local" / "share" / "hemaline"
