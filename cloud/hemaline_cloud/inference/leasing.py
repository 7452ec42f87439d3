"""Takes fields from the queue while there is room, and keeps hold of them."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Engine

from hemaline_cloud.database import work
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.results import cells_of
from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.retrying import Retrier
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_FIELDS_AT_ONCE = 8
_POLL_S = 1.0
_GAUGES_EVERY_S = 5.0


class Leaser:
    """Leases under one worker's name; every field goes to `take`, once a lease."""

    def __init__(
        self,
        engine: Engine,
        worker: str,
        lease_s: float,
        holdings: Holdings,
        take: Callable[[HeldField], None],
        retrier: Retrier,
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._lease_s = lease_s
        self._holdings = holdings
        self._take = take
        self._retrier = retrier
        self._pause_s = min(_POLL_S, lease_s / 6)
        self._extend_at = time.monotonic()
        self._gauges_at = time.monotonic()

    def run(self) -> None:
        """Lease until `retrier` is stopped, woken by a bell, looking by itself now and then."""
        while not self._retrier.stopped:
            try:
                self._run_with_bell()
            except TransientError as error:
                logger.info("listening for work anew: %s", error)

    def release_all(self, *, blameless: bool) -> None:
        """Give back what is still held, as far as the database can be reached.

        Args:
            blameless: No field is suspected: the worker was asked to stop, it did not break.
        """
        for frame_id in self._holdings.frame_ids():
            try:
                with unit_of_work(self._engine) as connection:
                    work.release(connection, self._worker, frame_id, 0, blameless=blameless)
            except TransientError as error:
                logger.warning("leases are left to expire: %s", error)
                return

    def _run_with_bell(self) -> None:
        with ExitStack() as stack:
            # A context manager is entered once: every try needs one of its own.
            bell = self._retrier.retry_until_ok(
                lambda: stack.enter_context(work.listen_for_work(self._engine))
            )
            while not self._retrier.stopped:
                self._extend_when_due()
                self._measure_when_due()
                if not self._holdings.wait_for_room(self._pause_s):
                    continue
                if not self._lease():
                    bell.wait(self._pause_s)

    def _lease(self) -> int:
        fields = self._retrier.retry_until_ok(self._lease_some)
        self._holdings.add(fields)
        for field in fields:
            self._take(field)
        return len(fields)

    def _lease_some(self) -> Sequence[HeldField]:
        with unit_of_work(self._engine) as connection:
            leases = work.lease(connection, self._worker, _FIELDS_AT_ONCE, self._lease_s)
            cells = cells_of(connection, [lease.frame_id for lease in leases]) if leases else {}
        return [HeldField(lease, tuple(cells.get(lease.frame_id, ()))) for lease in leases]

    def _extend_when_due(self) -> None:
        held = self._holdings.frame_ids()
        if time.monotonic() < self._extend_at or not held:
            return
        ours = self._retrier.retry_until_ok(lambda: self._extend(held))
        # Another worker has the rest, or it just ended; settling will tell which.
        self._holdings.remove(set(held) - ours)
        self._extend_at = time.monotonic() + self._lease_s / 3

    def _extend(self, held: Sequence[UUID]) -> set[UUID]:
        with unit_of_work(self._engine) as connection:
            return work.extend(connection, self._worker, held, self._lease_s)

    def _measure_when_due(self) -> None:
        if time.monotonic() < self._gauges_at:
            return
        state = self._retrier.retry_until_ok(self._queue_state)
        age = (datetime.now(UTC) - state.oldest).total_seconds() if state.oldest else 0
        metrics.QUEUE_DEPTH.set(state.depth)
        metrics.QUEUE_LEASED.set(state.leased)
        metrics.QUEUE_AGE.set(max(0, age))
        self._gauges_at = time.monotonic() + _GAUGES_EVERY_S

    def _queue_state(self) -> work.QueueState:
        with unit_of_work(self._engine) as connection:
            return work.queue_state(connection)
