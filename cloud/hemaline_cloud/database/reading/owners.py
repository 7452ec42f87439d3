"""Whose an image is: the slide of a frame, of a cell."""

from uuid import UUID

from sqlalchemy import Connection, select

from hemaline_cloud.database.schema import Cell, Frame


def slide_of_frame(connection: Connection, frame_id: UUID) -> UUID | None:
    """Return the slide of a frame, or None where there is no such frame."""
    return connection.scalar(select(Frame.slide_id).where(Frame.frame_id == frame_id))


def slide_of_cell(connection: Connection, cell_id: UUID) -> UUID | None:
    """Return the slide of a cell, or None where there is no such cell."""
    query = select(Frame.slide_id).join(Cell, Cell.frame_id == Frame.frame_id)
    return connection.scalar(query.where(Cell.cell_id == cell_id))
