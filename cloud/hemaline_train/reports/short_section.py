"""The card's first figures: what is served, from its own patients to laboratories it never saw."""

from collections.abc import Iterator, Mapping, Sequence

from hemaline_train.data.catalogue import KNOWN
from hemaline_train.data.tasks import APL
from hemaline_train.judging.cross_laboratory import Laboratory
from hemaline_train.judging.markdown import table
from hemaline_train.judging.metrics import Interval
from hemaline_train.judging.task_evaluation import TaskEvaluation

_CELLS = (
    ("balanced accuracy", "balanced_accuracy"),
    ("calibration error", "calibration_error"),
    ("without a class", "served_unclassified_share"),
    ("blast share, mean error", "served_blast_share_mean_error"),
    ("blast share, mean absolute error", "served_blast_share_mean_absolute_error"),
)
_FLAG = (
    ("AUROC", "auroc_per_group"),
    ("sensitivity", "served_flag_sensitivity_per_group"),
    ("specificity", "served_flag_specificity_per_group"),
)
_NOTHING = Interval(None, None, None)


def short_section(
    naming: str,
    evaluations: Sequence[TaskEvaluation],
    laboratories: Mapping[str, Sequence[Laboratory]],
) -> Iterator[str]:
    """Yield the lines of the section.

    Args:
        naming: The task that names cells.
        evaluations: On what was kept from training of the sets that taught the bundle.
        laboratories: Task -> rows; those that training saw nothing of are a change of laboratory.
    """
    new = [row for row in laboratories.get(naming, ()) if not row.trained_on]
    yield "## In short"
    yield ""
    yield f"What is served for `{naming}`, first look and operating points included:"
    yield ""
    yield from table(
        ["what changes", "data set", "cells", "groups", *(heading for heading, _ in _CELLS)],
        [
            *(_row(one, _CELLS, _change(one)) for one in evaluations if one.task == naming),
            *(_new_laboratory(row) for row in new),
        ],
    )
    yield ""
    if not new:
        yield (
            "**A laboratory that taught none of the networks did not judge this bundle**: every "
            "set at hand taught it. What is known of such a change stands under Known limits."
        )
        yield ""
    flags = [one for one in evaluations if one.task == APL.name]
    if flags:
        yield "The flag for APL, patient by patient:"
        yield ""
        yield from table(
            ["what changes", "data set", "cells", "groups", *(heading for heading, _ in _FLAG)],
            (_row(one, _FLAG, _change(one)) for one in flags),
        )
        yield ""
    yield "Each figure with its 95 % interval over whole groups; none of fewer than four groups."


def _row(one: TaskEvaluation, columns: Sequence[tuple[str, str]], change: str) -> list[str]:
    figures = (str(one.served.metrics.get(name, _NOTHING)) for _, name in columns)
    return [change, f"{one.data_set}, {one.split}", str(one.n), str(one.groups), *figures]


def _new_laboratory(row: Laboratory) -> list[str]:
    """Return the row of a laboratory that is new; of what is served there the card has no more."""
    figures = [str(row.served), str(row.calibration_error), *(["-"] * (len(_CELLS) - 2))]
    where = f"{row.data_set}, {row.split}"
    return ["laboratory", where, str(row.n), str(row.groups), *figures]


def _change(one: TaskEvaluation) -> str:
    known = KNOWN.get(one.data_set)
    by_patient = known is not None and known.by_patient
    return "patient" if by_patient else "session (slides or clusters of a laboratory that taught)"
