"""Ends fields in one transaction: predictions, ledger, slide results, and off the queue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection, Engine

from hemaline_cloud.database import counted_cells, results
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.purposes import Purpose
from hemaline_cloud.database.results import PredictedField, Prediction
from hemaline_cloud.database.revisions import append_revision
from hemaline_cloud.database.tally import read_inputs
from hemaline_cloud.database.work import complete
from hemaline_cloud.inference.bundle import ModelBundle
from hemaline_cloud.inference.places import Places
from hemaline_cloud.inference.reading import HeldField
from hemaline_cloud.inference.results import ResultMaker
from hemaline_cloud.inference.verdicts import Answers, Verdict
from hemaline_shared.errors import PermanentError


@dataclass(frozen=True, slots=True)
class JudgedField:
    """A field with a verdict for each of its cells, in crop order, and what was said of itself.

    Attributes:
        look: By which its place on the slide is known again, packed.
    """

    held: HeldField
    verdicts: Sequence[Verdict]
    answers: Answers | None = None
    look: bytes | None = None


@dataclass(frozen=True, slots=True)
class FailedField:
    """A field that no retry can help, and why."""

    held: HeldField
    reason: str
    detail: str


EndedField: TypeAlias = JudgedField | FailedField


class Settler:
    """Writes what became of fields, under the name of one worker and one bundle.

    On trial only the answers are kept: no frame is settled, no cell marked, no result made.
    """

    def __init__(
        self, engine: Engine, worker: str, bundle: ModelBundle, purpose: Purpose = "active"
    ) -> None:
        self._engine = engine
        self._worker = worker
        self._purpose = purpose
        self._bundle_sha256 = bundle.sha256
        self._results = ResultMaker(bundle.sha256, bundle.manifest)
        self._places = Places()

    def settle(self, fields: Sequence[EndedField]) -> list[EndedField]:
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

    def _settle_together(self, fields: Sequence[EndedField]) -> list[EndedField]:
        with unit_of_work(self._engine) as connection:
            ids = [field.held.lease.frame_id for field in fields]
            # First of all: it locks the queue's rows, so that whoever comes second sees it.
            ours = complete(connection, self._worker, ids)
            ended = [field for field in fields if field.held.lease.frame_id in ours]
            if self._purpose == "trial":
                judged = self._write_answers(connection, ended)
                results.store_trial(connection, self._bundle_sha256, judged)
                return ended
            slide_ids = sorted({field.held.lease.slide_id for field in ended})
            results.lock_slides(connection, slide_ids)
            self._write_fields(connection, ended)
            self._mark_cells(connection, ended)
            self._write_slides(connection, slide_ids)
        return ended

    def _write_answers(self, connection: Connection, fields: Sequence[EndedField]) -> list[UUID]:
        """Keep what was said of fields and their cells; return the fields that were judged."""
        judged = [field for field in fields if isinstance(field, JudgedField)]
        predictions = [_predicted(field) for field in judged]
        results.store_predictions(connection, self._bundle_sha256, predictions)
        answers = {field.held.lease.frame_id: field.answers for field in judged if field.answers}
        results.store_field_predictions(connection, self._bundle_sha256, answers)
        return [field.held.lease.frame_id for field in judged]

    def _write_fields(self, connection: Connection, fields: Sequence[EndedField]) -> None:
        frame_ids = self._write_answers(connection, fields)
        results.settle_with_result(connection, self._bundle_sha256, frame_ids)
        for field in fields:
            if isinstance(field, FailedField):
                frame_id = field.held.lease.frame_id
                results.settle_quarantined(connection, frame_id, field.reason, field.detail)

    def _mark_cells(self, connection: Connection, fields: Sequence[EndedField]) -> None:
        """Say which cells do not count because they were seen before."""
        judged = [field for field in fields if isinstance(field, JudgedField)]
        frames: dict[UUID, list[UUID]] = {}
        for field in judged:
            lease = field.held.lease
            frames.setdefault(lease.slide_id, []).append(lease.frame_id)
        looks = {field.held.lease.frame_id: field.look for field in judged if field.look}
        counted_cells.store_looks(connection, looks)
        for slide_id, frame_ids in sorted(frames.items()):
            self._places.mark_repeats(connection, slide_id, frame_ids)

    def _write_slides(self, connection: Connection, slide_ids: Sequence[UUID]) -> None:
        for slide_id in slide_ids:
            inputs = read_inputs(connection, slide_id)
            content = self._results.result_of(connection, inputs)
            append_revision(connection, slide_id, self._bundle_sha256, inputs, content)


def _predicted(field: JudgedField) -> PredictedField:
    of_cells = zip(field.held.cell_ids, field.verdicts, strict=True)
    cells = [_prediction(verdict) for _, verdict in of_cells]
    return PredictedField(field.held.lease.frame_id, field.held.lease.site, cells)


def _prediction(verdict: Verdict) -> Prediction:
    return Prediction(
        label=verdict.label,
        probability=verdict.probability,
        probabilities=verdict.probabilities,
        disagreement=verdict.disagreement,
        heat_map=verdict.heat_map.values if verdict.heat_map else None,
        heat_map_width=verdict.heat_map.width if verdict.heat_map else None,
    )
