"""Signing: alone, after a second reader, and as whoever adjudicates between two readings."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, exists, insert, select
from sqlalchemy.orm import aliased

from hemaline_cloud.database.labels import NotTheReaderError
from hemaline_cloud.database.overrides import add_signed_classes
from hemaline_cloud.database.reading.cells import all_cells
from hemaline_cloud.database.reading.slides import get_slide
from hemaline_cloud.database.readings import (
    ReadingRow,
    add_reading,
    compare_readings,
    looked_before,
    readings_of,
)
from hemaline_cloud.database.reports import report_by, second_reader_reasons
from hemaline_cloud.database.review import change_review, set_reader
from hemaline_cloud.database.schema import Signature
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.report import Agreement, SignedReport
from hemaline_cloud.review.second_reading import SecondReaderReason
from hemaline_cloud.review.states import ReviewState, Transition, after
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id


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


class SecondReaderWantedError(Exception):
    """The site's policy asks for another person; nothing was signed.

    Attributes:
        reasons: Why.
        amends: Whether it was to amend what the same person had signed.
    """

    def __init__(self, reasons: Sequence[SecondReaderReason], *, amends: bool) -> None:
        super().__init__(", ".join(reasons))
        self.reasons = reasons
        self.amends = amends


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


def sign(
    connection: Connection,
    who: Principal,
    slide_id: UUID,
    revision: int,
    reason: str | None,
    *,
    keep_pattern: bool = False,
) -> SignatureRow:
    """Sign a slide's current result, or amend what was signed.

    Args:
        connection: In a transaction that holds the slide.
        who: The reader.
        slide_id: Which slide.
        revision: Of its result, as the reader saw it.
        reason: Why it amends; None for a first signature.
        keep_pattern: Whether the report tells of the pattern that the reader was shown.

    Raises:
        OtherRevisionError: The result has changed meanwhile.
        NotAllSeenError: The reader has not seen what the policy asks for.
        SecondReaderWantedError: The policy asks for another person.
        PermanentError: `not-now`; the slide's state allows no signature. `no-pattern`; there is
            none that could be kept.
    """
    _begin(connection, slide_id)
    transition = Transition.SIGN if reason is None else Transition.AMEND
    slide = get_slide(connection, slide_id)
    assert slide, "the caller holds it"
    after(slide.review, transition)
    # As the reader sees the slide: what is signed is no longer hidden from them.
    report = report_by(connection, who, slide_id, revision, keep_pattern=keep_pattern)
    change_review(connection, slide_id, transition)
    readings = readings_of(connection, slide_id)
    before = signatures_of(connection, slide_id)
    alone = before[0].signed_by == who.id if before else not readings
    reasons = second_reader_reasons(connection, report) if alone else ()
    if reasons:
        raise SecondReaderWantedError(reasons, amends=bool(before))
    amends = before[0].signature_id if before else None
    report = report.model_copy(update={"amends": amends, "reason": reason})
    if readings:
        found = compare_readings(readings, all_cells(connection, slide_id))
        report = _after(report, readings, found)
    return _add(connection, report)


def finish_reading(
    connection: Connection,
    who: Principal,
    slide_id: UUID,
    revision: int,
    *,
    asks: bool = False,
    keep_pattern: bool = False,
) -> tuple[ReadingRow, SignatureRow | None]:
    """End the first reading, or the second: where both agree, the slide is signed by it.

    Args:
        connection: In a transaction that holds the slide.
        who: The reader.
        slide_id: Which slide.
        revision: Of its result, as the reader saw it.
        asks: Whether the first reader wants another one, though the policy may not.
        keep_pattern: Of the first reading: whether a report that follows from it tells of the
            pattern that its reader was shown.

    Returns:
        The reading; and the signature: it is the first reader's, since what they said holds. None
        after the first reading, and where somebody must adjudicate.

    Raises:
        OtherRevisionError: The result has changed meanwhile.
        NotAllSeenError: The reader has not seen what the policy asks for.
        NotTheReaderError: The slide awaits its second reader, and `who` is another.
        PermanentError: `not-now`; the slide's state allows no reading, or two have read it.
            `reason-wanted`; nobody asks for a second reader.
            `no-pattern`; there is none that could be kept.
    """
    slide = get_slide(connection, slide_id)
    assert slide, "the caller holds it"
    if slide.review is ReviewState.AWAITING_SECOND_READER:
        if slide.second_reader != who.id:
            raise NotTheReaderError(slide.second_reader_name)
        report = report_by(connection, who, slide_id, revision, keep_pattern=keep_pattern)
        # From here on the transaction sees both readings.
        change_review(connection, slide_id, Transition.COMPARE_READINGS)
        (first,) = readings_of(connection, slide_id)
        second = add_reading(connection, report, 2, looked=looked_before(connection, who, first))
        found = compare_readings([first, second], all_cells(connection, slide_id))
        if not found.holds:
            return second, None
        change_review(connection, slide_id, Transition.SIGN)
        # Whose blood it is may have been put right between the two.
        update = {
            "signature_id": new_id(),
            "signed_at": second.finished_at,
            "order": report.order,
        }
        agreed = first.signed_report.model_copy(update=update)
        return second, _add(connection, _after(agreed, [first, second], found))
    if readings_of(connection, slide_id):
        raise PermanentError("not-now", "Two people have read this slide: sign it.")
    report = report_by(connection, who, slide_id, revision, keep_pattern=keep_pattern)
    if not asks and not second_reader_reasons(connection, report):
        raise PermanentError(
            "reason-wanted", "No rule of this site asks for a second reader: say why you do."
        )
    _begin(connection, slide_id)
    change_review(connection, slide_id, Transition.ASK_SECOND_READER)
    set_reader(connection, slide_id, who)
    return add_reading(connection, report, 1, looked=False), None


def _begin(connection: Connection, slide_id: UUID) -> None:
    slide = get_slide(connection, slide_id)
    if slide and slide.review is ReviewState.READY:
        change_review(connection, slide_id, Transition.BEGIN_REVIEW)


def _after(report: SignedReport, readings: Sequence[ReadingRow], found: Agreement) -> SignedReport:
    """Return a report with the two readings that went before it, and how far they agree."""
    both = tuple(reading.as_signed for reading in readings)
    return report.model_copy(update={"readings": both, "agreement": found})


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
    add_signed_classes(connection, report, all_cells(connection, report.slide_id))
    return row
