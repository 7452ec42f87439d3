"""Verify, store, commit, answer: three stages, each with a batch of its own, in order."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import UUID

from sqlalchemy import Engine

from hemaline_cloud.breaker import Breaker
from hemaline_cloud.database.ended import ended_before, newest_messages
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.frames import find_frames
from hemaline_cloud.ingest.answers import refuse
from hemaline_cloud.ingest.dead_letters import DeadLetterWriter
from hemaline_cloud.ingest.intake import Intake
from hemaline_cloud.ingest.items import (
    Accepted,
    Claimed,
    Closing,
    Delivery,
    EndedAtEdge,
    Item,
    Outcome,
    Recordable,
    Refused,
)
from hemaline_cloud.ingest.metrics import BATCH, PARKED, QUARANTINED, RECORDED, REPLAYED
from hemaline_cloud.ingest.record import Recorded, record
from hemaline_cloud.ingest.slides import KnownSlides
from hemaline_cloud.ingest.stages import Handover, Inbox, Stage
from hemaline_cloud.objects.store import ObjectStore
from hemaline_cloud.retrying import Retrier
from hemaline_cloud.settings import IngestSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.messages import Receipt

_FETCHERS = 8
_LONGEST_TRANSACTION = 512
"""Messages in one transaction at most, of several batches that waited for the commit before."""

_REMEDY = (
    "Ingest has stopped; what was refused is kept as dead letters. Mend the cause, start ingest "
    "again, then: hemaline-cloud dead-letters retry --reason {reason}"
)


class Pipeline:
    """Everything between the inbox and the answers.

    Verifying, storing and committing overlap, each on the batch after the next one's; order is
    kept, so that a device's Last Will never overtakes its birth. Only uploads are fetched several
    at once: all else takes less time than handing it to another thread.
    """

    def __init__(
        self,
        settings: IngestSettings,
        engine: Engine,
        store: ObjectStore,
        intake: Intake,
        inbox: Inbox,
        *,
        answer: Callable[[Sequence[Outcome]], None],
        on_fault: Callable[[], None],
        on_tripped: Callable[[], None],
    ) -> None:
        before = ended_before(engine, newest_messages)
        self._breaker = Breaker("messages", _REMEDY, on_tripped, before)
        self._engine = engine
        self._store = store
        self._inbox = inbox
        self._answer = answer
        self._intake = intake
        self._slides = KnownSlides()
        self._dead_letters = DeadLetterWriter(engine, store, settings.max_upload_bytes)
        self._fetchers = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch")
        self._verifying, self._storing = Retrier("verify"), Retrier("store")
        self._committing, self._refusing = Retrier("commit"), Retrier("dead letters")
        verified: Handover[Item] = Handover(settings.commit_messages)
        stored: Handover[Item] = Handover(settings.commit_messages)
        self._stages = (
            Stage(
                "verify",
                lambda: inbox.take(settings.commit_messages),
                self._verify_batch,
                verified.put,
                on_fault,
            ),
            Stage("store", verified.take, self._store_batch, stored.put, on_fault),
            Stage("commit", stored.take, self._commit_batch, lambda _: None, on_fault),
        )

    def start(self) -> None:
        """Begin to take from the inbox."""
        for stage in self._stages:
            stage.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the batches under way, once the inbox is closed; False if they hang."""
        deadline = time.monotonic() + timeout_s
        ended = all(stage.join(max(0.0, deadline - time.monotonic())) for stage in self._stages)
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        return ended

    def problem(self) -> str | None:
        """Say what is being waited for, for a readiness check."""
        problems = [self._breaker.problem(), *(retrier.problem() for retrier in self._retriers())]
        return "; ".join(filter(None, problems)) or None

    def stop_waiting(self) -> None:
        """End every wait for trouble to pass; what meets none still finishes."""
        for retrier in self._retriers():
            retrier.stop()

    def _retriers(self) -> tuple[Retrier, ...]:
        return self._verifying, self._storing, self._committing, self._refusing

    def _verify_batch(self, batch: list[Delivery]) -> list[Item]:
        retry = self._verifying.retry_until_ok
        taken = [retry(partial(self._intake.take, delivery)) for delivery in batch]
        claims = [item for item in taken if isinstance(item, Claimed)]
        fetched = iter(self._fetchers.map(self._fetch, claims))
        return [next(fetched) if isinstance(item, Claimed) else item for item in taken]

    def _fetch(self, claimed: Claimed) -> Item:
        return self._verifying.retry_until_ok(lambda: self._intake.fetch(claimed))

    def _store_batch(self, items: list[Item]) -> list[Item]:
        found_at = self._storing.retry_until_ok(lambda: self._put_new(items))
        return [
            replace(item, key=found_at.get(item.key, item.key), packed=None)
            if isinstance(item, Accepted)
            else item
            for item in items
        ]

    def _put_new(self, items: list[Item]) -> dict[str, str]:
        """Store images, but those that the ledger has; return under which key each is found."""
        fields = [item for item in items if isinstance(item, Accepted) and item.packed is not None]
        if not fields:
            return {}
        with unit_of_work(self._engine) as connection:
            known = find_frames(connection, [item.message.message_id for item in fields])
        objects: dict[str, bytes] = {}
        found_at: dict[str, str] = {}
        for item in fields:
            before = known.get(item.message.message_id)
            is_stored = before and before.object_sha256 == item.message.images.sha256
            if before and before.object_key and is_stored:
                found_at[item.key] = before.object_key
            elif item.packed is not None:
                objects[item.key] = item.packed
        return found_at | self._store.put_many(objects)

    def _commit_batch(self, items: list[Item]) -> list[Item]:
        for part in _without_repeats(items):
            sound = [item for item in part if not isinstance(item, Refused)]
            refused = [item for item in part if isinstance(item, Refused)]
            for item in [*refused, *self._record(sound)]:
                if not self._breaker.problem():  # else it stays unacknowledged, and comes again
                    self._write_dead_letter(item)
        return []

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
        self._finish(recorded.outcomes)
        return recorded.refused

    def _transact(self, items: Sequence[Recordable]) -> Recorded:
        try:
            with unit_of_work(self._engine) as connection:
                recorded = record(connection, items, self._slides)
        except BaseException:
            self._slides.forget()  # a restored backup may lack what was committed before
            raise
        self._slides.add(recorded.slides)
        return recorded

    def _write_dead_letter(self, refused: Refused) -> None:
        outcome = self._refusing.retry_until_ok(lambda: self._dead_letters.write(refused))
        if refused.needs_version is None:
            QUARANTINED.labels(refused.reason).inc()
        else:
            PARKED.inc()
        self._finish([outcome])

    def _finish(self, outcomes: Sequence[Outcome]) -> None:
        self._answer(outcomes)
        self._inbox.done([outcome.delivery for outcome in outcomes])
        for outcome in outcomes:
            if outcome.name and isinstance(outcome.answer, Receipt):
                refused = outcome.answer.outcome == "quarantined"
                self._breaker.count(outcome.name, outcome.answer.reason if refused else None)


def _without_repeats(items: list[Item]) -> Iterator[list[Item]]:
    """Cut a batch so that no part names a frame or slide's end twice: the first one settles it."""
    part: list[Item] = []
    seen: set[UUID] = set()
    for item in items:
        if isinstance(item, Accepted | EndedAtEdge | Closing):
            message_id = item.message.message_id
            if message_id in seen or len(part) >= _LONGEST_TRANSACTION:
                yield part
                part, seen = [], set()
            seen.add(message_id)
        part.append(item)
    yield part
