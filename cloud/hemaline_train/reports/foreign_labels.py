"""The labels of others' folders in a bundle's words: fine ones merge, spellings differ."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from hemaline_train.data.data_set import DataSet, Row
from hemaline_train.data.lab_data import lab_data_set
from hemaline_train.data.tasks import MERGED, Task

NO_WHITE_CELL = frozenset(
    {"artefact", "artifact", "background", "debris", "erythrocyte", "giant-platelet", "platelet"}
    | {"rbc", "red-blood-cell", "red-cell", "thrombocyte"}
)
"""What others label beside white cells; a classifier of white cells is not judged by it."""

_OTHER_NAMES: Mapping[str, str] = {
    "atypical-lymphocyte": "lymphocyte-variant",
    "band-neutrophil": "neutrophil-band",
    "ig": "immature-granulocyte",
    "lymphoblast": "blast",
    "myeloblast": "blast",
    "normoblast": "erythroblast",
    "nrbc": "erythroblast",
    "reactive-lymphocyte": "lymphocyte-variant",
    "segmented-neutrophil": "neutrophil-segmented",
    "smudge-cell": "smudge",
    "variant-lymphocyte": "lymphocyte-variant",
}


def spelt(label: str) -> str:
    """Return a label as Hemaline spells it: `Band neutrophils` is `neutrophil-band`."""
    plain = label.strip().lower().replace("_", "-").replace(" ", "-")
    one = plain if plain in NO_WHITE_CELL else plain.removesuffix("s")
    return _OTHER_NAMES.get(one, one)


def in_words_of(task: Task, label: str) -> str:
    """Return the task's label for one of somebody else's, or that itself where it has none."""
    plain = spelt(label)
    own = (label, plain, MERGED.get(plain, ""))
    return next((one for one in own if one in task.labels), label)


def judging_tasks(tasks: Sequence[Task], labels: Collection[str]) -> tuple[Task, ...]:
    """Return the tasks that know the most of these labels; none where no task knows any."""
    known = [sum(in_words_of(task, one) in task.labels for one in labels) for task in tasks]
    most = max(known, default=0)
    return tuple(
        task for task, count in zip(tasks, known, strict=True) if count == most and most > 0
    )


def foreign_data_set(
    name: str, labels: Collection[str], tasks: Sequence[Task], um_per_px: float | None
) -> DataSet:
    """Describe a folder that is in no catalogue, so that it answers a bundle's tasks.

    Args:
        name: Of the folder.
        labels: All of its manifest.
        tasks: Of the bundle.
        um_per_px: The optics; None to judge them by each image's red cells.
    """
    chosen = judging_tasks(tasks, labels) or tuple(tasks[:1])
    # What a task has no word for is read under its own name, so that it can be told of.
    read = [
        replace(task, labels=tuple(dict.fromkeys((*task.labels, *sorted(labels)))))
        for task in chosen
    ]
    whole = lab_data_set(name, read[0], um_per_px)
    return replace(whole, tasks=tuple(read), labels_of=_labels_of(chosen))


def _labels_of(tasks: Sequence[Task]) -> Callable[[Row], dict[str, str]]:
    return lambda row: {task.name: in_words_of(task, row["label"]) for task in tasks}


def told(left_out: Mapping[str, int], bundle: str) -> str:
    """Say in a sentence which pictures are not judged, and why; empty where all are."""
    others = {one: n for one, n in left_out.items() if spelt(one) not in NO_WHITE_CELL}
    no_cells = {one: n for one, n in left_out.items() if one not in others}
    parts = [
        f"{_counted(one)} {why}"
        for one, why in (
            (no_cells, "(no white cells)"),
            (others, f"({bundle} was not taught that)"),
        )
        if one
    ]
    return f"Left out: {'; '.join(parts)}." if parts else ""


def _counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {label}" for label, count in sorted(left_out.items()))
