"""A run's state on disk, whole or not at all: a kill at any point loses one epoch at most."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.networks import Network
from hemaline_train.learning.tensor_file import read_tensors
from hemaline_train.toml_file import problems_in

FILE = "checkpoint.pt"


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a checkpoint holds.

    Attributes:
        network: The average of the weights, ready to answer.
        epoch: How many are done; `config.last_epoch` where the run is finished.
        origin: What it learned from, by content; empty where nobody recorded it.
    """

    config: RunConfig
    network: Network
    epoch: int
    origin: Mapping[str, Any]


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace a run's checkpoint, durably."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".checkpoint-", delete=False) as draft:
        torch.save(state, draft)
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).replace(folder / FILE)


def load_checkpoint(file: Path) -> dict[str, Any]:
    """Read a checkpoint; only tensors and plain values are let in.

    Raises:
        PermanentError: `checkpoint`: it is missing or damaged.
    """
    return read_tensors(file, "checkpoint", "a checkpoint")


@contextmanager
def taken_from(file: Path) -> Iterator[None]:
    """Say in a sentence where a checkpoint's parts are not those that are taken from it.

    Raises:
        PermanentError: `checkpoint`: another version wrote it, or it is of another kind.
    """
    try:
        yield
    except ValidationError as error:
        raise _foreign(file, f"of its settings, {problems_in(error)}") from error
    except KeyError as error:
        raise _foreign(file, f"it has no {error}") from error
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise _foreign(file, f"its weights do not fit: {str(error).partition(':')[0]}") from error


def new_network(config: RunConfig) -> Network:
    """Build the network of a run, with random weights."""
    heads = {task.name: len(task.labels) for task in config.asked()}
    return Network(config.architecture, heads, config.input_px, config.dropout)


def trained_run(file: Path) -> Trained:
    """Return a run's settings, its averaged network, and how far it is.

    Raises:
        PermanentError: `checkpoint`.
    """
    state = load_checkpoint(file)
    with taken_from(file):
        config = RunConfig.model_validate_json(state["config"])
        network = new_network(config)
        network.load_state_dict(state["average"])
        return Trained(config, network.eval(), int(state["epoch"]), state.get("origin", {}))


def finished_run(file: Path, reason: str = "checkpoint") -> Trained:
    """Return what a run learned to its end.

    Raises:
        PermanentError: `checkpoint`, or the given reason: it is not finished.
    """
    run = trained_run(file)
    if run.epoch < run.config.last_epoch:
        raise PermanentError(
            reason,
            f"{run.config.name} is at epoch {run.epoch} of {run.config.last_epoch}: finish it, or, "
            f"if it is to end there, set its stop_after to {run.epoch} and train it once more.",
        )
    return run


def trained_network(file: Path) -> tuple[RunConfig, Network]:
    """Return a run's settings and its averaged network, finished or not.

    Raises:
        PermanentError: `checkpoint`.
    """
    run = trained_run(file)
    return run.config, run.network


def _foreign(file: Path, why: str) -> PermanentError:
    return PermanentError(
        "checkpoint",
        f"{file} is no checkpoint of such a run, or another version wrote it: {why}.",
    )
