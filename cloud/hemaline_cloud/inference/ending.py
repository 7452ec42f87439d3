"""Ends what a worker holds: results and quarantines are committed, suspects given back."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Engine

from hemaline_cloud.breaker import Breaker
from hemaline_cloud.database.ended import ended_before, newest_fields
from hemaline_cloud.database.purposes import Purpose
from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.leasing import Leaser
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.inference.settling import EndedField, FailedField, JudgedField, Settler
from hemaline_cloud.retrying import Retrier
from hemaline_shared.errors import TransientError
from hemaline_shared.topics import DeviceName

logger = logging.getLogger(__name__)


_REMEDY = (
    "The worker has stopped; the fields are in quarantine, their images are kept. Mend the cause, "
    "start the worker again, then: hemaline-cloud frames retry --reason {reason}"
)


_TRIAL_REMEDY = (
    "The worker has stopped; the trial fails for {reason}, and no frame is any the worse for it. "
    "Mend the cause and start the worker again, or: hemaline-cloud bundles end-trial"
)


class RefusesAllError(TransientError):
    """The worker quarantines nearly everything, whichever device it is from."""

    def __init__(self, message: str) -> None:
        super().__init__("refuses-nearly-everything", message)


@dataclass(frozen=True, slots=True)
class SuspectedField:
    """A field of a batch that failed, although the device passes its self-test."""

    held: HeldField
    failure: Exception


DoneField: TypeAlias = EndedField | SuspectedField


class Ending:
    """Repeats every transaction until it is surely committed; each may be repeated unharmed."""

    def __init__(
        self,
        engine: Engine,
        settler: Settler,
        leaser: Leaser,
        retrier: Retrier,
        purpose: Purpose = "active",
    ) -> None:
        self._on_trial = purpose == "trial"
        if self._on_trial:  # the ledger says nothing of what failed on trial
            self._breaker = Breaker("fields", _TRIAL_REMEDY, lambda: None)
        else:
            before = ended_before(engine, newest_fields)
            self._breaker = Breaker("fields", _REMEDY, lambda: None, before)
        self._settler = settler
        self._leaser = leaser
        self._retrier = retrier

    def end(self, fields: Sequence[DoneField]) -> None:
        """Settle fields and count them; give suspects back to be judged alone.

        Raises:
            StoppedError: The database is away while the worker stops.
            RefusesAllError: Nearly everything was quarantined: the fault is hardly the fields'.
        """
        self._settle([field for field in fields if isinstance(field, JudgedField)])
        for field in fields:
            # Each by itself: where all of them fail, no more are quarantined than must be.
            if isinstance(field, FailedField):
                self._settle([field])
        self._give_back([field for field in fields if isinstance(field, SuspectedField)])

    def _settle(self, fields: Sequence[EndedField]) -> None:
        if not fields:
            return
        started = time.monotonic()
        ended = self._retrier.retry_until_ok(lambda: self._settler.settle(fields))
        metrics.SECONDS.labels("settle").inc(time.monotonic() - started)
        metrics.FIELDS.labels("lost").inc(len(fields) - len(ended))
        for field in ended:
            self._count(field)
        if problem := self._breaker.problem():
            raise RefusesAllError(problem)

    def _give_back(self, suspects: Sequence[SuspectedField]) -> None:
        if not suspects:
            return
        ids = [suspect.held.lease.frame_id for suspect in suspects]
        logger.warning("%d fields are judged again, each alone: %s", len(ids), suspects[0].failure)
        self._retrier.retry_until_ok(lambda: self._leaser.release(ids, suspected=True))
        metrics.FIELDS.labels("suspected").inc(len(ids))

    def _count(self, field: EndedField) -> None:
        lease = field.held.lease
        refusal = None if isinstance(field, JudgedField) else field.reason
        self._breaker.count(DeviceName(lease.site, lease.device), refusal)
        if isinstance(field, JudgedField):
            metrics.FIELDS.labels("result").inc()
            metrics.CELLS.inc(len(field.verdicts))
            return
        outcome = "failed-on-trial" if self._on_trial else "quarantined"
        logger.warning("field %s: %s, %s: %s", lease.frame_id, outcome, refusal, field.detail)
        metrics.FIELDS.labels(outcome).inc()
