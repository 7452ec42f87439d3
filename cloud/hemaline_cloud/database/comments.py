"""What people write about a slide, its fields and its cells."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, insert, select

from hemaline_cloud.database.schema import Comment


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


def add_comment(connection: Connection, comment: CommentRow) -> None:
    """Add a comment."""
    connection.execute(insert(Comment), comment._asdict())


def comments_of(connection: Connection, slide_id: UUID) -> list[CommentRow]:
    """Return all comments on a slide, its fields and its cells, oldest first."""
    query = select(*_COLUMNS).where(Comment.slide_id == slide_id).order_by(Comment.comment_id)
    return [CommentRow(*row) for row in connection.execute(query)]
