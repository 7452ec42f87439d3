"""What bundles said of cells, taken apart: a row of `cell_predictions` holds those of a field."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import REAL, Connection, String, and_, column, func, select, true

from hemaline_cloud.database.answers import Answers
from hemaline_cloud.database.bundles import layouts_of
from hemaline_cloud.database.heat import unpack_heats
from hemaline_cloud.database.schema import CellPredictions, Frame

SEPARATOR = ","
"""Between labels: none has one in its name."""

_EACH = (
    func.unnest(
        func.string_to_array(CellPredictions.labels, SEPARATOR),
        CellPredictions.probabilities,
        CellPredictions.disagreements,
    )
    .table_valued(
        column("label", String()),
        column("probability", REAL()),
        column("disagreement", REAL()),
        with_ordinality="place",
    )
    .render_derived()
)

PREDICTED = (
    select(
        CellPredictions.frame_id,
        CellPredictions.bundle,
        (_EACH.c.place - 1).label("index"),
        _EACH.c.label,
        _EACH.c.probability,
        _EACH.c.disagreement,
    )
    .join(_EACH, true())
    .subquery("predicted")
)
"""A row for each cell and bundle; `index` is the cell's, and null is what was not said."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a field's bundle said of one cell: every answer, and a heat map with its width."""

    answers: Answers | None
    heat: bytes | None
    heat_map_width: int | None


def said_of_cells(connection: Connection, frame_ids: Collection[UUID]) -> dict[UUID, list[Said]]:
    """Return what the bundles whose answers count said of each cell of some fields, by `index`.

    A field that no bundle has judged is absent.
    """
    query = select(CellPredictions).join(
        Frame,
        and_(Frame.frame_id == CellPredictions.frame_id, Frame.judged_by == CellPredictions.bundle),
    )
    rows = connection.execute(query.where(CellPredictions.frame_id.in_(frame_ids))).all()
    layouts = layouts_of(connection, {row.bundle for row in rows}, "cell")
    said = {}
    for row in rows:
        cells = row.labels.count(SEPARATOR) + 1
        layout, nothing = layouts[row.bundle], [None] * cells
        answers = map(layout.unpack, layout.split(row.answers)) if row.answers else nothing
        heats = unpack_heats(row.heats, row.heat_map_width, cells) if row.heats else nothing
        said[row.frame_id] = [
            Said(answer or None, heat, row.heat_map_width if heat else None)
            for answer, heat in zip(answers, heats, strict=True)
        ]
    return said
