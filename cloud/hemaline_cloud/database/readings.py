"""Two readings of a slide: the second person sees nothing of what the first one said.

That is PostgreSQL's own rule (`may_know`, migration 0052): while a slide awaits its second reader,
labels, comments and readings are shown to their author alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, exists, func, insert, select, update

from hemaline_cloud.database.audit import READ
from hemaline_cloud.database.labels import NotTheReaderError
from hemaline_cloud.database.reading.cells import CellRow
from hemaline_cloud.database.schema import AuditEvent, CellLabel, Comment, Reading, Slide
from hemaline_cloud.database.summary import SlideSummary
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.reader_counts import recounted
from hemaline_cloud.review.report import Agreement, SignedReading, SignedReport
from hemaline_cloud.review.second_reading import ReadCells, agreement


class ReadingRow(NamedTuple):
    """One finished reading; see `Reading`."""

    reading_id: UUID
    slide_id: UUID
    site: str
    number: int
    revision: int
    reader: str
    reader_name: str
    finished_at: datetime
    report: str
    looked_before: bool

    @property
    def signed_report(self) -> SignedReport:
        """What this reader would have signed."""
        return SignedReport.model_validate_json(self.report)

    @property
    def as_signed(self) -> SignedReading:
        """What a signature keeps of it."""
        return SignedReading(
            reader=self.reader,
            reader_name=self.reader_name,
            finished_at=self.finished_at,
            revision=self.revision,
            cells_by_reader=self.signed_report.cells_by_reader,
            looked_before=self.looked_before,
            machine=self.signed_report.machine,
        )


class NotBlindError(Exception):
    """Whoever was to read a slide as the second person has had a part in the first reading."""


_COLUMNS = tuple(getattr(Reading, name) for name in ReadingRow._fields)


def readings_of(connection: Connection, slide_id: UUID) -> list[ReadingRow]:
    """Return the finished readings of a slide, the first reader's first: none, one, or two."""
    query = select(*_COLUMNS).where(Reading.slide_id == slide_id).order_by(Reading.number)
    return [ReadingRow(*row) for row in connection.execute(query)]


def add_reading(
    connection: Connection, report: SignedReport, number: int, *, looked: bool
) -> ReadingRow:
    """Keep what a reader said: 1 the first, 2 the second; `looked`: see `Reading`."""
    row = ReadingRow(
        reading_id=report.signature_id,
        slide_id=report.slide_id,
        site=report.site,
        number=number,
        revision=report.revision,
        reader=report.signed_by,
        reader_name=report.signed_by_name,
        finished_at=report.signed_at,
        report=report.model_dump_json(),
        looked_before=looked,
    )
    connection.execute(insert(Reading), row._asdict())
    return row


def begin_second_reading(connection: Connection, who: Principal, slide_id: UUID) -> None:
    """Let a person be a slide's second reader.

    Args:
        connection: In a transaction that holds the slide, which awaits its second reader.
        who: The person.
        slide_id: Which slide.

    Raises:
        NotBlindError: They are its first reader, or have said something of its cells.
        NotTheReaderError: Another person has begun.
    """
    slide = connection.execute(
        select(Slide.reader, Slide.second_reader, Slide.second_reader_name).where(
            Slide.slide_id == slide_id
        )
    ).one()
    if slide.second_reader not in {None, who.id}:
        raise NotTheReaderError(slide.second_reader_name)
    if slide.second_reader == who.id:
        return
    said = exists().where(
        CellLabel.slide_id == slide_id, CellLabel.reading == 1, CellLabel.by == who.id
    )
    written = exists().where(Comment.slide_id == slide_id, Comment.by == who.id)
    if slide.reader == who.id or connection.scalar(select(said | written)):
        raise NotBlindError
    _set_second_reader(
        connection,
        slide_id,
        second_reader=who.id,
        second_reader_name=who.name,
        readings_begun=Slide.readings_begun + 1,
    )


def leave_second_reading(connection: Connection, who: Principal, slide_id: UUID) -> None:
    """Give a slide back to whoever else reads it second; what `who` said of it holds nowhere.

    Raises:
        NotTheReaderError: They are not its second reader.
    """
    slide = connection.execute(
        select(Slide.second_reader, Slide.second_reader_name).where(Slide.slide_id == slide_id)
    ).one()
    if slide.second_reader != who.id:
        raise NotTheReaderError(slide.second_reader_name)
    _set_second_reader(connection, slide_id, second_reader=None, second_reader_name=None)


def looked_before(connection: Connection, who: Principal, first: ReadingRow) -> bool:
    """Whether the audit shows that a second reader had opened a slide with the first one's labels.

    Args:
        connection: In a transaction that sees the first reader's labels.
        who: The second reader.
        first: What the first one said.
    """
    labelled = select(func.min(CellLabel.at)).where(
        CellLabel.slide_id == first.slide_id, CellLabel.reading == 1
    )
    looked = exists().where(
        AuditEvent.slide_id == first.slide_id,
        AuditEvent.actor == who.id,
        AuditEvent.action == READ,
        AuditEvent.at > labelled.scalar_subquery(),
        AuditEvent.at < first.finished_at,
    )
    return bool(connection.scalar(select(looked)))


def compare_readings(readings: Sequence[ReadingRow], cells: Sequence[CellRow]) -> Agreement:
    """Return how far the two readings of a slide agree; `cells` are all of the slide."""
    first, second = (reading.signed_report for reading in readings)
    counted = [cell for cell in cells if cell.excluded is None]
    # Where one of them read without the model's thresholds, both are held against the same.
    alone = first.alone or second.alone
    return agreement(
        _read_cells(first, counted),
        _read_cells(second, counted),
        (_recounted(first, alone=alone).blasts, _recounted(second, alone=alone).blasts),
        same_revision=first.revision == second.revision,
    )


def _read_cells(report: SignedReport, cells: Sequence[CellRow]) -> ReadCells:
    """Return how a reader calls the cells: whoever read alone calls what they left as nothing."""
    labels = {label.cell_id: label.label for label in report.labels}
    return {
        cell.cell_id: labels.get(cell.cell_id, None if report.alone else cell.label)
        for cell in cells
    }


def _recounted(report: SignedReport, *, alone: bool) -> SlideSummary:
    summary = SlideSummary.model_validate(report.result)
    return recounted(summary, report.cells_by_reader, alone=alone)


def _set_second_reader(connection: Connection, slide_id: UUID, **values: object) -> None:
    connection.execute(update(Slide).where(Slide.slide_id == slide_id).values(**values))
