"""Refuse a run in which nothing teaches a label, or nothing judges a task."""

import logging

import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.data.tasks import Task
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.training_set import Split

logger = logging.getLogger(__name__)


def refuse_gaps(config: RunConfig, split: Split) -> None:
    """Check that the manifests give each task what it needs; no picture is opened.

    A lab that names its own labels means to learn them all. Of a known task's labels a data set
    may lack some: they are logged, for nothing will be learned of them.

    Args:
        config: Of the run.
        split: Of its manifests.

    Raises:
        PermanentError: `no-samples`: nothing trains a task or a label of the lab's own, or nothing
            judges a task.
    """
    untaught = {task.name: _untaught_labels(task, split, config) for task in config.asked()}
    told = [f"{name} ({', '.join(labels)})" for name, labels in untaught.items() if labels]
    if told:
        logger.warning("no picture trains these labels, and none is learned: %s", "; ".join(told))


def _untaught_labels(task: Task, split: Split, config: RunConfig) -> list[str]:
    """Return the labels of a task that no picture trains, where that may be."""
    taught = _labels_of(task, split, split.trained)
    missing = [label for label in task.labels if label not in taught]
    if not taught:
        raise PermanentError("no-samples", f"No picture that trains has a label of {task.name}.")
    if missing and task.name == config.own_task:
        raise PermanentError(
            "no-samples",
            f"No picture of {', '.join(missing)} trains: give {task.name} pictures of each label "
            "that train, from more than one group, or take the label out of own_labels.",
        )
    if not _labels_of(task, split, ~split.trained):
        kept = "outside split train" if config.fold < 0 else f"in part {config.fold} of the groups"
        raise PermanentError(
            "no-samples",
            f"No picture judges {task.name}: of those {kept}, none has a label of it.",
        )
    return missing


def _labels_of(task: Task, split: Split, chosen: NDArray[np.bool_]) -> set[str]:
    return {
        sample.labels[task.name]
        for sample, use in zip(split.samples, chosen, strict=True)
        if use and task.name in sample.labels
    }
