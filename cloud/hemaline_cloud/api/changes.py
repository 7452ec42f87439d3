"""Live changes: PostgreSQL notifies, one thread listens, every open page hears of it."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

logger = logging.getLogger(__name__)

EVERYTHING = "everything"
"""Told when single changes may have been missed: read the whole list again."""

_CHANNEL = "hemaline"
_MOST_CHANGES = 256
_MOST_LISTENERS = 256
_POLL_S = 0.2
_RETRY_S = 2.0


class Listener:
    """What changed since one page last asked: a bounded set, so a slow page costs nothing.

    Made and awaited on the event loop; told from the feed's thread.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed: set[str] = set()
        self._awake = asyncio.Event()
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether no change comes any more: the server stops."""
        return self._ended

    def tell(self, change: str) -> None:
        """Add a change."""
        self._loop.call_soon_threadsafe(self._add, change)

    def end(self) -> None:
        """Wake whoever waits, for the last time."""
        self._ended = True
        self._loop.call_soon_threadsafe(self._awake.set)

    async def wait(self, timeout_s: float) -> set[str]:
        """Return what changed; an empty set after the time is over or at the end."""
        try:
            await asyncio.wait_for(self._awake.wait(), timeout_s)
        except TimeoutError:
            return set()
        self._awake.clear()
        changed, self._changed = self._changed, set()
        return changed

    def _add(self, change: str) -> None:
        if len(self._changed) >= _MOST_CHANGES:
            self._changed = {EVERYTHING}
        self._changed.add(change)
        self._awake.set()


class ChangeFeed:
    """Listens to PostgreSQL from `start` to `stop`, and reconnects by itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: set[Listener] = set()
        self._registering = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="changes", daemon=True)

    def start(self) -> None:
        """Connect in the background."""
        self._thread.start()

    def end_streams(self) -> None:
        """Tell every listener that no more changes come; returns at once."""
        self._stopping.set()
        for listener in self._current():
            listener.end()

    def stop(self) -> None:
        """End the streams and the connection."""
        self.end_streams()
        self._thread.join()

    @property
    def is_full(self) -> bool:
        """Whether as many pages listen as one process should serve."""
        return len(self._current()) >= _MOST_LISTENERS

    @contextmanager
    def listening(self) -> Iterator[Listener]:
        """Hear of changes for as long as the context lasts."""
        listener = Listener()
        with self._registering:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._registering:
                self._listeners.discard(listener)

    def _current(self) -> tuple[Listener, ...]:
        with self._registering:
            return tuple(self._listeners)

    def _tell(self, change: str) -> None:
        for listener in self._current():
            listener.tell(change)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except (SQLAlchemyError, psycopg.Error) as error:
                logger.warning("live changes wait for the database: %s", type(error).__name__)
                self._stopping.wait(_RETRY_S)
            except Exception:  # a dead thread would leave every page silently stale
                logger.exception("live changes failed; trying again")
                self._stopping.wait(_RETRY_S)

    def _listen(self) -> None:
        with closing(self._connect()) as connection:
            connection.execute(f"listen {_CHANNEL}")
            self._tell(EVERYTHING)  # what changed while nobody listened, nobody knows
            while not self._stopping.is_set():
                for notify in connection.notifies(timeout=_POLL_S):
                    self._tell(notify.payload)

    def _connect(self) -> psycopg.Connection:
        pooled = self._engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)
        pooled.detach()  # held for good, so it must not count among the pool's few
        connection.autocommit = True
        return connection
