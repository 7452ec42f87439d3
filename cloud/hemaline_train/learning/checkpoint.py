"""A run's state on disk, whole or not at all: a kill at any point loses one epoch at most."""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from hemaline_shared.errors import PermanentError
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.networks import Network

FILE = "checkpoint.pt"


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
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise PermanentError("checkpoint", f"{file} is no checkpoint: {error}") from error
    return state


def new_network(config: RunConfig) -> Network:
    """Build the network of a run, with random weights."""
    heads = {task.name: len(task.labels) for task in config.asked()}
    return Network(config.architecture, heads, config.input_px, config.dropout)


def trained_network(file: Path) -> tuple[RunConfig, Network]:
    """Return a run's settings and its averaged network, ready to answer.

    Raises:
        PermanentError: `checkpoint`.
    """
    state = load_checkpoint(file)
    config = RunConfig.model_validate_json(state["config"])
    network = new_network(config)
    network.load_state_dict(state["average"])
    return config, network.eval()
