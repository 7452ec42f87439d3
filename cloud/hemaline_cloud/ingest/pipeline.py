"""Verify, store, commit, answer: three stages, each with a batch of its own, in order."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from uuid import UUID

from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.ingest.bury import Undertaker
from hemaline_cloud.ingest.inbox import Inbox
from hemaline_cloud.ingest.intake import Intake
from hemaline_cloud.ingest.items import Accepted, Closing, Delivery, Item, Outcome, Refused, Settled
from hemaline_cloud.ingest.metrics import BATCH, QUARANTINED, RECORDED, REPLAYED
from hemaline_cloud.ingest.record import Recordable, Recorded, record, refuse
from hemaline_cloud.ingest.stage import Stage
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.retrying import Retrier
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError


class Pipeline:
    """Everything between the inbox and the answers.

    Verifying, storing and committing overlap, each on the batch after the next one's; order is
    kept, so that a device's Last Will never overtakes its birth.
    """

    def __init__(
        self,
        settings: IngestSettings,
        engine: Engine,
        store: ObjectStore,
        inbox: Inbox,
        *,
        answer: Callable[[Sequence[Outcome]], None],
        on_fault: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._store = store
        self._verifying = Retrier("verify")
        self._storing = Retrier("store")
        self._committing = Retrier("commit")
        self._burying = Retrier("dead letters")
        self._answer = answer
        self._intake = Intake(settings, engine, store)
        self._undertaker = Undertaker(engine, store, settings.max_upload_bytes)
        # OpenCV and Pillow let go of the interpreter while they decode.
        self._verifiers = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="verify")
        verified: Queue[list[Item]] = Queue(1)
        stored: Queue[list[Item]] = Queue(1)
        self._stages = (
            Stage(
                "verify",
                lambda: inbox.take(settings.commit_messages),
                self._verify_batch,
                verified.put,
                on_fault,
            ),
            Stage("store", verified.get, self._store_batch, stored.put, on_fault),
            Stage("commit", stored.get, self._commit_batch, lambda _: None, on_fault),
        )

    def start(self) -> None:
        """Begin to take from the inbox."""
        for stage in self._stages:
            stage.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the batches under way, once the inbox is closed; False if they hang."""
        deadline = time.monotonic() + timeout_s
        ended = all(stage.join(max(0.0, deadline - time.monotonic())) for stage in self._stages)
        self._verifiers.shutdown(wait=False, cancel_futures=True)
        return ended

    def problem(self) -> str | None:
        """Say what is being waited for, for a readiness check."""
        return "; ".join(filter(None, (retrier.problem() for retrier in self._retriers()))) or None

    def stop_waiting(self) -> None:
        """End every wait for trouble to pass; what meets none still finishes."""
        for retrier in self._retriers():
            retrier.stop()

    def _retriers(self) -> tuple[Retrier, ...]:
        return self._verifying, self._storing, self._committing, self._burying

    def _verify_batch(self, batch: list[Delivery]) -> list[Item]:
        return list(self._verifiers.map(self._verify, batch))

    def _verify(self, delivery: Delivery) -> Item:
        return self._verifying.retry_until_ok(lambda: self._intake.take(delivery))

    def _store_batch(self, items: list[Item]) -> list[Item]:
        objects = {
            item.key: item.packed
            for item in items
            if isinstance(item, Accepted) and item.packed is not None
        }
        if objects:
            self._storing.retry_until_ok(lambda: self._store.put_many(objects))
        return items

    def _commit_batch(self, items: list[Item]) -> list[Item]:
        for part in _without_repeats(items):
            sound = [item for item in part if not isinstance(item, Refused)]
            refused = [item for item in part if isinstance(item, Refused)]
            refused += self._record(sound)
            for item in refused:
                self._bury(item)
        return items

    def _record(self, items: list[Recordable]) -> list[Refused]:
        """Commit items together; where one spoils the transaction, each by itself."""
        if not items:
            return []
        try:
            recorded = self._committing.retry_until_ok(lambda: self._transact(items))
        except PermanentError as error:
            if len(items) == 1:
                return [refuse(items[0], error)]
            return [refused for item in items for refused in self._record([item])]
        BATCH.observe(len(items))
        REPLAYED.inc(recorded.replays)
        for state in recorded.states:
            RECORDED.labels(state).inc()
        self._answer(recorded.outcomes)
        return recorded.refused

    def _transact(self, items: Sequence[Recordable]) -> Recorded:
        with unit_of_work(self._engine) as connection:
            return record(connection, items)

    def _bury(self, refused: Refused) -> None:
        outcome = self._burying.retry_until_ok(lambda: self._undertaker.bury(refused))
        QUARANTINED.labels(refused.reason).inc()
        self._answer([outcome])


def _without_repeats(items: list[Item]) -> Iterator[list[Item]]:
    """Cut a batch so that no part names a frame or slide's end twice: the first one settles it."""
    part: list[Item] = []
    seen: set[UUID] = set()
    for item in items:
        if isinstance(item, Accepted | Settled | Closing):
            message_id = item.message.message_id
            if message_id in seen:
                yield part
                part, seen = [], set()
            seen.add(message_id)
        part.append(item)
    yield part
