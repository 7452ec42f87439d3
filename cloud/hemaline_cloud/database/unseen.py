"""What a reader must still see before signing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, func, select

from hemaline_cloud.cell_classes import CELL_CLASSES
from hemaline_cloud.database.labels import LabelRow
from hemaline_cloud.database.policies import PolicyOfSite, policy_of
from hemaline_cloud.database.reading.cells import CellRow
from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.schema import FieldOfView, Frame
from hemaline_cloud.database.seen import seen_by
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.policy import JudgedCell, cells_to_see


@dataclass(frozen=True, slots=True)
class Unseen:
    """What a reader has yet to see.

    Attributes:
        to_see: Every cell that the policy asks for, with its reason; all of them while the
            machine's answers are hidden from the reader.
        cells: Those of them that were not seen.
        fields: How many fields are missing.
    """

    policy: PolicyOfSite
    to_see: Mapping[UUID, str]
    cells: tuple[UUID, ...]
    fields: int

    @property
    def nothing(self) -> bool:
        """Whether all was seen."""
        return not self.cells and not self.fields


class NotAllSeenError(Exception):
    """The reader has not seen what the policy asks for; nothing was signed."""

    def __init__(self, unseen: Unseen) -> None:
        super().__init__(f"{len(unseen.cells)} cells and {unseen.fields} fields are unseen")
        self.unseen = unseen


def unseen_by(
    connection: Connection,
    who: Principal,
    slide: SlideRow,
    cells: Sequence[CellRow],
    labels: Mapping[UUID, LabelRow],
) -> Unseen | None:
    """Return what a reader must still see before signing a slide's result.

    Args:
        connection: In a transaction.
        who: The reader.
        slide: With the result to be signed.
        cells: All cells of the slide.
        labels: What people call them.

    Returns:
        None while there is no result.
    """
    if slide.result is None:
        return None
    policy = policy_of(connection, slide.site)
    shown = [cell for cell in cells if not _is_copy(cell)]
    judged = [_judged(cell, labels.get(cell.cell_id)) for cell in shown]
    # A choice would tell what the machine makes of them.
    to_see = (
        dict.fromkeys((cell.cell_id for cell in shown), "machine-hidden")
        if slide.machine_hidden
        else cells_to_see(policy.policy, judged, f"{slide.slide_id} {slide.result.revision}")
    )
    seen = seen_by(connection, who, slide.slide_id, slide.result.revision)
    fields = connection.scalar(
        select(func.count())
        .select_from(FieldOfView)
        .join(Frame, Frame.frame_id == FieldOfView.frame_id)
        .where(Frame.slide_id == slide.slide_id)
    )
    asked = min(policy.policy.fields, fields or 0)
    return Unseen(
        policy,
        to_see,
        tuple(cell_id for cell_id in to_see if cell_id not in seen.cells),
        max(0, asked - len(seen.fields)),
    )


def _is_copy(cell: CellRow) -> bool:
    """Whether another cell stands for it."""
    return cell.excluded is not None and cell.same_as not in {None, cell.cell_id}


def _judged(cell: CellRow, label: LabelRow | None) -> JudgedCell:
    said = cell.probabilities or {}
    likeliest = {_top(networks.get("average")) for networks in said.values()}
    voices = {
        _top(classes)
        for network, classes in said.get(cell.task, {}).items()
        if network != "average"
    }
    called = {cell.label, label.label if label else None} | (likeliest & set(CELL_CLASSES))
    return JudgedCell(
        cell.cell_id,
        frozenset(name for name in called if name),
        cell.probability,
        disagreeing=len(voices) > 1,
    )


def _top(classes: Mapping[str, float] | None) -> str | None:
    return max(classes, key=classes.__getitem__) if classes else None
