"""What the inference workers write: predictions and settled frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from hemaline_cloud.database.answers import AnswerLayout, Answers
from hemaline_cloud.database.bulk import insert_rows
from hemaline_cloud.database.bundles import bundle_number
from hemaline_cloud.database.heat import pack_heats
from hemaline_cloud.database.predictions import SEPARATOR
from hemaline_cloud.database.schema import (
    Bundle,
    Cell,
    CellPredictions,
    FieldOfView,
    FieldPrediction,
    Frame,
    Slide,
    TrialJudgement,
)

_OTHERS = 5


@dataclass(frozen=True, slots=True)
class BundleRecord:
    """A model bundle as its results name it."""

    sha256: str
    bundle_id: str
    trained: bool
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a bundle said of one cell; a label alone where it is not trained."""

    label: str
    probability: float | None
    probabilities: Answers | None
    disagreement: float | None = None
    heat_map: bytes | None = None
    heat_map_width: int | None = None


@dataclass(frozen=True, slots=True)
class PredictedField:
    """What a bundle said of all cells of a field, in the order of their crops."""

    frame_id: UUID
    site: str
    cells: Sequence[Prediction]


def register_bundle(connection: Connection, bundle: BundleRecord) -> None:
    """Make a bundle known; once is enough. Whether its answers count, its appointment says."""
    row = insert(Bundle).values(
        sha256=bundle.sha256,
        bundle_id=bundle.bundle_id,
        trained=bundle.trained,
        manifest=bundle.manifest,
        first_used_at=func.now(),
    )
    connection.execute(row.on_conflict_do_nothing())


def bundle_manifest(connection: Connection, sha256: str) -> dict[str, Any]:
    """Return the manifest of a bundle that made results."""
    query = select(Bundle.manifest).where(Bundle.sha256 == sha256)
    return dict(connection.execute(query).scalar_one())


def cells_of(connection: Connection, frame_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return each field's cells in the order of their crops; a field without cells is absent."""
    query = select(Cell.frame_id, Cell.cell_id).where(Cell.frame_id.in_(frame_ids))
    cells: dict[UUID, list[UUID]] = {}
    for frame_id, cell_id in connection.execute(query.order_by(Cell.frame_id, Cell.index)):
        cells.setdefault(frame_id, []).append(cell_id)
    return cells


def other_objects(connection: Connection, frame_id: UUID) -> list[str]:
    """Return where the newest fields lie that are not quarantined, a few, without this one."""
    query = (
        select(FieldOfView.object_key)
        .join(Frame, Frame.frame_id == FieldOfView.frame_id)
        .where(FieldOfView.frame_id != frame_id, Frame.state != "quarantined")
        .order_by(FieldOfView.frame_id.desc())
        .limit(_OTHERS)
    )
    return list(connection.scalars(query))


def store_predictions(
    connection: Connection, bundle_sha256: str, fields: Sequence[PredictedField]
) -> None:
    """Write what a bundle said of the cells of fields; what it said before stands."""
    with_cells = [field for field in fields if field.cells]
    if not with_cells:
        return
    number, manifest = _bundle(connection, bundle_sha256)
    layout = AnswerLayout.of(manifest, "cell")
    rows = [
        {"frame_id": field.frame_id, "site": field.site, "bundle": number}
        | _packed(layout, field.cells)
        for field in with_cells
    ]
    connection.execute(insert(CellPredictions).on_conflict_do_nothing(), rows)


def store_field_predictions(
    connection: Connection, bundle_sha256: str, answers: Mapping[UUID, Answers]
) -> None:
    """Write what a bundle said of whole fields; what it said before stands."""
    if not answers:
        return
    number, manifest = _bundle(connection, bundle_sha256)
    layout = AnswerLayout.of(manifest, "field")
    rows = [
        {"frame_id": frame_id, "bundle": number, "probabilities": layout.pack(said)}
        for frame_id, said in answers.items()
    ]
    insert_rows(connection, FieldPrediction, rows)


def store_trial(connection: Connection, bundle_sha256: str, frame_ids: Sequence[UUID]) -> None:
    """Note that a bundle's answers about fields are of a trial."""
    number = bundle_number(connection, bundle_sha256)
    rows = [{"frame_id": frame_id, "bundle": number} for frame_id in frame_ids]
    insert_rows(connection, TrialJudgement, rows)


def settle_with_result(
    connection: Connection, bundle_sha256: str, frame_ids: Sequence[UUID]
) -> None:
    """End frames as `result`; from now on this bundle's answers count for them."""
    number = bundle_number(connection, bundle_sha256)
    judged_again = and_(Frame.state == "result", Frame.judged_by.is_distinct_from(number))
    connection.execute(
        update(Frame)
        .where(Frame.frame_id.in_(frame_ids), or_(Frame.state == "pending", judged_again))
        .values(
            state="result",
            judged_by=number,
            settled_at=func.coalesce(Frame.settled_at, func.now()),
        )
    )


def settle_quarantined(connection: Connection, frame_id: UUID, reason: str, detail: str) -> None:
    """End a frame as `quarantined`."""
    connection.execute(
        update(Frame)
        .where(Frame.frame_id == frame_id, Frame.state == "pending")
        .values(state="quarantined", reason=reason, detail=detail, settled_at=func.now())
    )


def lock_slides(connection: Connection, slide_ids: Sequence[UUID]) -> None:
    """Hold slides to the end of the transaction, before the first frame of them is settled.

    Without it two workers that finish fields of one slide at once would each count without the
    other's, and each might hold a slide that the other one waits for.
    """
    rows = select(Slide.slide_id).where(Slide.slide_id.in_(slide_ids))
    connection.execute(rows.order_by(Slide.slide_id).with_for_update(key_share=True))


def _packed(layout: AnswerLayout, cells: Sequence[Prediction]) -> dict[str, Any]:
    """Return what was said of a field's cells as columns, each None where all cells have none."""
    probabilities = [cell.probability for cell in cells]
    disagreements = [cell.disagreement for cell in cells]
    answers = [layout.pack(cell.probabilities or {}) for cell in cells]
    answered = any(cell.probabilities is not None for cell in cells)
    heats = pack_heats([cell.heat_map for cell in cells])
    return {
        "labels": SEPARATOR.join(cell.label for cell in cells),
        "probabilities": probabilities if answered else None,
        "disagreements": disagreements if any(d is not None for d in disagreements) else None,
        "answers": b"".join(answers) if answered else None,
        "heats": heats,
        "heat_map_width": max(cell.heat_map_width or 0 for cell in cells) if heats else None,
    }


def _bundle(connection: Connection, sha256: str) -> tuple[int, dict[str, Any]]:
    query = select(Bundle.number, Bundle.manifest).where(Bundle.sha256 == sha256)
    number, manifest = connection.execute(query).one()
    return number, manifest
