"""Signing: what the reader must have seen, and the report that a signature freezes."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, exists, func, insert, select
from sqlalchemy.orm import aliased

from hemaline_cloud.cell_classes import CELL_CLASSES
from hemaline_cloud.database.labels import LabelRow, relabelled
from hemaline_cloud.database.policies import PolicyOfSite, policy_of
from hemaline_cloud.database.reading.cells import CellRow, all_cells
from hemaline_cloud.database.reading.slides import ResultRow, SlideRow, get_slide
from hemaline_cloud.database.review import change_review
from hemaline_cloud.database.schema import FieldOfView, Frame, Signature
from hemaline_cloud.database.seen import seen_by
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.policy import JudgedCell, cells_to_see
from hemaline_cloud.review.report import SignedLabel, SignedReport, count_by_class
from hemaline_cloud.review.states import ReviewState, Transition
from hemaline_shared.ids import accession, new_id


class SignatureRow(NamedTuple):
    """One signature; see `Signature`."""

    signature_id: UUID
    slide_id: UUID
    site: str
    revision: int
    signed_by: str
    signed_by_name: str
    signed_at: datetime
    amends: UUID | None
    reason: str | None
    policy_version: int
    report_sha256: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """What a reader has yet to see.

    Attributes:
        to_see: Every cell that the policy asks for, with its reason.
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


class OtherRevisionError(Exception):
    """The result is no longer, or never was, of the revision that was to be signed."""

    def __init__(self, current: int | None) -> None:
        super().__init__(f"the current revision is {current}")
        self.current = current


_COLUMNS = tuple(getattr(Signature, name) for name in SignatureRow._fields)


def signatures_of(connection: Connection, slide_id: UUID) -> list[SignatureRow]:
    """Return the signatures of a slide, the one that holds first."""
    query = select(*_COLUMNS).where(Signature.slide_id == slide_id)
    query = query.order_by(Signature.signed_at.desc(), Signature.signature_id.desc())
    return [SignatureRow(*row) for row in connection.execute(query)]


def signed_report(connection: Connection, slide_id: UUID, signature_id: UUID) -> str | None:
    """Return a report as it was signed, or None."""
    query = select(Signature.report).where(
        Signature.slide_id == slide_id, Signature.signature_id == signature_id
    )
    return connection.scalar(query)


def signed_reports(connection: Connection, slide_ids: Sequence[UUID]) -> dict[UUID, SignedReport]:
    """Return, of each slide that is signed, the report that holds."""
    later = aliased(Signature)
    query = select(Signature.slide_id, Signature.report).where(
        Signature.slide_id.in_(slide_ids),
        ~exists().where(later.amends == Signature.signature_id),
    )
    rows = connection.execute(query) if slide_ids else ()
    return {row[0]: SignedReport.model_validate_json(row[1]) for row in rows}


def signed_slides(connection: Connection) -> list[UUID]:
    """Return the slides that somebody has signed, by their ids."""
    query = select(Signature.slide_id).where(Signature.amends.is_(None))
    return list(connection.scalars(query.order_by(Signature.slide_id)))


def unseen_by(
    connection: Connection, who: Principal, slide: SlideRow, cells: Sequence[CellRow]
) -> Unseen | None:
    """Return what a reader must still see before signing a slide's result.

    Args:
        connection: In a transaction.
        who: The reader.
        slide: With the result to be signed.
        cells: All cells of the slide.

    Returns:
        None while there is no result.
    """
    if slide.result is None:
        return None
    return _unseen(connection, who, slide, slide.result, cells, _labels(connection, slide.slide_id))


def sign(
    connection: Connection, who: Principal, slide_id: UUID, revision: int, reason: str | None
) -> SignatureRow:
    """Sign a slide's current result, or amend what was signed.

    Args:
        connection: In a transaction that holds the slide.
        who: The reader.
        slide_id: Which slide.
        revision: Of its result, as the reader saw it.
        reason: Why it amends; None for a first signature.

    Raises:
        OtherRevisionError: The result has changed meanwhile.
        NotAllSeenError: The reader has not seen what the policy asks for.
        PermanentError: `not-now`; the slide's state allows no signature.
    """
    slide = get_slide(connection, slide_id)
    assert slide, "the caller holds it"
    result = slide.result
    if result is None or result.revision != revision:
        raise OtherRevisionError(result.revision if result else None)
    if slide.review is ReviewState.READY:
        change_review(connection, slide_id, Transition.BEGIN_REVIEW)
    change_review(connection, slide_id, Transition.SIGN if reason is None else Transition.AMEND)
    cells = all_cells(connection, slide_id)
    labels = _labels(connection, slide_id)
    unseen = _unseen(connection, who, slide, result, cells, labels)
    if not unseen.nothing:
        raise NotAllSeenError(unseen)
    before = signatures_of(connection, slide_id)
    now = connection.scalar(select(func.now()))
    assert now
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
        **_counts(cells, labels),
        labels=tuple(_signed_label(row) for row in labels.values()),
        policy_version=unseen.policy.version,
        cells_to_see=dict(sorted(Counter(unseen.to_see.values()).items())),
        signed_by=who.id,
        signed_by_name=who.name,
        signed_at=now,
        amends=before[0].signature_id if before else None,
        reason=reason,
    )
    return _add(connection, report)


def _add(connection: Connection, report: SignedReport) -> SignatureRow:
    written = report.model_dump_json()
    row = SignatureRow(
        signature_id=report.signature_id,
        slide_id=report.slide_id,
        site=report.site,
        revision=report.revision,
        signed_by=report.signed_by,
        signed_by_name=report.signed_by_name,
        signed_at=report.signed_at,
        amends=report.amends,
        reason=report.reason,
        policy_version=report.policy_version,
        report_sha256=hashlib.sha256(written.encode()).hexdigest(),
    )
    connection.execute(insert(Signature), {**row._asdict(), "report": written})
    return row


def _unseen(
    connection: Connection,
    who: Principal,
    slide: SlideRow,
    result: ResultRow,
    cells: Sequence[CellRow],
    labels: Mapping[UUID, LabelRow],
) -> Unseen:
    policy = policy_of(connection, slide.site)
    judged = [_judged(cell, labels.get(cell.cell_id)) for cell in cells if not _is_copy(cell)]
    to_see = cells_to_see(policy.policy, judged, f"{slide.slide_id} {result.revision}")
    seen = seen_by(connection, who, slide.slide_id, result.revision)
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


def _labels(connection: Connection, slide_id: UUID) -> dict[UUID, LabelRow]:
    rows = relabelled(connection, [slide_id]).get(slide_id, [])
    return {row.cell_id: row for row in rows}


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


def _of_result(result: ResultRow) -> dict[str, object]:
    return {
        "revision": result.revision,
        "computed_at": result.computed_at,
        "bundle_id": result.bundle_id,
        "bundle_sha256": result.bundle_sha256,
        "trained": result.trained,
        "result": result.content,
    }


def _counts(cells: Sequence[CellRow], labels: Mapping[UUID, LabelRow]) -> dict[str, dict[str, int]]:
    counted = [cell for cell in cells if cell.excluded is None]
    by_reader = [
        labels[cell.cell_id].label if cell.cell_id in labels else cell.label for cell in counted
    ]
    return {
        "cells_by_model": count_by_class(cell.label for cell in counted),
        "cells_by_reader": count_by_class(by_reader),
    }


def _signed_label(row: LabelRow) -> SignedLabel:
    assert row.label, "what was taken back is left out"
    return SignedLabel(cell_id=row.cell_id, label=row.label, by=row.by, by_name=row.by_name)
