"""What a signature freezes: the report as it was signed. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from hemaline_cloud.orders.order import BloodCount
from hemaline_cloud.patterns.result import CountPatterns, SlidePatterns
from hemaline_cloud.review.morphology import Morphology
from hemaline_cloud.review.policy import ReadingOrder

RESEARCH_USE_ONLY = "For Research Use Only. Not for use in diagnostic procedures."
NO_CLASS = "unclassified"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class SignedLabel(_Frozen):
    """What a person calls a cell, at the moment of signing."""

    cell_id: UUID
    label: str
    by: str
    by_name: str


class SignedAddedCell(_Frozen):
    """A white cell that a person added where the finder missed it; its box in pixels of the field.

    It counts by the reader, and stands in no count of the model.
    """

    added_cell_id: UUID
    frame_id: UUID
    left: int
    top: int
    right: int
    bottom: int
    label: str
    by: str
    by_name: str


class SignedOrder(_Frozen):
    """What a slide was made for, at the moment of signing; who the patient is stands elsewhere.

    Attributes:
        barcode: The laboratory's code of the specimen.
        patient_id: Random; None: the order names nobody.
        blood_count: As the order brought it.
    """

    order_id: UUID
    barcode: str
    patient_id: UUID | None
    blood_count: BloodCount = BloodCount()


class MachineWhileRead(_Frozen):
    """Whether a reader knew the machine's answers, and by which rule.

    Attributes:
        hidden: Whether they were hidden until this reader had finished: then the counts by reader
            are of the cells that people named, and all others have no class.
        order: The site's reading order.
        hidden_from_second: Whether it hides them from a second reader.
        seed: Of the lot; with the slide's id it can be drawn again. None: there was none.
        hidden_share: Of the slides that the lot draws.
        after_cells: How many cells are to be named before they are shown.
        named: How many the reader had named.
    """

    hidden: bool
    order: ReadingOrder
    hidden_from_second: bool
    seed: str | None = None
    hidden_share: float | None = None
    after_cells: int | None = None
    named: int


class SignedReading(_Frozen):
    """What one of two readers counted before either knew what the other said.

    Attributes:
        machine: Whether they knew the machine's answers.
        cells_by_reader: Class -> counted cells.
        looked_before: Whether the second reader had opened the slide while labels of the first one
            were on it.
    """

    reader: str
    reader_name: str
    finished_at: datetime
    revision: int
    cells_by_reader: dict[str, int]
    looked_before: bool
    machine: MachineWhileRead | None = None


class Agreement(_Frozen):
    """How far two readings of the same cells agree.

    Attributes:
        kappa: Class -> Cohen's kappa of "this class or not"; None where chance alone explains
            all, because both readers gave it to every cell.
        cells_differing: Cells that they name differently.
        blasts_differing: Those that one of them counts as a blast and the other does not.
        thresholds_differing: Names of the thresholds that the two counts pass differently.
        same_revision: Whether both read the same revision of the result.
    """

    kappa: dict[str, float | None]
    cells_differing: tuple[UUID, ...]
    blasts_differing: tuple[UUID, ...]
    thresholds_differing: tuple[str, ...]
    same_revision: bool

    @property
    def holds(self) -> bool:
        """Whether the slide needs no adjudication."""
        differing = (*self.blasts_differing, *self.thresholds_differing)
        return self.same_revision and not differing


class SignedReport(_Frozen):
    """All that a person stands behind. Written once, byte for byte; never changed.

    Attributes:
        result: The revision's `SlideSummary`: what the model counted, with its intervals.
        cells_by_model: Class -> counted cells, as the model calls them.
        cells_by_reader: The same where people's labels outrank the model's.
        labels: Every label of a person, by cell.
        cells_to_see: How many cells the policy asked for, by reason; all were seen.
        amends: The signature that this one takes the place of, and why.
        morphology: Red cells and platelets as people graded them; None: nobody has.
        readings: The first reader's and the second's; empty where one person has read it.
        agreement: Of these two. Where it does not hold, who signed has adjudicated.
        order: What the slide was linked to; None: to nothing.
        added: Cells that people added by hand; they are counted in `cells_by_reader`.
        machine: Whether the reader knew the machine's answers; None: signed before that was kept,
            when they always were.
        patterns: What the reader was shown of patterns, by which rules. None: nothing, or signed
            before there were any.
        pattern_kept: Whether the reader let the report tell of it.
    """

    format: Literal[1] = 1
    notice: str = RESEARCH_USE_ONLY
    signature_id: UUID
    slide_id: UUID
    accession: str
    specimen_id: UUID
    slide_name: str | None
    site: str
    device: str
    simulated: bool
    revision: int
    computed_at: datetime
    bundle_id: str
    bundle_sha256: str
    trained: bool
    result: dict[str, Any]
    cells_by_model: dict[str, int]
    cells_by_reader: dict[str, int]
    labels: tuple[SignedLabel, ...]
    policy_version: int
    cells_to_see: dict[str, int]
    signed_by: str
    signed_by_name: str
    signed_at: datetime
    amends: UUID | None = None
    reason: str | None = None
    morphology: Morphology | None = None
    readings: tuple[SignedReading, ...] = ()
    agreement: Agreement | None = None
    order: SignedOrder | None = None
    machine: MachineWhileRead | None = None
    added: tuple[SignedAddedCell, ...] = ()
    patterns: SlidePatterns | None = None
    pattern_kept: bool = False

    @property
    def kept_patterns(self) -> CountPatterns | None:
        """What the report tells of patterns: of the very count that was signed, if it was kept."""
        return self.patterns.of_signed_count if self.patterns and self.pattern_kept else None

    @property
    def alone(self) -> bool:
        """Whether the reader did not know the machine's answers."""
        return self.machine is not None and self.machine.hidden

    @property
    def counted_by_reader(self) -> bool:
        """Whether the shares are the reader's, not the model's."""
        return self.alone or bool(self.labels or self.added)


def count_by_class(labels: Iterable[str | None]) -> dict[str, int]:
    """Count cells by class; what has none is `unclassified`."""
    counts: dict[str, int] = {}
    for label in labels:
        counts[label or NO_CLASS] = counts.get(label or NO_CLASS, 0) + 1
    return dict(sorted(counts.items()))
