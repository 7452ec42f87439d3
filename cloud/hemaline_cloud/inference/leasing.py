"""Takes fields from the queue while there is room, and keeps hold of them."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from hemaline_cloud.database import work
from hemaline_cloud.database.appointments import appointed_sites
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.listening import listen_for_work
from hemaline_cloud.database.purposes import Purpose, Sites
from hemaline_cloud.database.results import cells_of
from hemaline_cloud.database.review import make_ready
from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.holding import Holdings
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.retrying import Retrier
from hemaline_shared.errors import TransientError

logger = logging.getLogger(__name__)

_FIELDS_AT_ONCE = 8
_POLL_S = 1.0
_MEASURE_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Serving:
    """The bundle that a worker runs, and what for.

    Attributes:
        ready_after_s: A slide of which no frame came for so long may be reviewed.
    """

    bundle_id: str
    sha256: str
    purpose: Purpose
    ready_after_s: float


class Leaser:
    """Leases under one worker's name; every field goes to `take`, once a lease."""

    def __init__(
        self,
        engine: Engine,
        worker: str,
        lease_s: float,
        pixel_pipelines: Sequence[str],
        serving: Serving,
        holdings: Holdings,
        take: Callable[[HeldField], None],
        retrier: Retrier,
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._lease_s = lease_s
        self._pixel_pipelines = pixel_pipelines
        self._serving = serving
        self._sites: Sites | None = None
        self._holdings = holdings
        self._take = take
        self._retrier = retrier
        self._pause_s = min(_POLL_S, lease_s / 6)
        self._extend_at = time.monotonic()
        self._measure_at = time.monotonic()
        self._leases_unsure = False
        self._parked: Mapping[str, int] = {}

    def run(self) -> None:
        """Lease until `retrier` is stopped, woken by notifications and now and then."""
        while not self._retrier.stopped:
            try:
                self._lease_and_listen()
            except TransientError as error:
                logger.info("listening for work anew: %s", error)

    def parked(self) -> str | None:
        """Say which fields wait for another version than this worker's, for a readiness check."""
        if not self._parked:
            return None
        waiting = ", ".join(
            f"{fields} of pixel pipeline {version}" for version, fields in self._parked.items()
        )
        return (
            f"Fields wait in the queue for another worker: {waiting}; this one's bundle judges "
            f"{', '.join(self._pixel_pipelines)}. Run a worker with a bundle for them; they keep."
        )

    def unappointed(self) -> str | None:
        """Say that nobody has appointed the bundle for what it is served, for a readiness check."""
        if self._sites is None or not self._sites.none:
            return None
        serving = self._serving
        option = " --trial" if serving.purpose == "trial" else ""
        return (
            f"The bundle {serving.bundle_id} ({serving.sha256[:12]}) is {serving.purpose} for no "
            "site, so this worker judges nothing. Who may decide that its answers "
            f"{'are kept' if option else 'count'} runs: hemaline-cloud bundles appoint "
            f"{serving.sha256[:12]}{option}"
        )

    def release_all(self, *, suspected: bool) -> None:
        """Give back what is still held, as far as the database can be reached.

        Args:
            suspected: One of the fields may have broken the worker.
        """
        try:
            self.release(self._holdings.frame_ids(), suspected=suspected)
        except TransientError as error:
            logger.warning("leases are left to expire: %s", error)

    def release(self, frame_ids: Sequence[UUID], *, suspected: bool) -> None:
        """Give fields back.

        Raises:
            TransientError: The database is away; nothing is certain, and it may be repeated.
        """
        with unit_of_work(self._engine) as connection:
            work.release(connection, self._worker, frame_ids, suspected=suspected)

    def _lease_and_listen(self) -> None:
        with ExitStack() as stack:
            # A context manager is entered once: every try needs one of its own.
            new_work = self._retrier.retry_until_ok(
                lambda: stack.enter_context(listen_for_work(self._engine))
            )
            while not self._retrier.stopped:
                self._extend_when_due()
                self._measure_when_due()
                if not self._holdings.wait_for_room(self._pause_s):
                    continue
                if not self._lease():
                    new_work.wait(self._pause_s)

    def _lease(self) -> bool:
        """Lease what there is room for; False when there is nothing to do but wait for work."""
        fields, suspect_is_next = self._retrier.retry_until_ok(self._lease_some)
        self._holdings.add(fields)
        for field in fields:
            self._take(field)
        if suspect_is_next:
            self._holdings.wait_until_empty(self._pause_s)
        return bool(fields) or suspect_is_next

    def _lease_some(self) -> tuple[Sequence[HeldField], bool]:
        held = self._holdings.frame_ids()
        with unit_of_work(self._engine) as connection:
            self._sites = appointed_sites(connection, self._serving.sha256, self._serving.purpose)
            room = work.Room(
                self._pixel_pipelines,
                fields=_FIELDS_AT_ONCE,
                purpose=self._serving.purpose,
                sites=self._sites,
                bytes=self._holdings.room_bytes(),
                idle=not held,
            )
            if self._leases_unsure:
                work.release_unknown(connection, self._worker, held)
            self._leases_unsure = True
            leases = work.lease(connection, self._worker, room, self._lease_s)
            cells = cells_of(connection, [field.frame_id for field in leases.fields])
        self._leases_unsure = False
        fields = [HeldField(lease, tuple(cells.get(lease.frame_id, ()))) for lease in leases.fields]
        return fields, leases.suspect_is_next

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
        if time.monotonic() < self._measure_at:
            return
        state = self._retrier.retry_until_ok(self._queue_state)
        metrics.QUEUE_DEPTH.set(state.depth)
        metrics.QUEUE_LEASED.set(state.leased)
        metrics.QUEUE_AGE.set(state.oldest_s)
        metrics.QUEUE_PARKED.set(sum(state.parked.values()))
        self._parked = state.parked
        if self._serving.purpose == "active":
            self._retrier.retry_until_ok(self._make_slides_ready)
        self._measure_at = time.monotonic() + _MEASURE_EVERY_S

    def _make_slides_ready(self) -> None:
        with unit_of_work(self._engine) as connection:
            ready = make_ready(connection, self._serving.ready_after_s)
        if ready:
            logger.info("%d slides are ready for review", len(ready))

    def _queue_state(self) -> work.QueueState:
        with unit_of_work(self._engine) as connection:
            return work.queue_state(connection, self._pixel_pipelines, self._serving.purpose)
