"""`hemaline-cloud backup follow`: the WAL as it comes, the objects each minute, and their ages.

Objects are copied after the position of the WAL was taken: whatever row the archive has up to
there names an object that the copy has.
"""

import logging
import threading
import time

from prometheus_client import Counter, Gauge
from sqlalchemy import Engine

from hemaline_cloud.backup.copying import copy_objects
from hemaline_cloud.backup.folder import BackupFolder
from hemaline_cloud.backup.wal import Receiver, has_archived, written_position
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import BackupSettings
from hemaline_shared.errors import TransientError
from hemaline_shared.health import HealthServer
from hemaline_shared.stopping import on_stop_signal

logger = logging.getLogger(__name__)

ARCHIVE_AT = Gauge(
    "hemaline_backup_archive_timestamp_seconds",
    "Up to when rows and their objects could be restored",
)
BASE_AT = Gauge(
    "hemaline_backup_base_timestamp_seconds", "When the newest base backup was finished"
)
OBJECTS = Counter("hemaline_backup_objects_total", "Files of the object store that were copied")
OBJECT_BYTES = Counter("hemaline_backup_objects_bytes_total", "Bytes of them")

_POLL_S = 0.2
_LATE = 5
"""So many periods without a whole pass make it unready."""


class Following:
    """Follows a database and an object store until told to stop."""

    def __init__(self, settings: BackupSettings) -> None:
        self._settings = settings
        self._folder = BackupFolder(settings.backup)
        self._folder.make()
        self._store = open_store(settings.objects)
        self._receiver = Receiver(settings, self._folder)
        self._stop_asked = threading.Event()
        self._begun = time.time()
        self._archive_at = 0.0
        self.health = HealthServer(
            settings.health.host, settings.health.port, {"archive": self._problem}
        )

    def stop_soon(self) -> None:
        """Let `run` return."""
        self._stop_asked.set()

    def run(self) -> None:
        """Return when told to stop.

        Raises:
            PermanentError: `archive-has-a-gap` or `backup-busy`: going on would be no backup.
        """
        self.health.start()
        logger.info("health and metrics on port %d", self.health.port)
        url = self._settings.database_url.get_secret_value()
        engine = make_engine(url, principal=service("backup"), pool_size=1)
        try:
            with self._folder.locked("follow"):
                while not self._stop_asked.is_set():
                    try:
                        self._pass(engine)
                    except TransientError as error:
                        logger.warning("%s", error)
                    self._stop_asked.wait(self._settings.backup_period_s)
        finally:
            self._receiver.stop()
            self.health.stop()
            engine.dispose()

    def _pass(self, engine: Engine) -> None:
        if bases := self._folder.finished():
            BASE_AT.set(bases[-1].finished_at.timestamp())
        self._receiver.keep_running()
        began = time.time()
        with unit_of_work(engine) as connection:
            position = written_position(connection)
        copied = copy_objects(self._store, self._folder)
        OBJECTS.inc(copied.files)
        OBJECT_BYTES.inc(copied.size)
        if self._wait_archived(engine, position) and bases:
            self._archive_at = began
            ARCHIVE_AT.set(began)

    def _wait_archived(self, engine: Engine, position: str) -> bool:
        until = time.monotonic() + self._settings.backup_period_s
        while not self._stop_asked.is_set() and time.monotonic() < until:
            with unit_of_work(engine) as connection:
                if has_archived(connection, position):
                    return True
            self._stop_asked.wait(_POLL_S)
        return False

    def _problem(self) -> str | None:
        if not self._folder.finished():
            return "there is no base backup yet: hemaline-cloud backup base"
        since = max(self._archive_at, self._begun)
        late = time.time() - since
        if self._archive_at and late < _LATE * self._settings.backup_period_s:
            return None
        return f"the archive is {late:.0f} s behind"


def follow(settings: BackupSettings) -> None:
    """Follow until SIGTERM or Ctrl-C."""
    following = Following(settings)
    on_stop_signal(following.stop_soon)
    following.run()
