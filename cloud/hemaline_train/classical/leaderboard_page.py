"""The table of all systems as a page of Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from hemaline_train.classical.bench import FIELD_SETS, MASKED_SET
from hemaline_train.classical.report import Entry, Report
from hemaline_train.judging.metrics import Interval

Cell: TypeAlias = Callable[[Report, str], float | None]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table: its heading and the figure of a system's variant."""

    heading: str
    cell: Cell


def _figure(task: str, data_set: str, metric: str, report: Report, variant: str) -> float | None:
    entry = report.find(variant, task, data_set, metric)
    return None if entry is None else entry.value


def _mean_f1(report: Report, variant: str) -> float | None:
    found = [_figure("detection", name, "f1", report, variant) for name in FIELD_SETS]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if len(known) == len(FIELD_SETS) else None


def _column(heading: str, task: str, data_set: str, metric: str) -> Column:
    return Column(heading, partial(_figure, task, data_set, metric))


COLUMNS = (
    _column("9 classes", "cell-class", "aml-deepapl", "balanced_accuracy"),
    _column("14 classes", "cell-fine", "aml-deepapl", "balanced_accuracy"),
    _column("blast vs lymphocyte", "blast-vs-lymphocyte", "aml-deepapl", "auroc"),
    _column("9 classes, ECE", "cell-class", "aml-deepapl", "calibration_error"),
    _column("9 classes, other lab", "cell-class", "chula-wbc5", "balanced_accuracy"),
    _column("all-subtype", "all-subtype", "all-taleqani", "balanced_accuracy"),
    _column("APL, per patient", "apl", "aml-deepapl", "auroc_per_group"),
    Column("detection", _mean_f1),
    _column("detection, chula-wbc5", "detection", "chula-wbc5", "f1"),
    _column("detection, wbc-seg", "detection", "wbc-seg", "f1"),
    _column("count error, chula-wbc5", "detection", "chula-wbc5", "count_error"),
    _column("nucleus", "segmentation", MASKED_SET, "dice_nucleus"),
    _column("cell", "segmentation", MASKED_SET, "dice_cell"),
)

_HEAD = """# Leaderboard

Written by `hemaline-train leaderboard`; do not edit. Research use only. The same figures for
machines, with every interval: [leaderboard.json](leaderboard.json).

Every system learns from the train parts and is judged on the val parts, which hold other patients,
slides or clusters; settings are tuned within the train part. `hemaline-train classical NAME` runs
one. A dash: the system does not speak to the task, or its training saw these samples.

- *9 classes*, *14 classes*: balanced accuracy on aml-deepapl; *ECE* its expected calibration error;
  *other lab*: on all of chula-wbc5, which no row with a figure there learned from.
- *blast vs lymphocyte*: AUROC. *APL, per patient*: AUROC over the mean answer to a patient's cells.
  Only 3 of the 10 patients with immature cells have APL: the interval is nearly everything.
- *all-subtype*: balanced accuracy on all-taleqani, corner blanked. The colour baseline's figure
  says how much of it is the slide's colour.
- *detection*: F1 at IoU 0.5, mean of bccd, txl-pbc and draaslan-bcd; the other two are other
  laboratories for networks. finder-classical-1's weights, and so the half of finder-combined-1 that
  is classical, were fitted with their train parts. *count error*: mean absolute error of the white
  cells of a field.
- *nucleus*, *cell*: mean Dice on wbc-seg.
"""


def page(reports: Sequence[Report]) -> str:
    """Return the whole page."""
    parts = [_HEAD, "## All systems\n", _table(reports), _details(reports), _about(reports)]
    return "\n".join(parts).rstrip() + "\n"


def title(report: Report, variant: str) -> str:
    """Return a row's name: the system, and its variant if it has one."""
    return f"{report.system}, {variant}" if variant else report.system


def _table(reports: Sequence[Report]) -> str:
    lines = [
        "| system | " + " | ".join(column.heading for column in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for report in reports:
        for variant in report.variants:
            values = [column.cell(report, variant) for column in COLUMNS]
            if any(value is not None for value in values):
                cells = " | ".join("-" if one is None else f"{one:.3f}" for one in values)
                lines.append(f"| {title(report, variant)} | {cells} |")
    return "\n".join(lines) + "\n"


def _details(reports: Sequence[Report]) -> str:
    """Return a table for each task and data set, with intervals."""
    rows: dict[tuple[str, str], list[tuple[str, Entry]]] = {}
    for report in reports:
        for entry in report.entries:
            rows.setdefault((entry.task, entry.data_set), []).append(
                (title(report, entry.variant), entry)
            )
    return "\n".join(_detail(*subject, rows[subject]) for subject in sorted(rows))


def _detail(task: str, data_set: str, rows: Sequence[tuple[str, Entry]]) -> str:
    metrics = list(dict.fromkeys(entry.metric for _, entry in rows))
    found = {(name, entry.metric): entry for name, entry in rows}
    sizes = sorted({(entry.n, entry.groups) for _, entry in rows})
    counts = ", ".join(f"{n} samples of {groups} groups" for n, groups in sizes)
    lines = [
        f"## {task} on {data_set}\n",
        f"{counts}; in brackets 95 % intervals over groups.\n",
        "| system | " + " | ".join(metric.replace("_", " ") for metric in metrics) + " |",
        "|---" * (len(metrics) + 1) + "|",
    ]
    for name in dict.fromkeys(name for name, _ in rows):
        cells = " | ".join(_with_interval(found.get((name, metric))) for metric in metrics)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def _with_interval(entry: Entry | None) -> str:
    return "-" if entry is None else str(Interval(entry.value, entry.low, entry.high))


def _about(reports: Sequence[Report]) -> str:
    lines = ["## What each one is\n"]
    for report in reports:
        lines += [
            f"**{report.system}**: {report.reference}.",
            f"How: {report.method}. Weak: {report.weakness}.",
            f"{report.seconds:.0f} s of processor time.",
            *report.notes,
            "",
        ]
    return "\n".join(lines)
