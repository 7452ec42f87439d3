"""Ends fields in one transaction: predictions, ledger, slide results, and off the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import Connection, Engine

from hemaline_cloud.database import results
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.results import Prediction
from hemaline_cloud.database.work import complete
from hemaline_cloud.inference.aggregate import roles_of, summarise
from hemaline_cloud.inference.bundle import ModelBundle
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.inference.verdicts import Verdict
from hemaline_shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class JudgedField:
    """A field with a verdict for each of its cells, in crop order."""

    held: HeldField
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class FailedField:
    """A field that no retry can help, and why."""

    held: HeldField
    reason: str
    detail: str


Settled: TypeAlias = JudgedField | FailedField


class Settler:
    """Writes what became of fields, under the name of one worker and one bundle."""

    def __init__(self, engine: Engine, worker: str, bundle: ModelBundle) -> None:
        self._engine = engine
        self._worker = worker
        self._bundle_sha256 = bundle.sha256
        self._roles = roles_of(bundle.manifest)

    def settle(self, fields: Sequence[Settled]) -> list[Settled]:
        """End fields; return those that ended, which may differ from what was asked.

        A field that another worker took over meanwhile is dropped: the other's result counts.
        A field that the database refuses ends as failed, without its neighbours.

        Raises:
            TransientError: Nothing is certain; the same call may be repeated.
        """
        try:
            return self._settle_together(fields)
        except PermanentError as error:
            if len(fields) > 1:
                return [ended for field in fields for ended in self.settle([field])]
            if isinstance(fields[0], FailedField):
                raise
            return self._settle_together([FailedField(fields[0].held, error.reason, str(error))])

    def _settle_together(self, fields: Sequence[Settled]) -> list[Settled]:
        with unit_of_work(self._engine) as connection:
            ids = [field.held.lease.frame_id for field in fields]
            # First of all: it locks the queue's rows, so that whoever comes second sees it.
            ours = complete(connection, self._worker, ids)
            ended = [field for field in fields if field.held.lease.frame_id in ours]
            self._write_fields(connection, ended)
            self._write_slides(connection, ended)
        return ended

    def _write_fields(self, connection: Connection, fields: Sequence[Settled]) -> None:
        judged = [field for field in fields if isinstance(field, JudgedField)]
        predictions = [
            Prediction(cell_id, verdict.label, verdict.probability, verdict.probabilities)
            for field in judged
            for cell_id, verdict in zip(field.held.cell_ids, field.verdicts, strict=True)
        ]
        results.store_predictions(connection, self._bundle_sha256, predictions)
        results.settle_with_result(connection, [field.held.lease.frame_id for field in judged])
        for field in fields:
            if isinstance(field, FailedField):
                frame_id = field.held.lease.frame_id
                results.settle_quarantined(connection, frame_id, field.reason, field.detail)

    def _write_slides(self, connection: Connection, fields: Sequence[Settled]) -> None:
        slide_ids = sorted({field.held.lease.slide_id for field in fields})
        results.lock_slides(connection, slide_ids)
        for slide_id in slide_ids:
            summary = summarise(results.tally(connection, slide_id), self._roles)
            content = summary.model_dump(mode="json")
            results.save_slide_result(connection, slide_id, self._bundle_sha256, content)
