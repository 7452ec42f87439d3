"""What people write about a slide, its fields and its cells."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, func, insert, select

from hemaline_cloud.database.reading.slides import SlideRow
from hemaline_cloud.database.schema import Comment
from hemaline_cloud.principal import Principal
from hemaline_shared.ids import new_id


class CommentRow(NamedTuple):
    """One comment; see `Comment`."""

    comment_id: UUID
    slide_id: UUID
    frame_id: UUID | None
    cell_id: UUID | None
    site: str
    text: str
    by: str
    by_name: str
    at: datetime


_COLUMNS = tuple(getattr(Comment, name) for name in CommentRow._fields)


def add_comment(
    connection: Connection,
    who: Principal,
    slide: SlideRow,
    text: str,
    *,
    frame_id: UUID | None = None,
    cell_id: UUID | None = None,
) -> CommentRow:
    """Add a comment on a slide, or on one of its fields or cells.

    Args:
        connection: In a transaction.
        who: Whoever writes it.
        slide: Which slide.
        text: What they write.
        frame_id: Of the field that it is about, also where it is about one of its cells.
        cell_id: Of the cell that it is about.
    """
    now = connection.scalar(select(func.now()))
    assert now
    row = CommentRow(
        comment_id=new_id(),
        slide_id=slide.slide_id,
        frame_id=frame_id,
        cell_id=cell_id,
        site=slide.site,
        text=text,
        by=who.id,
        by_name=who.name,
        at=now,
    )
    connection.execute(insert(Comment), row._asdict())
    return row


def comments_of(connection: Connection, slide_id: UUID) -> list[CommentRow]:
    """Return all comments on a slide, its fields and its cells, oldest first."""
    query = select(*_COLUMNS).where(Comment.slide_id == slide_id).order_by(Comment.comment_id)
    return [CommentRow(*row) for row in connection.execute(query)]
