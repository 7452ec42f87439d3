"""Live changes: one thread reads the outbox, every open page hears of what concerns it."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TypeAlias

import psycopg
from sqlalchemy import Engine

from hemaline_cloud.database.engine import database_errors, unit_of_work
from hemaline_cloud.database.outbox import (
    Entry,
    Position,
    entries_after,
    forget_old,
    has_unsettled,
    is_kept,
    newest_position,
)
from hemaline_cloud.principal import service
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_CHANNEL = "hemaline"
_MOST_CHANGES = 256
_MOST_LISTENERS = 256
_MOST_ENTRIES = 1000
_POLL_S = 0.2
_IDLE_POLLS = 10
_RETRY_S = 2.0
_FORGET_S = 600.0
_READER = service("live-changes")

Concerns: TypeAlias = Callable[[Entry], bool]
"""Whether a listener may hear of an entry."""


class Listener:
    """What changed since one page last asked: bounded, so a slow page costs nothing.

    Made and awaited on the event loop; told from the feed's thread.
    """

    def __init__(self, concerns: Concerns) -> None:
        self._loop = asyncio.get_running_loop()
        self._concerns = concerns
        self._changed: dict[tuple[str, object], Entry] = {}
        self._overflowed = False
        self._awake = asyncio.Event()
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether no change comes any more: the server stops."""
        return self._ended

    def tell(self, entries: list[Entry]) -> None:
        """Add those changes that concern this listener."""
        if concerned := [entry for entry in entries if self._concerns(entry)]:
            self._loop.call_soon_threadsafe(self._add, concerned)

    def tell_everything(self) -> None:
        """Say that single changes may have been missed."""
        self._loop.call_soon_threadsafe(self._overflow)

    def end(self) -> None:
        """Wake whoever waits, for the last time."""
        self._ended = True
        self._loop.call_soon_threadsafe(self._awake.set)

    async def wait(self, timeout_s: float) -> list[Entry] | None:
        """Return the last change of each thing, in order; none when the time is over or at the end.

        None: single changes were missed, and everything is to be read again.
        """
        try:
            await asyncio.wait_for(self._awake.wait(), timeout_s)
        except TimeoutError:
            return []
        self._awake.clear()
        changed, self._changed = sorted(self._changed.values()), {}
        overflowed, self._overflowed = self._overflowed, False
        return None if overflowed else changed

    def _add(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._changed[entry.kind, entry.subject_id] = entry
        if len(self._changed) > _MOST_CHANGES:
            self._overflow()
        self._awake.set()

    def _overflow(self) -> None:
        self._changed.clear()
        self._overflowed = True
        self._awake.set()


class ChangeFeed:
    """Reads the outbox from `start` to `stop`, and reconnects by itself."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: set[Listener] = set()
        self._registering = threading.Lock()
        self._stopping = threading.Event()
        self._position: Position | None = None
        self._forgot_at = float("-inf")
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
    def listening(self, concerns: Concerns) -> Iterator[Listener]:
        """Hear of changes for as long as the context lasts."""
        listener = Listener(concerns)
        with self._registering:
            self._listeners.add(listener)
        try:
            yield listener
        finally:
            with self._registering:
                self._listeners.discard(listener)

    @property
    def position(self) -> Position | None:
        """Up to where every listener was told; None before the first reading."""
        return self._position

    def since(self, position: Position) -> list[Entry] | None:
        """Return what changed since; None where that is too long ago, or too much.

        Raises:
            TransientError: `database-unavailable`.
        """
        with unit_of_work(self._engine, _READER) as connection:
            if not is_kept(connection, position):
                return None
            entries = entries_after(connection, position, _MOST_ENTRIES + 1)
        return None if len(entries) > _MOST_ENTRIES else entries

    def _current(self) -> tuple[Listener, ...]:
        with self._registering:
            return tuple(self._listeners)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with database_errors():
                    self._listen()
            except (TransientError, psycopg.Error) as error:
                logger.warning("live changes wait for the database: %s", type(error).__name__)
                self._stopping.wait(_RETRY_S)
            except Exception:  # a dead thread would leave every page silently stale
                logger.exception("live changes failed; trying again")
                self._stopping.wait(_RETRY_S)

    def _listen(self) -> None:
        with closing(self._connect()) as connection:
            connection.execute(f"listen {_CHANNEL}")
            polls = _IDLE_POLLS
            while not self._stopping.is_set():
                if polls >= _IDLE_POLLS:
                    polls = 0 if self._read() else _IDLE_POLLS
                heard = any(True for _ in connection.notifies(timeout=_POLL_S, stop_after=1))
                for _ in connection.notifies(timeout=0):
                    pass  # one reading answers them all
                polls = _IDLE_POLLS if heard else polls + 1

    def _read(self) -> bool:
        """Tell of all that has settled; whether nothing is left that has not."""
        with unit_of_work(self._engine, _READER) as connection:
            if self._position is None:
                self._position = newest_position(connection)
                entries = None  # what changed before, nobody knows
            else:
                entries = entries_after(connection, self._position, _MOST_ENTRIES)
            unsettled = has_unsettled(connection)
            if time.monotonic() - self._forgot_at > _FORGET_S:
                forget_old(connection)
                self._forgot_at = time.monotonic()
        for listener in self._current():
            if entries is None:
                listener.tell_everything()
            else:
                listener.tell(entries)
        if entries:
            self._position = entries[-1].position
        return not unsettled and len(entries or ()) < _MOST_ENTRIES

    def _connect(self) -> psycopg.Connection:
        pooled = self._engine.raw_connection()
        connection = pooled.driver_connection
        assert isinstance(connection, psycopg.Connection)
        pooled.detach()  # held for good, so it must not count among the pool's few
        connection.autocommit = True
        return connection
