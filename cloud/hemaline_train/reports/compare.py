"""Several bundles on the same pictures: one table that says what changed from one to the next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.bundle import Bundle, read_bundle
from hemaline_train.data.tasks import CELL_CLASS
from hemaline_train.judging.cross_laboratory import data_sets_of
from hemaline_train.judging.markdown import table
from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.task_evaluation import TaskEvaluation
from hemaline_train.reports.evaluate import Answered, answer

_FIGURES = (
    "balanced_accuracy",
    "blast_vs_lymphocyte_auroc",
    "calibration_error",
    "served_unclassified_share",
    "served_blast_share_mean_error",
    "served_blast_share_mean_absolute_error",
    "auroc_per_group",
    "served_flag_sensitivity_per_group",
    "served_flag_specificity_per_group",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of every bundle on the same pictures.

    Attributes:
        n: How many pictures were judged; of a recall, those of its label.
        groups: How many patients, slides or clusters all the pictures are of.
        trained_on: Bundle -> whether training saw other pictures of this data set.
        values: Bundle -> figure; absent where it has none.
    """

    task: str
    data_set: str
    figure: str
    n: int
    groups: int
    trained_on: Mapping[str, bool]
    values: Mapping[str, Interval]

    def as_json(self) -> dict[str, Any]:
        """Return the row as JSON's types."""
        return asdict(self)


def compare(
    folders: Sequence[Path],
    data: Path,
    split: str,
    cache: Path,
    *,
    only: Sequence[str] = (),
    reviewed: bool = True,
    resamples: int = 1000,
) -> list[Compared]:
    """Judge bundles on a split of every known data set in a directory.

    A picture counts where every bundle knows its label: a bundle that was taught more labels is not
    judged by more.

    Args:
        folders: Of two bundles or more.
        data: Holds one folder a data set.
        split: Which rows of the manifests.
        cache: For prepared pixels and for answers.
        only: Names of data sets; all where none is named.
        reviewed: Whether people's verdicts on labels count, as for `read_samples`.
        resamples: For the intervals.

    Raises:
        PermanentError: A bundle or the data cannot be read, `same-bundle`: two have one name, or
            `no-samples`: nothing judges them all.
    """
    bundles = [read_bundle(folder) for folder in folders]
    if len({one.bundle_id for one in bundles}) < len(bundles):
        raise PermanentError("same-bundle", "Two of the bundles have the same name: rename one.")
    tasks = [task.name for task in bundles[0].tasks]
    names = dict.fromkeys(name for task in tasks for name in data_sets_of(task, data))
    chosen = [name for name in names if not only or name in only]
    asked = partial(answer, split=split, cache=cache, reviewed=reviewed)
    rows = [row for name in chosen for row in _on(bundles, data / name, asked, resamples)]
    if not rows:
        raise PermanentError("no-samples", f"{data} has no split {split} that all bundles answer.")
    return sorted(rows, key=lambda row: tasks.index(row.task))


def _on(
    bundles: Sequence[Bundle],
    folder: Path,
    asked: Callable[[Bundle, Path], list[Answered]],
    resamples: int,
) -> Iterator[Compared]:
    given: dict[str, list[Answered]] = {}
    for bundle in bundles:
        try:
            answers = asked(bundle, folder)
        except PermanentError as error:
            if error.reason not in {"no-samples", "unknown-label"}:
                raise
            return
        for one in answers:
            given.setdefault(one.task.name, []).append(one)
    for together in given.values():
        if len(together) == len(bundles):
            yield from _rows(_known_to_all(together), resamples)


def _known_to_all(together: Sequence[Answered]) -> list[Answered]:
    name = together[0].task.name
    known = set.intersection(*(set(one.task.labels) for one in together))
    return [
        one.only([at for at, sample in enumerate(one.samples) if sample.labels[name] in known])
        for one in together
    ]


def _rows(together: Sequence[Answered], resamples: int) -> Iterator[Compared]:
    judged = {one.bundle_id: one.evaluation(resamples) for one in together}
    trained_on = {one.bundle_id: one.trained_on for one in together}
    first = next(iter(judged.values()))

    def row(figure: str, n: int, values: Mapping[str, Interval | None]) -> Compared:
        there = {name: one for name, one in values.items() if one and one.value is not None}
        about = (first.task, first.data_set, figure, n, first.groups)
        return Compared(*about, trained_on, there)

    for figure in _FIGURES:
        values = {name: one.served.metrics.get(figure) for name, one in judged.items()}
        found = row(figure.replace("_", " "), first.n, values)
        if found.values:
            yield found
    if first.task == CELL_CLASS.name:
        for label, n in _counts(first).items():
            recalls = {name: one.served.labels[label]["recall"] for name, one in judged.items()}
            yield row(f"recall of {label}", n, recalls)


def _counts(judged: TaskEvaluation) -> dict[str, int]:
    totals = np.array(judged.served.confusion).sum(axis=1).tolist()
    return {label: n for label, n in zip(judged.labels, totals, strict=True) if n}


def comparison_section(rows: Sequence[Compared], split: str) -> str:
    """Return the rows as a Markdown table, a bundle a column."""
    bundles = list(dict.fromkeys(name for row in rows for name in row.trained_on))
    headings = ("task", "data set", "figure", "n", "groups", *bundles)
    cells = (
        [
            row.task,
            row.data_set,
            row.figure,
            str(row.n),
            str(row.groups),
            *(_cell(row, name) for name in bundles),
        ]
        for row in rows
    )
    about = (
        f"Split `{split}`, which trained none of them. In brackets: 95 % intervals from "
        "resampling whole groups. *: other pictures of this data set trained the bundle."
    )
    text = (about, "", *table(headings, cells))
    return "\n".join(text) + "\n"


def _cell(row: Compared, bundle: str) -> str:
    if bundle not in row.values:
        return "-"
    return f"{row.values[bundle]}{'*' if row.trained_on[bundle] else ''}"
