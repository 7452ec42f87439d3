"""From the labels of a slide's cells to its result: differential, blasts, flags. Pure."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hemaline_cloud.database.summary import (
    BlastShare,
    BundleUsed,
    ClassShare,
    Flag,
    MadeBy,
    SlideSummary,
    ThresholdVerdict,
)
from hemaline_cloud.database.tally import AveragedTasks, SlideTally
from hemaline_cloud.inference.averages import (
    APL,
    APL_TASK,
    SUBTYPE_TASK,
    all_subtype,
    apl_flags,
    apl_mean,
)
from hemaline_shared.model_manifest import UNCLASSIFIED, Manifest, TaskEntry

ENOUGH_CELLS = 100
"""A differential counts 100 to 200 cells."""
MANY_UNCLASSIFIED = 0.2
WHO_2022 = 0.2
ICC_2022 = 0.1
_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class LabelRoles:
    """What the bundle says of its labels: which are blasts, which stand beside the differential.

    From a bundle that is not `trained`, no label means anything.

    Attributes:
        apl_point: The mean probability from which on cells look like APL; None: not asked.
    """

    trained: bool
    blasts: frozenset[str]
    outside_differential: frozenset[str]
    apl_point: float | None = None


def roles_of(manifest: Manifest) -> LabelRoles:
    """Return the roles of the labels that the bundle's cells are named by."""
    task, apl = manifest.cell_task, _apl_task(manifest)
    return LabelRoles(
        manifest.trained,
        frozenset(task.blasts if task else ()),
        frozenset(task.outside_differential if task else ()),
        apl.operating_points.get(APL) if apl else None,
    )


def averaged_tasks(manifest: Manifest) -> AveragedTasks:
    """Return the bundle's tasks that a slide's result averages."""
    if not manifest.trained:
        return AveragedTasks()
    fields = {task.name for task in manifest.tasks if task.view == "field"}
    return AveragedTasks(
        (APL_TASK,) if _apl_task(manifest) else (),
        (SUBTYPE_TASK,) if SUBTYPE_TASK in fields else (),
    )


def _apl_task(manifest: Manifest) -> TaskEntry | None:
    """Return the task that asks for APL; what is asked of mature cells too is another question."""
    cells = (task for task in manifest.tasks if task.view == "cell" and task.asked_of)
    return next((task for task in cells if task.name == APL_TASK), None)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), honest for few trials and for zero."""
    share = successes / trials
    square = _Z95**2 / trials
    middle = (share + square / 2) / (1 + square)
    half = _Z95 / (1 + square) * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def summarise(tally: SlideTally, roles: LabelRoles) -> SlideSummary:
    """Make the result of a slide; the same tally always makes the same result."""
    by_class = _by_class(tally)
    fields = sum(count.fields for count in tally.fields)
    trained = roles.trained and all(count.trained for count in tally.cells)
    leukocytes = {
        label: cells
        for label, cells in by_class.items()
        if label != UNCLASSIFIED and label not in roles.outside_differential
    }
    known = trained and sum(leukocytes.values()) > 0
    blasts = _blasts(leukocytes, roles) if known else None
    apl = apl_mean(tally.cell_answers) if trained else None
    suspected = apl_flags(apl, roles.apl_point)
    return SlideSummary(
        trained=trained,
        fields=fields,
        cells=sum(by_class.values()),
        cells_by_class=by_class,
        differential=_differential(leukocytes) if known else None,
        blasts=blasts,
        apl=apl,
        all_subtype=all_subtype(tally.field_answers) if trained else None,
        flags=(
            *suspected,
            *_blast_flags(blasts),
            *_model_flags(tally, trained=trained),
            *_count_flags(by_class, fields, trained=trained),
        ),
        urgency=3 if suspected else _urgency(blasts),
        made_by=_made_by(tally),
    )


def _by_class(tally: SlideTally) -> dict[str, int]:
    counter: Counter[str] = Counter()
    for count in tally.cells:
        # An untrained bundle counts cells; whatever label it carries means nothing.
        counter[count.label if count.trained else UNCLASSIFIED] += count.cells
    return dict(sorted(counter.items()))


def _differential(leukocytes: Mapping[str, int]) -> tuple[ClassShare, ...]:
    total = sum(leukocytes.values())
    shares = []
    for label, cells in leukocytes.items():
        low, high = wilson(cells, total)
        shares.append(
            ClassShare(label=label, cells=cells, fraction=cells / total, low=low, high=high)
        )
    return tuple(shares)


def _blasts(leukocytes: Mapping[str, int], roles: LabelRoles) -> BlastShare:
    total = sum(leukocytes.values())
    cells = sum(count for label, count in leukocytes.items() if label in roles.blasts)
    low, high = wilson(cells, total)
    return BlastShare(
        cells=cells,
        leukocytes=total,
        fraction=cells / total,
        low=low,
        high=high,
        thresholds=(
            _verdict("WHO 2022", WHO_2022, low, high),
            _verdict("ICC 2022", ICC_2022, low, high),
        ),
    )


def _verdict(name: str, threshold: float, low: float, high: float) -> ThresholdVerdict:
    if low >= threshold:
        return ThresholdVerdict(name=name, fraction=threshold, verdict="above")
    if high < threshold:
        return ThresholdVerdict(name=name, fraction=threshold, verdict="below")
    return ThresholdVerdict(name=name, fraction=threshold, verdict="undecided")


def _urgency(blasts: BlastShare | None) -> int:
    if not blasts or not blasts.cells:
        return 0
    return 1 + (blasts.fraction >= ICC_2022) + (blasts.fraction >= WHO_2022)


def _blast_flags(blasts: BlastShare | None) -> list[Flag]:
    urgency = _urgency(blasts)
    if not blasts or not urgency:
        return []
    share = (
        f"{blasts.fraction:.0%} of {blasts.leukocytes} leukocytes "
        f"(95 % interval {blasts.low:.0%} to {blasts.high:.0%})"
    )
    flags = [
        Flag(
            code="blasts-present",
            text=f"{blasts.cells} of {blasts.leukocytes} leukocytes look like blasts: review them.",
        )
    ]
    if urgency == 3:
        text = f"Blasts are {share}: at or over the WHO threshold of 20 %."
        flags.insert(0, Flag(code="blasts-over-who-threshold", text=text))
    elif urgency == 2:
        text = f"Blasts are {share}: at or over the ICC threshold of 10 %."
        flags.insert(0, Flag(code="blasts-over-icc-threshold", text=text))
    return flags


def _model_flags(tally: SlideTally, *, trained: bool) -> list[Flag]:
    flags = []
    if not trained:
        text = "Cells are counted, not classified: this model is untrained."
        flags.append(Flag(code="untrained-model", text=text))
    if len({count.bundle_sha256 for count in tally.cells}) > 1:
        text = "The cells of this slide were not all judged by the same model."
        flags.append(Flag(code="mixed-models", text=text))
    return flags


def _count_flags(by_class: Mapping[str, int], fields: int, *, trained: bool) -> list[Flag]:
    cells = sum(by_class.values())
    unclassified = by_class.get(UNCLASSIFIED, 0)
    flags = []
    if cells < ENOUGH_CELLS:
        text = f"{cells} white cells in {fields} fields: a differential counts at least 100."
        flags.append(Flag(code="few-cells", text=text))
    if trained and cells and unclassified / cells > MANY_UNCLASSIFIED:
        text = f"The model is not sure of {unclassified} of {cells} cells; they are not counted in."
        flags.append(Flag(code="many-unclassified", text=text))
    return flags


def _made_by(tally: SlideTally) -> MadeBy:
    cells: Counter[tuple[str, str, bool]] = Counter()
    for count in tally.cells:
        cells[count.bundle_id, count.bundle_sha256, count.trained] += count.cells
    return MadeBy(
        bundles=tuple(
            BundleUsed(bundle_id=bundle_id, sha256=sha256, trained=trained, cells=number)
            for (bundle_id, sha256, trained), number in sorted(cells.items())
        ),
        pixel_pipelines=tuple(sorted({count.pixel_pipeline for count in tally.fields})),
        finders=tuple(sorted({count.finder for count in tally.fields})),
        edge_versions=tuple(sorted({count.edge_version for count in tally.fields})),
    )
