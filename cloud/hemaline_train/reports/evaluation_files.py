"""Write evaluations to files: JSON for machines, Markdown and pictures for people."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hemaline_train.judging.markdown import evaluation_section
from hemaline_train.judging.plots import draw_reliability, draw_roc, roc_of_labels
from hemaline_train.judging.task_evaluation import AVERAGE, TaskEvaluation
from hemaline_train.reports.evaluate import Answered


def write_json(evaluations: Sequence[TaskEvaluation], file: Path) -> None:
    """Write a list with one object for each task."""
    content = [evaluation.as_json() for evaluation in evaluations]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_report(
    answered: Sequence[Answered], evaluations: Sequence[TaskEvaluation], folder: Path
) -> Path:
    """Write `<data set>-<split>` as .json and .md, and two .png for each task.

    Args:
        answered: At least one, all of one data set.
        evaluations: Of each.
        folder: Files of that name in it are written over.

    Returns:
        The Markdown file.
    """
    stem = f"{evaluations[0].data_set}-{evaluations[0].split}"
    write_json(evaluations, folder / f"{stem}.json")
    parts = [f"# {evaluations[0].bundle} on {evaluations[0].data_set}"]
    for one, evaluation in zip(answered, evaluations, strict=True):
        pictures = draw(one, folder)
        links = "\n".join(f"![{caption}]({file})" for caption, file in pictures.items())
        parts.append(f"{evaluation_section(evaluation)}\n{links}")
    report = folder / f"{stem}.md"
    report.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return report


def draw(one: Answered, folder: Path) -> dict[str, str]:
    """Draw reliability and ROC curves of one task's answers; return caption -> file name."""
    name = one.samples[0].data_set.name
    stem = f"{name}-{one.split}-{one.task.name}"
    title = f"{one.task.name} on {name}, {one.split}"
    truth = np.array([one.task.index(sample.labels[one.task.name]) for sample in one.samples])
    draw_reliability(folder / f"{stem}-reliability.png", title, truth, one.answers)
    curves = roc_of_labels(one.task, one.samples, one.answers[AVERAGE])
    draw_roc(folder / f"{stem}-roc.png", f"{title}: {AVERAGE}", curves)
    return {
        f"Reliability, {title}": f"{stem}-reliability.png",
        f"ROC, {title}": f"{stem}-roc.png",
    }
