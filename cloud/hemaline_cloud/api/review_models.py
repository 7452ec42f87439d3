"""What people say of cells and slides, as the API takes and answers it."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hemaline_cloud.cell_classes import CellClass
from hemaline_cloud.database.summary import BesideShare, BlastShare
from hemaline_cloud.patterns.result import SlidePatterns
from hemaline_cloud.review.morphology import (
    Grade,
    PlateletEstimate,
    PlateletFinding,
    RedCellFinding,
)
from hemaline_cloud.review.policy import ReadingOrder
from hemaline_cloud.review.reader_counts import ReadShare
from hemaline_cloud.review.second_reading import SecondReaderReason
from hemaline_cloud.review.states import ReviewState


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
    StringConstraints(
        min_length=1,
        max_length=4000,
        strip_whitespace=True,
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
    ),
]


Reason = Literal["class", "doubt", "disagreement", "lot", "machine-hidden"]


class CellToSee(_View):
    """A cell that the site's policy asks a reader to see before signing."""

    cell_id: UUID
    reason: Reason = Field(
        description="Why: its class, its doubt, networks that differ, by lot; or because the "
        "machine's answers are hidden, when all must be seen."
    )
    seen: bool = Field(description="By you, at this revision.")


class SignatureView(_View):
    """Somebody stood behind one revision of a slide's result."""

    signature_id: UUID
    revision: int
    signed_by_name: str
    signed_at: datetime
    amends: UUID | None = Field(description="The signature that it takes the place of.")
    reason: str | None = Field(description="Why it amends.")
    policy_version: int
    report_sha256: str
    report: str = Field(description="Where the report lies, as it was signed.")


class AgreementView(_View):
    """How far two readings of the same cells agree."""

    kappa: dict[str, float | None] = Field(
        description="Class -> Cohen's kappa; null: both readers gave it to every cell."
    )
    cells_differing: list[UUID] = Field(description="Cells that they name differently.")
    blasts_differing: list[UUID] = Field(description="Blasts for one of them alone.")
    thresholds_differing: list[str] = Field(description="Passed by one of the counts alone.")
    same_revision: bool
    holds: bool = Field(description="Whether the slide needed no adjudication.")


class ReadingView(_View):
    """What one of two readers said of a slide before either knew the other's."""

    number: int = Field(description="1: the first reader's; 2: the second's.")
    revision: int
    reader_name: str
    finished_at: datetime
    looked_before: bool = Field(
        description="Whether the second reader had opened the slide while labels of the first "
        "one were on it, by the audit."
    )
    cells_by_class: dict[str, int]
    labels: dict[UUID, CellClass] = Field(description="Cell -> what people called it.")


class ReadingsView(_View):
    """The finished readings of a slide: your own alone while it awaits its second reader."""

    readings: list[ReadingView]
    agreement: AgreementView | None = Field(description="Null before there are two.")


class ReadingBody(_Body):
    """End your reading of a revision."""

    revision: int = Field(ge=1, lt=2**31)
    reason: Text | None = Field(
        default=None,
        description="Why you ask a colleague, where the site's policy asks for none. It stands "
        "among the comments, which the colleague reads once both have finished.",
    )
    keep_pattern: bool = Field(
        default=False,
        description="Of the first reading: whether a report that follows from it tells of the "
        "patterns that the count fits.",
    )


class ReadingFinished(_View):
    """What follows on a reading."""

    state: ReviewState = Field(
        description="`awaiting-second-reader`; or, after the second, `signed` where both agree, "
        "and `in-review` where somebody must adjudicate."
    )
    version: int
    signature: SignatureView | None


class ReadSoFarView(_View):
    """The shares as people call the cells now: as a signature would freeze them."""

    named: int = Field(description="How many cells people have named; 0: all is the model's.")
    differential: list[ReadShare]
    beside: list[BesideShare]
    blasts: BlastShare | None


class MachineView(_View):
    """When you are shown the machine's answers about a slide."""

    hidden: bool
    order: ReadingOrder = Field(
        description="The site's reading order. `at-once`; `after-own`: once you have named "
        "`to_name` cells; `by-lot`: where the lot draws the slide, once it is signed."
    )
    hidden_from_second: bool = Field(
        description="Whether a second reader is shown nothing before they have finished."
    )
    named: int = Field(description="How many of its cells you have named.")
    to_name: int | None = Field(description="Of `after-own`; null: another order holds.")


class ReviewView(_View):
    """How far the review of a slide is, and what you must still see before you sign."""

    slide_id: UUID
    state: ReviewState
    version: int = Field(
        description="Counts what people change; the ETag, and what If-Match names."
    )
    revision: int | None = Field(description="Of the result that a signature would name.")
    reader_name: str | None
    second_reader_name: str | None
    your_part: Literal["first-reader", "second-reader"] | None
    second_reader_wanted: list[SecondReaderReason] = Field(
        description="Why the policy lets nobody sign it alone; empty: it may be signed."
    )
    agreement: AgreementView | None = Field(description="Of the two readings, if there are two.")
    changed_since_signing: bool
    policy_version: int
    to_see: list[CellToSee]
    cells_unseen: int
    fields_unseen: int
    signatures: list[SignatureView] = Field(description="The one that holds first.")
    read_so_far: ReadSoFarView | None = Field(description="Null before there is a result.")
    machine: MachineView | None = Field(description="Null before there is a result.")
    patterns: SlidePatterns | None = Field(
        default=None,
        description="Which patterns the model's count fits, and the count as people read it, each "
        "by itself. No diagnosis. Null before there is a result, and while it awaits its second "
        "reader.",
    )


class BeginOrLeave(_Body):
    """Take a slide to read, or give it back.

    Of a slide that awaits its second reader, these are theirs.
    """

    step: Literal["begin-review", "leave-review"]


class CallUnfit(_Body):
    """Say that nothing can be said of a slide, and why."""

    step: Literal["call-unfit"]
    reason: Text


ReviewStep: TypeAlias = Annotated[BeginOrLeave | CallUnfit, Field(discriminator="step")]
"""What happens to a slide's review."""


class SeenBody(_Body):
    """What you have seen: half of a crop or more, at least 64 px wide, for 300 ms."""

    revision: int = Field(ge=1, lt=2**31)
    cells: list[UUID] = Field(default=[], max_length=1000)
    fields: list[UUID] = Field(default=[], max_length=100, description="At full resolution.")


class SeenView(_View):
    """What you must still see before you sign."""

    cells_unseen: int
    fields_unseen: int


class SignatureBody(_Body):
    """Stand behind a revision, or, with a reason, amend what was signed."""

    revision: int = Field(ge=1, lt=2**31)
    reason: Text | None = Field(default=None, description="Why you amend.")
    keep_pattern: bool = Field(
        default=False,
        description="Whether the report tells of the patterns that the signed count fits. Refused "
        "with 409 `no-pattern` where you were shown none.",
    )


class AddCellBody(_Body):
    """A white cell that the finder missed: the middle of it, in pixels of the field."""

    x: int = Field(ge=0, lt=2**31)
    y: int = Field(ge=0, lt=2**31)
    label: CellClass


class AddedCellView(_View):
    """A white cell that a person added where the finder missed it."""

    added_cell_id: UUID
    slide_id: UUID
    frame_id: UUID
    left: int
    top: int
    right: int
    bottom: int
    label: CellClass
    by_name: str
    at: datetime


class AddedCellsView(_View):
    """The cells that people have added to a slide and not taken back, the oldest first."""

    added: list[AddedCellView]


class ReferenceCellView(_View):
    """A cell that a person named, on a slide that was signed; whose blood it is, is not said."""

    cell_id: UUID
    label: CellClass
    by_name: str = Field(description="Who named it.")
    at: datetime
    image: str = Field(description="Where its lossless crop lies.")


class OverridesOfClass(_View):
    """How often readers called cells of one of a model's classes otherwise."""

    site: str
    device: str
    bundle_id: str
    bundle_sha256: str
    machine_hidden: bool = Field(description="Whether readers did not know the model's answers.")
    model_class: str
    cells: int = Field(description="That people stand behind by a signature, as something.")
    overridden: int = Field(description="Of these, otherwise than the model.")
    called: dict[str, int] = Field(description="What readers called these, the most first.")


class OverridesView(_View):
    """How often readers call cells otherwise than the model."""

    days: int = Field(description="Of slides that were signed in so many days.")
    overrides: list[OverridesOfClass]


class MorphologyView(_View):
    """How people grade a slide's red cells and platelets; what is missing was not assessed."""

    version: int = Field(description="Counts the changes; 0: nobody has assessed them.")
    red_cells: dict[RedCellFinding, Grade] = Field(
        description="Finding -> 0 none, 1 few, 2 moderate, 3 many (ICSH 2015)."
    )
    platelets: dict[PlateletFinding, Grade]
    platelet_estimate: PlateletEstimate | None
    by_name: str | None
    at: datetime | None


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


class TimelineEventView(_View):
    """What somebody saw or did to a slide, at one moment."""

    event_id: UUID
    at: datetime
    actor_name: str = Field(description="Whoever it was, as they were called then.")
    action: str = Field(description="`read`, `see`, or the verb of a change.")
    subject: str = Field(description="What kind of thing: `slide`, `cell`, `signature` …")
    subject_id: UUID | None
    detail: str
