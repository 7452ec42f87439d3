"""The whole system on one machine: its services as child processes, revived and stopped."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from hemaline_cloud.bundle_verbs import appoint_first
from hemaline_cloud.settings import MigrateSettings
from hemaline_local.accounts import Accounts, make_accounts
from hemaline_local.child import Child, StoppedError, stop_all
from hemaline_local.home import HomeLock
from hemaline_local.model import model_bundle
from hemaline_local.postgres import (
    application_url_of,
    end_server,
    forget_url,
    remove_sockets,
    url_of,
)
from hemaline_local.services import (
    Layout,
    Service,
    broker_service,
    cloud_services,
    migration,
    postgres_service,
)
from hemaline_shared.errors import PermanentError

_START_TIMEOUT_S = 300.0
"""A slow or busy machine is no reason to give up; a service that ends is told at once."""
_POLL_S = 0.1
_CLOUD_STOPS_S = 2.0
_STORAGE_STOPS_S = 60.0
"""PostgreSQL writes down what is in memory; on a slow disk that takes its time."""


class OneMachine:
    """Starts the services in their order, stops them backwards; nothing is left behind.

    `say` gets one line for each thing worth telling a person. `stopping`, once set, gives a start
    up. `appoint` lets the bundle that runs take the place of another whose answers counted. It must
    be entered, asked and left in one thread: the kernel ends a child when the thread that started
    it ends.
    """

    def __init__(
        self,
        layout: Layout,
        say: Callable[[str], None],
        stopping: threading.Event | None = None,
        *,
        appoint: bool = False,
    ) -> None:
        self.layout = layout
        self._appoint = appoint
        self._say = say
        self._stopping = stopping or threading.Event()
        self._postgres = layout.home / "postgres"
        self._storage: list[tuple[Service, Child]] = []
        self._cloud: list[tuple[Service, Child]] = []
        self._lock: HomeLock | None = None
        self._accounts: Accounts | None = None

    def __enter__(self) -> Self:
        self._lock = HomeLock(self.layout.home, self._say, self._stopping)
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
        """The address of the running PostgreSQL server, for its owner."""
        return _running(url_of(self._postgres))

    @property
    def application_url(self) -> str:
        """The address of the running PostgreSQL server, for the cloud's processes."""
        return _running(application_url_of(self._postgres))

    @property
    def accounts(self) -> Accounts:
        """Who may log in."""
        assert self._accounts
        return self._accounts

    @property
    def held(self) -> list[int]:
        """The open file that every process of this system keeps, for it holds the home."""
        assert self._lock
        return [self._lock.handle]

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each service."""
        return {service.name: child.pid for service, child in self._storage + self._cloud}

    def revive(self) -> None:
        """Start again what has ended; call it every second or so."""
        for group in (self._storage, self._cloud):
            for place, (service, child) in enumerate(group):
                if child.exit_status is not None:
                    self._say(f"{service.name} ended ({child.exit_status}); starting it again")
                    group[place] = service, self._spawn(service)

    def ask_to_stop(self) -> None:
        """Ask the cloud's processes to end, and return at once: `stop` waits for them.

        Whoever stops the agents first would wait for both, one after the other. Nothing may be
        revived any more.
        """
        for _, child in self._cloud:
            child.ask_to_stop()

    def stop(self) -> None:
        """Stop the services, what was started last first; return when all are gone.

        What the cloud processes have in hand is not waited for: it comes again.
        """
        grace_s = 0.0 if self.layout.throwaway else _CLOUD_STOPS_S
        stop_all([child for _, child in self._cloud], grace_s)
        self._cloud.clear()
        stop_all([child for _, child in self._storage], _STORAGE_STOPS_S)
        self._storage.clear()
        if self._lock:
            end_server(self._postgres)
            remove_sockets(self._postgres)
            self._lock.release()
            self._lock = None

    def _start_all(self) -> None:
        end_server(self._postgres)
        forget_url(self._postgres)
        self._start(self._storage, postgres_service(self.layout), broker_service(self.layout))
        self._migrate()
        self._accounts = make_accounts(self.application_url, self.layout.home)
        bundle = model_bundle()
        self._say(f"the model bundle is {bundle.name}")
        database = MigrateSettings(database_url=SecretStr(self.application_url))
        if appointed := appoint_first(database, bundle, replace=self._appoint):
            self._say(appointed)
        self._start(self._cloud, *cloud_services(self.layout, self.application_url, bundle))

    def _start(self, group: list[tuple[Service, Child]], *services: Service) -> None:
        """Start services that do not wait for each other; return when all are ready."""
        started = []
        for service in services:
            started.append((service, self._spawn(service)))
            group.append(started[-1])
        for service, child in started:
            child.wait_ready(service.ready, _START_TIMEOUT_S, self._stopping, port=service.port)
            self._say(f"{service.name} is ready{self._address_of(service)}")

    def _address_of(self, service: Service) -> str:
        return f": {self.layout.address}" if service.name == "api" else ""

    def _spawn(self, service: Service) -> Child:
        return Child(
            service.name,
            service.command,
            self.layout.log(service.name.split()[0]),
            service.env,
            stop_signal=service.stop_signal,
            unset=service.unset,
            inherited=self.held,
        )

    def _migrate(self) -> None:
        child = self._spawn(migration(self.database_url))
        deadline = time.monotonic() + _START_TIMEOUT_S
        while (status := child.wait(_POLL_S)) is None:
            if self._stopping.is_set() or time.monotonic() > deadline:
                child.stop()
                raise StoppedError if self._stopping.is_set() else child.failure("took too long")
        if status != 0:
            raise child.failure(f"ended with status {status}")


def _running(url: str | None) -> str:
    if url is None:
        raise PermanentError("child-failed", "the database server is not running")
    return url
