"""From the labels of a slide's cells to its result: differential, blasts, flags. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hemaline_cloud.blasts import (
    ENOUGH_CELLS,
    blast_flags,
    blast_urgency,
    thresholds,
)
from hemaline_cloud.database.summary import (
    CONTENT_VERSION,
    BesideShare,
    BlastShare,
    BundleUsed,
    ClassShare,
    Counting,
    Flag,
    MadeBy,
    SlideSummary,
)
from hemaline_cloud.database.tally import AveragedTasks, CellCount, SlideTally
from hemaline_cloud.inference.averages import (
    APL_TASK,
    SUBTYPE_TASK,
    all_subtype,
    apl_flags,
    apl_mean,
)
from hemaline_cloud.inference.roles import BundleRoles, apl_task
from hemaline_cloud.inference.shares import DRAWS, Draws, Estimate, interval, true_shares
from hemaline_shared.model_manifest import UNCLASSIFIED, Manifest

MANY_UNCLASSIFIED = 0.2

_NO_CELL = 1e-9


@dataclass(frozen=True, slots=True)
class _Judged:
    """The counted cells that one bundle judged: label -> cells, and what its labels mean."""

    labels: Mapping[str, int]
    roles: BundleRoles

    @property
    def cells(self) -> int:
        return sum(self.labels.values())

    def named(self, labels: Iterable[str]) -> dict[str, int]:
        """Return those of the labels that a cell got, with their cells."""
        return {label: self.labels[label] for label in labels if self.labels.get(label)}


@dataclass(frozen=True, slots=True)
class _Shares:
    """The differential, what it lacks, what stands beside it, and the blasts, if any are known."""

    differential: tuple[ClassShare, ...] | None
    not_called: tuple[ClassShare, ...]
    beside: tuple[BesideShare, ...]
    blasts: BlastShare | None


@dataclass(frozen=True, slots=True)
class _Whole:
    """What the classes are shares of, in cells, draw by draw.

    Attributes:
        leukocytes: Of known classes.
        unknown: Cells of which nothing is known. They stay in every denominator; all of them may
            be of the class in question, or none, or, for the estimate, half.
    """

    leukocytes: Draws
    unknown: Draws

    def share(self, cells: Draws) -> Estimate:
        """Return a class's share of the leukocytes."""
        whole = np.maximum(self.leukocytes + self.unknown, _NO_CELL)
        return interval(*(np.clip((cells + part) / whole, 0, 1) for part in self._parts()))

    def per_100(self, cells: Draws, counted: int) -> Estimate:
        """Return how many cells stand beside 100 leukocytes, of so many counted cells."""
        beside = (
            (cells + part) / np.maximum(self.leukocytes + self.unknown - part, _NO_CELL)
            for part in self._parts()
        )
        # In some draws hardly a leukocyte is left.
        return interval(*(100 * np.minimum(ratio, counted) for ratio in beside))

    def _parts(self) -> tuple[Draws, Draws, Draws]:
        return self.unknown / 2, np.zeros(DRAWS), self.unknown


def averaged_tasks(manifest: Manifest) -> AveragedTasks:
    """Return the bundle's tasks that a slide's result averages."""
    if not manifest.trained:
        return AveragedTasks()
    fields = {task.name for task in manifest.tasks if task.view == "field"}
    return AveragedTasks(
        (APL_TASK,) if apl_task(manifest) else (),
        (SUBTYPE_TASK,) if SUBTYPE_TASK in fields else (),
    )


def summarise(
    tally: SlideTally, roles: Mapping[str, BundleRoles], running: BundleRoles
) -> SlideSummary:
    """Make the result of a slide; the same tally always makes the same result.

    Args:
        tally: What is known of the slide's cells and fields.
        roles: The hash of each bundle that judged a cell -> its labels' roles.
        running: The roles of the bundle that runs now.
    """
    trained = running.trained and all(_believed(count, roles) for count in tally.cells)
    judged = [
        _Judged(labels, roles[sha256]) for sha256, labels in _counted(tally.cells, roles).items()
    ]
    counting = _counting(tally.cells, judged)
    known = trained and counting.named > 0
    shares = _shares(judged, counting) if known else _Shares(None, (), (), None)
    apl = apl_mean(tally.cell_answers) if trained else None
    suspected = apl_flags(apl, running.apl_point)
    fields = sum(count.fields for count in tally.fields)
    return SlideSummary(
        version=CONTENT_VERSION,
        trained=trained,
        fields=fields,
        cells=counting.found,
        cells_by_class=_by_class(tally.cells, roles),
        counting=counting,
        differential=shares.differential,
        not_called=shares.not_called,
        beside=shares.beside,
        blasts=shares.blasts,
        apl=apl,
        all_subtype=all_subtype(tally.field_answers) if trained else None,
        flags=(
            *suspected,
            *blast_flags(shares.blasts),
            *_model_flags(tally, judged, trained=trained),
            *_count_flags(counting, fields, trained=trained),
        ),
        urgency=3 if suspected else blast_urgency(shares.blasts),
        made_by=_made_by(tally),
    )


def _believed(count: CellCount, roles: Mapping[str, BundleRoles]) -> bool:
    return count.trained and roles[count.bundle_sha256].trained


def _label(count: CellCount, roles: Mapping[str, BundleRoles]) -> str:
    """An untrained bundle counts cells; whatever label it carries means nothing."""
    return count.label if _believed(count, roles) else UNCLASSIFIED


def _by_class(counts: Iterable[CellCount], roles: Mapping[str, BundleRoles]) -> dict[str, int]:
    counter: Counter[str] = Counter()
    for count in counts:
        counter[_label(count, roles)] += count.cells
    return dict(sorted(counter.items()))


def _counted(
    counts: Iterable[CellCount], roles: Mapping[str, BundleRoles]
) -> dict[str, Counter[str]]:
    """Return bundle -> label -> counted cells, in the order of the bundles' hashes."""
    found: dict[str, Counter[str]] = {}
    for count in counts:
        if count.excluded is None:
            labels = found.setdefault(count.bundle_sha256, Counter())
            labels[_label(count, roles)] += count.cells
    return dict(sorted(found.items()))


def _counting(counts: Iterable[CellCount], judged: Iterable[_Judged]) -> Counting:
    excluded: Counter[str] = Counter()
    for count in counts:
        if count.excluded:
            excluded[count.excluded] += count.cells
    counted = unclassified = named = 0
    for one in judged:
        counted += one.cells
        unclassified += one.labels.get(UNCLASSIFIED, 0)
        named += sum(one.named(one.roles.leukocytes).values())
    return Counting(
        found=counted + sum(excluded.values()),
        counted=counted,
        excluded=dict(sorted(excluded.items())),
        named=named,
        unclassified=unclassified,
    )


def _shares(judged: Sequence[_Judged], counting: Counting) -> _Shares:
    """Estimate the share of each class; each bundle's own confusion allows for its own cells."""
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    cells: dict[str, Draws] = {}
    leukocytes, blasts = np.zeros(DRAWS), np.zeros(DRAWS)
    for one in judged:
        roles = one.roles
        inside.update(one.named(roles.leukocytes))
        outside.update(one.named(roles.outside_differential))
        for label, shares in true_shares(one.labels, roles).items():
            own = one.cells * shares
            cells[label] = cells.get(label, np.zeros(DRAWS)) + own
            leukocytes += own * (label in roles.leukocytes)
            blasts += own * (label in roles.blasts)
    called = sum(sum(one.named(one.roles.blasts).values()) for one in judged)
    held = any(one.roles.blasts for one in judged)
    missed = sorted({label for one in judged for label in one.roles.leukocytes} - inside.keys())
    whole = _Whole(leukocytes, cells[UNCLASSIFIED])
    return _Shares(
        tuple(
            _class_share(label, number, whole.share(cells[label]))
            for label, number in sorted(inside.items())
        ),
        tuple(_class_share(label, 0, whole.share(cells[label])) for label in missed),
        tuple(
            _beside_share(label, number, whole.per_100(cells[label], counting.counted))
            for label, number in sorted(outside.items())
        ),
        _blast_share(called, counting, whole.share(blasts)) if held else None,
    )


def _class_share(label: str, cells: int, share: Estimate) -> ClassShare:
    return ClassShare(
        label=label, cells=cells, fraction=share.middle, low=share.low, high=share.high
    )


def _beside_share(label: str, cells: int, share: Estimate) -> BesideShare:
    return BesideShare(
        label=label, cells=cells, per_100=share.middle, low=share.low, high=share.high
    )


def _blast_share(cells: int, counting: Counting, share: Estimate) -> BlastShare:
    return BlastShare(
        cells=cells,
        leukocytes=counting.named,
        unclassified=counting.unclassified,
        fraction=share.middle,
        low=share.low,
        high=share.high,
        provisional=counting.named < ENOUGH_CELLS,
        thresholds=thresholds(share.low, share.high),
    )


def _model_flags(tally: SlideTally, judged: Iterable[_Judged], *, trained: bool) -> list[Flag]:
    flags = []
    if not trained:
        text = "Cells are counted, not classified: this model is untrained."
        flags.append(Flag(code="untrained-model", text=text))
    elif any(one.roles.confusion is None for one in judged):
        text = (
            "Nobody measured how often this model errs, so the intervals are as wide as can be: "
            "run `hemaline-train confusion` on labelled slides."
        )
        flags.append(Flag(code="errors-unknown", text=text))
    if len({count.bundle_sha256 for count in tally.cells}) > 1:
        text = "The cells of this slide were not all judged by the same model."
        flags.append(Flag(code="mixed-models", text=text))
    return flags


def _count_flags(counting: Counting, fields: int, *, trained: bool) -> list[Flag]:
    counted, unclassified = counting.counted, counting.unclassified
    flags = []
    if counted < ENOUGH_CELLS:
        text = f"{counted} white cells count in {fields} fields: a differential needs at least 100."
        flags.append(Flag(code="few-cells", text=text))
    if trained and counted and unclassified / counted > MANY_UNCLASSIFIED:
        text = (
            f"The model is not sure of {unclassified} of {counted} cells: they may be anything, "
            "which widens every interval."
        )
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
