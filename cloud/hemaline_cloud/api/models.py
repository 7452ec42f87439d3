"""What the API answers, as pydantic models."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from hemaline_cloud.api.order_models import PatientView
from hemaline_cloud.api.review_models import LabelView
from hemaline_cloud.database.reading.slides import SlideState
from hemaline_cloud.database.summary import Flag, SlideSummary
from hemaline_cloud.fleet.attention import Attention
from hemaline_cloud.fleet.state import Connection, DeviceWord, Reason
from hemaline_cloud.review.states import ReviewState

FrameState = Literal["pending", "result", "rejected", "quarantined"]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class CountsView(_View):
    """The captured frames that have arrived; the other four add up to `captured`."""

    captured: int
    pending: int = Field(description="Stored, and waiting for the model.")
    with_result: int
    rejected: int = Field(description="Refused by the quality gate beside the microscope.")
    quarantined: int = Field(description="No image that can be used.")


class SlideView(_View):
    """One slide: how far it is, and what was found."""

    slide_id: UUID
    accession: str = Field(description="The short name that people read and say.")
    specimen_id: UUID = Field(description="Random; says nothing of a person.")
    site: str
    device: str
    opened_at: datetime
    slide_name: str | None = Field(description="What people at the laboratory call it.")
    order_id: UUID | None = Field(description="What it was made for; null: linked to none.")
    barcode: str | None = Field(description="Of that order.")
    patient: PatientView | None = Field(
        description="Whose blood it is; null: unknown, or you may not know."
    )
    priority: Literal["routine", "stat"] = Field(
        description="`stat`: the laboratory asked for it to be read first."
    )
    state: SlideState = Field(
        description="`complete`: the device closed the slide, every frame of it arrived, and "
        "none is pending. `processing`: all arrived, some are pending. `receiving`: more come."
    )
    frames_expected: int | None = Field(description="Known once the device has closed the slide.")
    counts: CountsView
    simulated: bool = Field(description="Whether a simulator drew any of its frames.")
    cells: int = Field(description="White cells in the fields that have a result.")
    cells_by_class: dict[str, int] = Field(description="As the model calls them.")
    relabelled: int = Field(description="Cells that people call something.")
    cells_by_class_reviewed: dict[str, int] = Field(
        description="As people call them, and the model where nobody does."
    )
    flags: list[Flag]
    urgency: int = Field(
        description="0: none; 1: blasts; 2: blasts over the ICC's 10 % or perhaps over the WHO's "
        "20 %; 3: over the WHO's, or cells that look like APL. It rises by itself and falls only "
        "by a person."
    )
    review: ReviewState = Field(
        description="How far its review is. `ready`: nothing more is expected of it, for its "
        "device has ended it or no frame came for a while."
    )
    changed_since_signing: bool = Field(
        description="Whether its current result is newer than the one that was signed."
    )
    ready_at: datetime | None = Field(
        description="Since when nothing more of it was expected, and it could be read."
    )
    reader_name: str | None = Field(description="Who reviews it.")
    second_reader_name: str | None = Field(description="Who reads it after them.")
    machine_hidden: bool = Field(
        description="Whether the site lets you read it without the machine's answers first: what "
        "tells of them is empty, here and everywhere."
    )
    trained: bool | None = Field(description="Null: no result yet.")
    bundle_id: str | None
    revision: int | None = Field(
        description="Of the current result; grows with each change. Numbers may be missing: one "
        "that nobody signed is deleted when the next one is made."
    )


class BundleRef(_View):
    """The model bundle that made a result."""

    bundle_id: str
    sha256: str
    trained: bool


RevisionReason = Literal["new-frames", "new-bundle", "recount"]


class RevisionView(_View):
    """One revision of a slide's result: when, why and by which bundle it was made."""

    revision: int
    computed_at: datetime
    reason: RevisionReason = Field(
        description="`new-frames`: further frames have a result. `new-bundle`: another bundle "
        "judged. `recount`: the same frames, and other cells count."
    )
    bundle: BundleRef
    current: bool = Field(description="Whether it is the slide's current result.")


class NotEnoughCellsView(_View):
    """More cells would decide a threshold, or make a provisional count firm."""

    leukocytes: int = Field(description="How many have a class.")
    more: int | None = Field(
        description="At least about so many more would decide, if the share stays. Null: more than "
        "anybody counts."
    )


class ResultView(_View):
    """One revision of a slide's result; it never changes."""

    slide_id: UUID
    accession: str
    revision: int
    computed_at: datetime
    reason: RevisionReason
    bundle: BundleRef
    summary: SlideSummary
    not_enough_cells: NotEnoughCellsView | None = Field(
        description="Null: the count leaves no threshold open, or blasts are not counted."
    )


class FieldView(_View):
    """One field of view: its frame, how its pixels were made, where its images are."""

    frame_id: UUID
    slide_id: UUID
    sequence: int = Field(description="Its place in the order of capture.")
    captured_at: datetime
    state: FrameState
    source: str
    edge_version: str
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    um_per_px: float = Field(description="Micrometres on the slide per pixel.")
    scale_source: str
    pixel_pipeline: str
    finder: str = Field(description="What found the cells.")
    measures: dict[str, float] = Field(description="What the quality gate measured.")
    cells: int
    image: str = Field(description="Address of the JPEG.")
    thumbnail: str


class BoxView(_View):
    """Half-open rectangle in pixels of the field."""

    left: int
    top: int
    right: int
    bottom: int


class HeatMapView(_View):
    """Where a cell's crop looks like `label`: a coarse grid that the image draws smoothly."""

    label: str
    columns: int
    rows: int
    image: str = Field(description="Address of a transparent PNG to lay over the crop.")


class PerhapsView(_View):
    """A class that the model is not sure enough of to count it."""

    label: str
    probability: float


class CellView(_View):
    """One white cell. `label` is null until its field has a result."""

    cell_id: UUID
    frame_id: UUID
    slide_id: UUID
    sequence: int = Field(description="Of its field.")
    index: int = Field(description="Its place in its field.")
    box: BoxView
    confidence: float = Field(description="The finder's, that this is a white cell.")
    label: str | None
    probability: float | None = Field(
        description="Of the likeliest class; null from an untrained bundle."
    )
    probabilities: dict[str, Any] | None = Field(
        description="Task to network (and `average`) to class to calibrated probability."
    )
    task: str | None = Field(description="The task that named it.")
    likeliest: str | None = Field(
        description="The label, or what it would be were `unclassified` cells likely enough."
    )
    perhaps: PerhapsView | None = Field(
        description="What it more likely is than not, where `label` does not say it: of an "
        "`unclassified` cell a class, of another a finer one. It is counted nowhere. Null: nothing "
        "is that likely."
    )
    disagreement: float | None = Field(
        description="How far apart the networks are about the class, 0 to 1."
    )
    certainty: float = Field(description="The order of a slide's cells, the least certain first.")
    heat_map: HeatMapView | None
    counted: bool = Field(description="Whether it is in the slide's shares and intervals.")
    excluded: Literal["cut-by-border", "seen-before"] | None = Field(
        description="Why it is not counted."
    )
    same_as: UUID | None = Field(
        description="The cell that counts for it, where it lies in several fields; perhaps itself."
    )
    reviewed: LabelView | None = Field(
        description="What a person called it: this outranks `label`. Null: nobody did."
    )
    label_version: int = Field(
        description="Of what people call it; the next label names it. 0: nobody labelled it yet."
    )
    image: str = Field(description="Address of the PNG.")


class FieldDetail(FieldView):
    """One field with its cells."""

    found: list[CellView]
    probabilities: dict[str, Any] | None = Field(
        description="Of the field itself: task to network (and `average`) to class to probability."
    )


class FrameView(_View):
    """One line of the ledger: a captured frame and what became of it."""

    frame_id: UUID
    slide_id: UUID
    accession: str
    slide_name: str | None = Field(description="What people at the laboratory call the slide.")
    site: str
    device: str
    sequence: int
    source: str
    captured_at: datetime
    received_at: datetime
    state: FrameState
    reason: str | None = Field(description="Of a rejection or quarantine, as a stable word.")
    reasons: list[str] = Field(
        description="All of them, the heaviest first; `reason` is the first."
    )
    detail: str | None
    explanation: str | None = Field(description="The reason in plain words, with what to do.")
    thumbnail: str | None = Field(description="Address of a small JPEG, where there is one.")


class DeadLetterView(_View):
    """A message that no retry could help, kept whole."""

    dead_letter_id: UUID
    topic: str
    message_id: UUID | None
    reason: str
    detail: str
    explanation: str
    size: int = Field(description="Bytes.")
    received_at: datetime


class DeviceView(_View):
    """A device as it last told of itself."""

    site: str
    device: str
    state: DeviceWord = Field(
        description="What it is doing: the worst of the four facts below decides it, and `reason` "
        "names which. All moments are the server's."
    )
    reason: Reason
    connection: Connection = Field(
        description="How its last session stands. `stopped`: it ended in good order. `lost`: the "
        "broker says that the connection broke. `never-seen`: it enrolled and has not called."
    )
    connection_at: datetime = Field(description="Since when; of one never seen: its enrolment.")
    telemetry_at: datetime | None = Field(description="When it last told how it is doing.")
    capture_at: datetime | None = Field(description="When it last captured.")
    receipt_at: datetime | None = Field(
        description="When it last heard that something it sent is stored."
    )
    problems: list[str] = Field(
        description="Which of its readiness checks said that something is wrong."
    )
    attention: list[Attention] = Field(
        description="Why it wants a look. `unused`: connected, and captured nothing for a day. "
        "`behind`: something has waited in its spool for ten minutes. `drifting`: focus or stain "
        "differ from its own past. `filling-up`: spool or disk will be full. `clock-off`: by a "
        "minute or more. `hot`: its computer is at 85 °C or more. `twice`: two "
        "agents speak under its name."
    )
    edge_version: str = Field(description="Of its agent; empty: it never called.")
    spool_frames: int | None = Field(description="Waiting beside the microscope; null: not told.")
    spool_bytes: int | None
    spool_quota_bytes: int | None
    waiting_since: datetime | None = Field(
        description="Since when the oldest frame of its spool waits, by the server's clock."
    )
    disk_free_bytes: int | None
    clock_ahead_s: float | None = Field(
        description="By how many seconds the device's clock was ahead of the server's when it last "
        "told, below zero: behind; the way of the message counts as behind. Null: not told."
    )
    temperature_c: float | None = Field(description="Of its computer. Null: not told.")


class BundleView(_View):
    """A model bundle that was appointed or served."""

    sha256: str
    bundle_id: str
    trained: bool
    first_used_at: datetime = Field(description="Since when it is known.")
    active: str | None = Field(
        description="Where its answers count, in words: `all sites`, `north, south` …"
    )
    trial: str | None = Field(description="Where its answers are kept beside those that count.")
    manifest: dict[str, Any]
