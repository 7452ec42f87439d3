"""Figures as Markdown: tables, and the section that an evaluation becomes."""

from collections.abc import Iterable, Sequence

from hemaline_train.judging.metrics import AT_95, Interval
from hemaline_train.judging.task_evaluation import AVERAGE, TaskEvaluation

_UNITS = (
    " (patients, slides or clusters). In brackets: 95 % intervals from resampling whole groups."
)

_NOTHING = Interval(None, None, None)
_FLATTERED = "**Training saw some of these very images: the figures flatter.**"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's lines; bars within cells are escaped."""
    lines = [list(headings), ["---"] * len(headings), *(list(row) for row in rows)]
    return [
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    ]


def evaluation_section(evaluation: TaskEvaluation) -> str:
    """Return an evaluation under a heading of the third level."""
    names = [AVERAGE, *(name for name in evaluation.networks if name != AVERAGE)]
    lines = [
        f"### {evaluation.task} on {evaluation.data_set}, split {evaluation.split}",
        "",
        f"{evaluation.n} samples of {evaluation.groups} groups{_UNITS}",
        *((evaluation.left_out,) if evaluation.left_out else ()),
        *((_FLATTERED,) if evaluation.training_saw else ()),
        "",
        *table(["figure", *names], _metric_rows(evaluation, names)),
        "",
        f"The {AVERAGE}, label by label, against all other labels:",
        "",
        *table(["label", "n", "recall", "AUROC", "sensitivity at 95 % specificity"],
               _label_rows(evaluation)),
        "",
        f"The {AVERAGE}'s answers (across) to each label (down):",
        "",
        *table(["", *evaluation.labels], _confusion_rows(evaluation)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _metric_rows(evaluation: TaskEvaluation, names: Sequence[str]) -> Iterable[list[str]]:
    for metric in evaluation.served.metrics:
        # What is made of the average by operating points is said of no single network.
        cells = (evaluation.networks[name].metrics.get(metric, _NOTHING) for name in names)
        yield [metric.replace("_", " "), *(str(cell) for cell in cells)]


def _label_rows(evaluation: TaskEvaluation) -> Iterable[list[str]]:
    for label, counts in zip(evaluation.labels, evaluation.served.confusion, strict=True):
        own = evaluation.served.labels[label]
        yield [
            label,
            str(sum(counts)),
            *(str(own[kind]) for kind in ("recall", "auroc", AT_95)),
        ]


def _confusion_rows(evaluation: TaskEvaluation) -> Iterable[list[str]]:
    for label, counts in zip(evaluation.labels, evaluation.served.confusion, strict=True):
        yield [label, *(str(count) for count in counts)]
