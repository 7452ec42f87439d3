"""What `result_revisions.content` holds: written by the worker, read by the API.

It holds only what the worker knows: the fields that have a result, and their cells. How many frames
were captured, rejected and quarantined stands in the ledger and is joined live by whoever reads
(`ledger_flags` turns it into flags). A rejection or a slide's end therefore never has to find and
rewrite a result, a result's revision changes only when its cells do, and a slide whose frames were
all rejected is complete without a result.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MANY_REJECTED = 0.5
CONTENT_VERSION = 2
"""2: shares allow for the classifier's errors and for unclassified cells; cells may not count. An
older result has version 1 and Wilson intervals of the named cells."""


class _Stored(BaseModel):
    """Unknown fields are ignored, so that an older reader understands a newer worker."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Flag(_Stored):
    """Why a person should look, as a stable word and a sentence."""

    code: str
    text: str


class Counting(_Stored):
    """Which of the found cells count, and why the others do not; `docs/counting.md` has the rule.

    `excluded` is reason -> cells: `cut-by-border`, `seen-before`. Of the counted ones, `named` got
    a leukocyte's class and `unclassified` none; the rest stand beside the differential.
    """

    found: int
    counted: int
    excluded: dict[str, int]
    named: int
    unclassified: int


class ClassShare(_Stored):
    """One class of the differential: `cells` were called so.

    `fraction` is the estimated share of the leukocytes, with its 95 % interval: both allow for the
    classifier's errors and for the cells that it could not name.
    """

    label: str
    cells: int
    fraction: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class BesideShare(_Stored):
    """Cells that are no intact leukocytes, per 100 leukocytes, as laboratories count them."""

    label: str
    cells: int
    per_100: float = Field(ge=0)
    low: float = Field(ge=0)
    high: float = Field(ge=0)


class ThresholdVerdict(_Stored):
    """Where the interval of the blasts lies: `undecided` when the threshold is inside it."""

    name: str
    fraction: float
    verdict: Literal["below", "undecided", "above"]


class BlastShare(_Stored):
    """The blasts among the leukocytes: as `ClassShare`, held against the thresholds.

    `leukocytes` got a class, `unclassified` cells did not; with fewer than 100 named ones every
    verdict is `provisional`.
    """

    cells: int
    leukocytes: int
    unclassified: int = 0
    fraction: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    provisional: bool = False
    thresholds: tuple[ThresholdVerdict, ...]


class AplMean(_Stored):
    """Do the immature cells look like acute promyelocytic leukaemia? The mean over them.

    The 95 % interval is over these cells (Student's t); how wrong the model is, it does not say.
    """

    cells: int
    probability: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class SubtypeShare(_Stored):
    """One subtype's mean probability over the fields."""

    label: str
    probability: float = Field(ge=0, le=1)


class AllSubtype(_Stored):
    """What the fields look like if B-ALL is in question, the likeliest subtype first."""

    fields: int
    shares: tuple[SubtypeShare, ...]


class BundleUsed(_Stored):
    """A model bundle that some of the slide's cells were shown to."""

    bundle_id: str
    sha256: str
    trained: bool
    cells: int


class MadeBy(_Stored):
    """All that must be known to compute the result again; each tuple is sorted."""

    bundles: tuple[BundleUsed, ...]
    pixel_pipelines: tuple[str, ...]
    finders: tuple[str, ...]
    edge_versions: tuple[str, ...]


class SlideSummary(_Stored):
    """What the model made of all fields of a slide so far.

    `cells` and `cells_by_class` are all that were found; `counting` says which of them count.
    `differential`, `beside` and `blasts` are empty when an untrained bundle counted, or no counted
    cell got a class: no number may look as if it were learned. `not_called` are the classes of
    leukocytes that no cell was called, with how many the bundles may have missed. `apl` and
    `all_subtype` are None where the bundle was not asked, or too few cells or fields answer; older
    results lack them.
    """

    version: int = 1
    trained: bool
    fields: int
    cells: int
    cells_by_class: dict[str, int]
    counting: Counting | None = None
    differential: tuple[ClassShare, ...] | None
    not_called: tuple[ClassShare, ...] = ()
    beside: tuple[BesideShare, ...] = ()
    blasts: BlastShare | None
    apl: AplMean | None = None
    all_subtype: AllSubtype | None = None
    flags: tuple[Flag, ...]
    urgency: int = Field(ge=0, le=3)
    """3: blasts over the WHO threshold, or cells that look like APL; 2: blasts over the ICC's, or
    perhaps over the WHO's; 1: any blast; 0: none known. The slide keeps the highest that it had,
    until a person lowers it."""
    made_by: MadeBy


def without_machine(summary: SlideSummary) -> SlideSummary:
    """Return what a slide's result says of its cells and fields, and nothing of their classes.

    What is kept is named here: what comes to a result later is left out until somebody adds it.
    """
    counting = summary.counting
    return SlideSummary(
        version=summary.version,
        trained=summary.trained,
        fields=summary.fields,
        cells=summary.cells,
        cells_by_class={},
        counting=counting.model_copy(update={"named": 0, "unclassified": counting.counted})
        if counting
        else None,
        differential=None,
        blasts=None,
        flags=tuple(flag for flag in summary.flags if flag.code == "untrained-model"),
        urgency=0,
        made_by=summary.made_by,
    )


def ledger_flags(*, captured: int, rejected: int, quarantined: int) -> tuple[Flag, ...]:
    """Return what the ledger of a slide's frames says to a person."""
    flags = []
    if quarantined:
        flags.append(
            Flag(
                code="fields-quarantined",
                text=f"{quarantined} of {captured} frames could not be used and are not counted.",
            )
        )
    if captured and rejected / captured >= MANY_REJECTED:
        flags.append(
            Flag(
                code="many-rejected",
                text=f"{rejected} of {captured} frames failed the quality gate: "
                "check focus, stain and smear.",
            )
        )
    return tuple(flags)


MACHINE_HIDDEN = Flag(
    code="machine-hidden",
    text="The model's answers are hidden: the site lets this slide be read without them first.",
)

CHANGED_SINCE_SIGNING = Flag(
    code="changed-since-signing",
    text="The result has changed since this slide was signed. What was signed stays as it was.",
)


def kept_urgency_flags(*, kept: int, result: int) -> tuple[Flag, ...]:
    """Say so where a slide stands higher in the worklist than its newest result would."""
    if kept <= result:
        return ()
    text = (
        "An earlier result of this slide was more urgent: it keeps its place in the worklist "
        "until a person has looked."
    )
    return (Flag(code="urgency-kept", text=text),)
