"""Which runs make a bundle together, what it answers, and what its networks are called."""

from collections.abc import Sequence

from hemaline_shared.errors import PermanentError
from hemaline_train.data.tasks import APL, CELL_CLASS, Task
from hemaline_train.learning.config import RunConfig


def fitting(
    configs: Sequence[RunConfig], names: Sequence[str]
) -> tuple[list[str], tuple[Task, ...]]:
    """Return what the networks of these runs are called and what they answer together.

    Args:
        configs: Of the runs; the first one's tasks and samples decide.
        names: Of the tasks that are served; all where none is named.

    Raises:
        PermanentError: `no-head` or `other-run`: see below.
    """
    served = served_tasks(configs[0], names)
    for other in configs[1:]:
        refuse_other(configs[0], other, served)
    return network_names(configs), served


def served_tasks(config: RunConfig, names: Sequence[str]) -> tuple[Task, ...]:
    """Return a run's tasks in the order of a bundle: the one that names cells comes first.

    Raises:
        PermanentError: `no-head`: the run was not taught one of them, or one needs another.
    """
    asked = {task.name: task for task in config.asked()}
    if unknown := set(names) - set(asked):
        raise PermanentError(
            "no-head",
            f"{config.name} learned {', '.join(asked)}, not {', '.join(sorted(unknown))}.",
        )
    chosen = [asked[name] for name in names or asked]
    if APL in chosen and CELL_CLASS not in chosen:
        raise PermanentError(
            "no-head",
            f"{APL.name} is asked of cells that {CELL_CLASS.name} calls immature: serve both.",
        )
    return tuple(sorted(chosen, key=lambda task: task != CELL_CLASS))


def network_names(configs: Sequence[RunConfig]) -> list[str]:
    """Return the architectures, or where one occurs twice the runs' names.

    Raises:
        PermanentError: `other-run`: a run is given twice.
    """
    for names in ([one.architecture for one in configs], [one.name for one in configs]):
        if len(set(names)) == len(names):
            return [str(name) for name in names]
    raise PermanentError("other-run", "A run is given twice: a bundle's networks must differ.")


def refuse_other(first: RunConfig, other: RunConfig, tasks: Sequence[Task]) -> None:
    """Check that a run can stand beside the first one of a bundle.

    Raises:
        PermanentError: `other-run`: it answers other questions, at another scale, or may have
            trained on what calibrates the bundle.
    """
    if missing := [task.name for task in tasks if task not in other.asked()]:
        raise PermanentError(
            "other-run", f"{other.name} does not answer {', '.join(missing)} as {first.name} does."
        )
    if (other.fold, other.folds) != (first.fold, first.folds):
        raise PermanentError(
            "other-run",
            f"{other.name} was judged by other samples than {first.name}, and may have trained on "
            "those that would calibrate it.",
        )
    if other.own_um_per_px != first.own_um_per_px:
        raise PermanentError(
            "other-run", f"{other.name} was taught at another own_um_per_px than {first.name}."
        )
