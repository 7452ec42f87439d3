"""The report that a reader would sign now, and whether the policy lets one person sign it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection, func, select

from hemaline_cloud.database.added_cells import AddedCellRow, added_cells
from hemaline_cloud.database.labels import LabelRow, labels_of_slide
from hemaline_cloud.database.morphology import newest_morphology
from hemaline_cloud.database.orders import get_order
from hemaline_cloud.database.patterns import slide_patterns
from hemaline_cloud.database.policies import policy_of
from hemaline_cloud.database.reading.cells import CellRow, all_cells
from hemaline_cloud.database.reading.machine import machine_shown, named_cells
from hemaline_cloud.database.reading.slides import ResultRow, SlideRow, get_slide
from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.database.unseen import NotAllSeenError, unseen_by
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.policy import MachineRule
from hemaline_cloud.review.reader_counts import BESIDE, ReadSoFar, recounted, summary_by_reader
from hemaline_cloud.review.report import (
    MachineWhileRead,
    SignedAddedCell,
    SignedLabel,
    SignedOrder,
    SignedReport,
    count_by_class,
)
from hemaline_cloud.review.second_reading import SecondReaderReason, why_second_reader
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import accession, new_id


class OtherRevisionError(Exception):
    """The result is no longer, or never was, of the revision that was to be signed."""

    def __init__(self, current: int | None) -> None:
        super().__init__(f"the current revision is {current}")
        self.current = current


def report_by(
    connection: Connection,
    who: Principal,
    slide_id: UUID,
    revision: int,
    *,
    keep_pattern: bool = False,
) -> SignedReport:
    """Return the report that a reader stands behind now, having seen what the policy asks for.

    Args:
        connection: In a transaction that holds the slide.
        who: The reader.
        slide_id: Which slide.
        revision: Of its result, as the reader saw it.
        keep_pattern: Whether the report tells of the pattern that the reader was shown.

    Raises:
        OtherRevisionError: The result has changed meanwhile.
        NotAllSeenError: The reader has not seen what the policy asks for.
        PermanentError: `no-pattern`; the reader was shown none that the report could tell of.
    """
    slide = get_slide(connection, slide_id)
    assert slide, "the caller holds it"
    result = slide.result
    if result is None or result.revision != revision:
        raise OtherRevisionError(result.revision if result else None)
    cells = all_cells(connection, slide_id)
    labels = labels_of_slide(connection, slide_id)
    added = added_cells(connection, slide_id)
    unseen = unseen_by(connection, who, slide, cells, labels)
    assert unseen, "there is a result"
    if not unseen.nothing:
        raise NotAllSeenError(unseen)
    patterns = slide_patterns(connection, slide, read_so_far(slide, cells, labels, added))
    assessed = newest_morphology(connection, slide_id)
    now = connection.scalar(select(func.now()))
    assert now
    judged = cells
    if slide.machine_hidden:
        with machine_shown(connection, slide_id):
            shown, judged = get_slide(connection, slide_id), all_cells(connection, slide_id)
        assert shown, "the caller holds it"
        assert shown.result, "it is the same as above"
        result = shown.result
    report = SignedReport(
        signature_id=new_id(),
        slide_id=slide_id,
        accession=accession(slide_id),
        specimen_id=slide.specimen_id,
        slide_name=slide.slide_name,
        site=slide.site,
        device=slide.device,
        simulated=slide.simulated,
        **_of_result(result),
        cells_by_model=count_by_class(cell.label for cell in judged if cell.excluded is None),
        cells_by_reader=_by_reader(cells, labels, added),
        added=tuple(SignedAddedCell.model_validate(row._asdict()) for row in added),
        order=order_to_sign(connection, slide),
        labels=tuple(_signed_label(row) for row in labels.values()),
        policy_version=unseen.policy.version,
        cells_to_see=dict(sorted(Counter(unseen.to_see.values()).items())),
        signed_by=who.id,
        signed_by_name=who.name,
        signed_at=now,
        morphology=assessed.content if assessed else None,
        machine=_machine_while_read(
            unseen.policy.policy.machine,
            hidden=slide.machine_hidden,
            named=named_cells(connection, slide_id).named,
        ),
        patterns=patterns,
        pattern_kept=keep_pattern,
    )
    if keep_pattern and not report.kept_patterns:
        raise PermanentError("no-pattern", "Not signed: there is no pattern that could be kept.")
    return report


def order_to_sign(connection: Connection, slide: SlideRow) -> SignedOrder | None:
    """Return what a slide is linked to now, as a report names it."""
    order = get_order(connection, slide.order_id) if slide.order_id else None
    if order is None:
        return None
    return SignedOrder(
        order_id=order.order_id,
        barcode=order.barcode,
        patient_id=order.patient_id,
        blood_count=order.counted,
    )


def second_reader_reasons(
    connection: Connection, report: SignedReport
) -> tuple[SecondReaderReason, ...]:
    """Return why the site's policy asks for a second reader of a report; empty: it does not."""
    rule = policy_of(connection, report.site).policy.second_reader
    return why_second_reader(rule, summary_by_reader(report)) if rule else ()


def read_so_far(
    slide: SlideRow,
    cells: Sequence[CellRow],
    labels: Mapping[UUID, LabelRow],
    added: Sequence[AddedCellRow],
) -> ReadSoFar | None:
    """Return a slide's result as people call its cells now; None before there is one.

    Args:
        slide: Which slide.
        cells: All of the slide.
        labels: What people call them.
        added: Cells that people added.
    """
    if slide.result is None:
        return None
    summary = SlideSummary.model_validate(slide.result.content)
    if labels or added:
        counts = _by_reader(cells, labels, added)
        summary = recounted(summary, counts, alone=slide.machine_hidden)
    said = [
        labels[cell.cell_id].label
        for cell in cells
        if cell.excluded is None and cell.cell_id in labels
    ]
    named = [*said, *(row.label for row in added)]
    leukocytes = sum(label not in BESIDE for label in named)
    return ReadSoFar(len(labels) + len(added), summary, leukocytes)


def _of_result(result: ResultRow) -> dict[str, object]:
    return {
        "revision": result.revision,
        "computed_at": result.computed_at,
        "bundle_id": result.bundle_id,
        "bundle_sha256": result.bundle_sha256,
        "trained": result.trained,
        "result": result.content,
    }


def _by_reader(
    cells: Sequence[CellRow], labels: Mapping[UUID, LabelRow], added: Sequence[AddedCellRow]
) -> dict[str, int]:
    """Count cells as people call them, else as the machine does, where the reader knows that."""
    found = [
        labels[cell.cell_id].label if cell.cell_id in labels else cell.label
        for cell in cells
        if cell.excluded is None
    ]
    return count_by_class([*found, *(row.label for row in added)])


def _machine_while_read(rule: MachineRule, *, hidden: bool, named: int) -> MachineWhileRead:
    by_lot = rule.order == "by-lot"
    return MachineWhileRead(
        hidden=hidden,
        order=rule.order,
        hidden_from_second=rule.hidden_from_second,
        seed=rule.seed if by_lot else None,
        hidden_share=rule.hidden_share if by_lot else None,
        after_cells=rule.after_cells if rule.order == "after-own" else None,
        named=named,
    )


def _signed_label(row: LabelRow) -> SignedLabel:
    assert row.label, "what was taken back is left out"
    return SignedLabel(cell_id=row.cell_id, label=row.label, by=row.by, by_name=row.by_name)
