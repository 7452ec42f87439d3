"""What people say of cells and slides, as the API takes and answers it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hemaline_cloud.cell_classes import CellClass


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelView(_View):
    """What a person called a cell. It outranks the model's label."""

    cell_id: UUID
    label: CellClass | None = Field(description="Null: taken back, or never given.")
    version: int = Field(description="Counts the changes; 0: no person has labelled this cell.")
    by_name: str | None
    at: datetime | None
    undone: bool = Field(description="Whether it took an act back.")


class CellLabels(_View):
    """A cell's label by people, and all that went before it, the newest first."""

    current: LabelView
    history: list[LabelView]


class LabelsView(_View):
    """The labels of an act."""

    labels: list[LabelView]


class LabelBody(_Body):
    """What to call one cell."""

    label: CellClass


class CellLabelBody(_Body):
    """What to call one of many cells."""

    cell_id: UUID
    label: CellClass
    version: int = Field(
        ge=0, lt=2**31, description="Of its label as you saw it; 0: none. Else 412."
    )


class LabelsBody(_Body):
    """What to call many cells of one slide, in one act: all of them or none."""

    labels: list[CellLabelBody] = Field(min_length=1, max_length=500)


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=4000, strip_whitespace=True, pattern=r"^[^\x00]*$"),
]


class CommentBody(_Body):
    """A comment."""

    text: Text


class CommentView(_View):
    """What a person wrote about a slide, or about one of its fields or cells."""

    comment_id: UUID
    slide_id: UUID
    frame_id: UUID | None = Field(description="Of a comment on a field or a cell.")
    cell_id: UUID | None
    text: str
    by_name: str
    at: datetime


class CommentsView(_View):
    """All comments on a slide, its fields and its cells, oldest first."""

    comments: list[CommentView]
