"""How people grade red cells and platelets: added, never changed; the newest of a slide holds."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.review import count_reported_change
from hemaline_cloud.database.schema import MorphologyAssessment, Slide
from hemaline_cloud.principal import Principal
from hemaline_cloud.review.morphology import Morphology
from hemaline_cloud.review.states import ReviewState
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id


class MorphologyRow(NamedTuple):
    """One assessment; see `MorphologyAssessment`."""

    assessment_id: UUID
    slide_id: UUID
    site: str
    version: int
    content: Morphology
    by: str
    by_name: str
    at: datetime


class AssessedMeanwhileError(Exception):
    """Somebody assessed the slide meanwhile; nothing was changed.

    Attributes:
        now: The newest assessment; None: there is none.
    """

    def __init__(self, now: MorphologyRow | None) -> None:
        super().__init__(f"version {now.version if now else 0} is the newest")
        self.now = now


_COLUMNS = tuple(getattr(MorphologyAssessment, name) for name in MorphologyRow._fields)


def newest_morphology(connection: Connection, slide_id: UUID) -> MorphologyRow | None:
    """Return how people grade a slide now; None: nobody has."""
    query = (
        select(*_COLUMNS)
        .where(MorphologyAssessment.slide_id == slide_id)
        .order_by(MorphologyAssessment.version.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return MorphologyRow(*row)._replace(content=Morphology.model_validate(row.content))


def assess_morphology(
    connection: Connection, who: Principal, slide: SlideRow, content: Morphology, version: int
) -> MorphologyRow:
    """Grade a slide's red cells and platelets.

    Args:
        connection: In a transaction; the slide is held to its end.
        who: The person.
        slide: Which slide.
        content: All that they say of it: it takes the place of what was said before.
        version: Of the assessment that they saw; 0: none.

    Raises:
        PermanentError: `not-now`; the slide awaits its second reader.
        AssessedMeanwhileError: Another assessment is the newest.
    """
    held = select(Slide.review).where(Slide.slide_id == slide.slide_id)
    state = connection.scalar(held.with_for_update(key_share=True))
    if state == ReviewState.AWAITING_SECOND_READER.value:
        raise PermanentError(
            "not-now",
            "This slide awaits its second reader, who reads the white cells: red cells and"
            " platelets are graded before that, or after it.",
        )
    newest = newest_morphology(connection, slide.slide_id)
    if (newest.version if newest else 0) != version:
        raise AssessedMeanwhileError(newest)
    now = connection.scalar(select(func.now()))
    assert now
    row = MorphologyRow(
        assessment_id=new_id(),
        slide_id=slide.slide_id,
        site=slide.site,
        version=version + 1,
        content=content,
        by=who.id,
        by_name=who.name,
        at=now,
    )
    written = row._asdict() | {"content": content.model_dump(mode="json")}
    connection.execute(insert(MorphologyAssessment), written)
    count_reported_change(connection, slide.slide_id)
    return row
