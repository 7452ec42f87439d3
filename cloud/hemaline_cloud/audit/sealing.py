"""Seals the audit: each second what has settled becomes a block of the chain."""

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import Counter
from sqlalchemy import Engine

from hemaline_cloud.audit.blocks import BEFORE_THE_FIRST, FORM, block_hash
from hemaline_cloud.audit.publishing import publish_seal
from hemaline_cloud.database.audit import EventRow
from hemaline_cloud.database.audit_seals import (
    SealRow,
    add_seal,
    become_sealer,
    events_between,
    newest_seal,
    settled,
)
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.principal import service
from hemaline_shared.errors import HemalineError, PermanentError

logger = logging.getLogger(__name__)

SEAL_S = 1.0
PUBLISH_S = 60.0
_MOST_EVENTS = 10_000
_SEALER = service("audit-sealer")
_SEALED = Counter("hemaline_audit_events_sealed_total", "Audit events in sealed blocks.")
_FAILURES = Counter("hemaline_audit_sealing_failures_total", "Seconds in which sealing failed.")


def seal_block(engine: Engine) -> SealRow | None:
    """Seal the events that have settled since the last block; None where there are none.

    An event has settled when its transaction and all that are older have ended: no other can come
    before it any more. While somebody else seals, nothing is done.

    Raises:
        PermanentError: `audit-counts-anew`: the server gives transactions numbers that sealed
            blocks have, as after the restoring of a dump.
        TransientError: `database-unavailable`.
    """
    with unit_of_work(engine, _SEALER) as connection:
        if not become_sealer(connection):
            return None
        previous = newest_seal(connection)
        since = previous.until if previous else 0
        until, at = settled(connection)
        if until < since:
            raise PermanentError(
                "audit-counts-anew",
                "The database was restored from a dump and counts its transactions anew; "
                "run `hemaline-cloud migrate` once.",
            )
        events = events_between(connection, since, until, _MOST_EVENTS + 1)
        if not events:
            return None
        if len(events) > _MOST_EVENTS:
            until = _end_of_whole_transactions(events)
            events = events_between(connection, since, until)
        number = previous.number + 1 if previous else 1
        seal = SealRow(number, FORM, since, until, len(events), at, "")
        made = seal._replace(
            hash=block_hash(previous.hash if previous else BEFORE_THE_FIRST, seal, events)
        )
        add_seal(connection, made)
    _SEALED.inc(made.events)
    return made


def _end_of_whole_transactions(events: list[EventRow]) -> int:
    """Return where a block can end: no transaction is in two, and one at least is in it."""
    first, last = events[0].transaction, events[-1].transaction
    return last if last > first else first + 1


class AuditSealer:
    """A thread that seals from `start` to `stop`; of several on one database, one at a time."""

    def __init__(self, engine: Engine, store: ObjectStore) -> None:
        self._engine = engine
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-sealer", daemon=True)
        self._unpublished: SealRow | None = None
        self._published_at = float("-inf")
        self._told = ""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Seal and publish what is left, and end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(SEAL_S):
            self._try(self._seal)
            if time.monotonic() - self._published_at >= PUBLISH_S:
                self._try(self._publish)
        self._try(self._seal)
        self._try(self._publish)

    def _seal(self) -> None:
        while seal := seal_block(self._engine):
            self._unpublished = seal

    def _publish(self) -> None:
        if self._unpublished:
            publish_seal(self._store, self._unpublished)
            self._published_at, self._unpublished = time.monotonic(), None

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
            self._told = ""
        except HemalineError as error:
            _FAILURES.inc()
            if str(error) != self._told:  # not the same line each second
                self._told = str(error)
                logger.warning("the audit is not sealed: %s", error)
        except Exception:  # a dead thread would leave the audit unsealed in silence
            _FAILURES.inc()
            logger.exception("the audit is not sealed; trying again")
