"""A bundle's heads, learned from some of a laboratory's cells: one for each network and task."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hemaline_train.adaptation.graphs import Features, Heads, heads_of
from hemaline_train.adaptation.head import TaskHead, fit_head
from hemaline_train.adaptation.lab_cells import LabCells, allowed_labels, taught_tasks
from hemaline_train.bundles.bundle import Bundle, task_slices
from hemaline_train.bundles.calibrate import Logits


@dataclass(frozen=True, slots=True, eq=False)
class Teaching:
    """A bundle before a laboratory's cells.

    Attributes:
        features: Network name -> what it sees in each cell, shape (n, channels).
        shipped: Network name -> its heads, with the taught tasks' temperatures worked in.
        allowed: Task name -> which labels each cell may have, shape (n, labels).
    """

    bundle: Bundle
    cells: LabCells
    features: Mapping[str, Features]
    shipped: Mapping[str, Heads]
    allowed: Mapping[str, NDArray[np.bool_]]

    def learned(self, at: NDArray[np.intp]) -> dict[str, Heads]:
        """Return network name -> heads that learned from these cells."""
        return {name: self._taught(name, at) for name in self.shipped}

    def out_of_part(self, count: int | None) -> dict[str, Logits]:
        """Return network name -> logits of all tasks, of heads that never saw a cell's part.

        Args:
            count: How many cells of each class they learned from; None for all.
        """
        given = {
            name: np.zeros((len(self.cells.samples), len(heads.bias)))
            for name, heads in self.shipped.items()
        }
        for part in np.unique(self.cells.parts).tolist():
            taught = self.learned(self.cells.drawn(count, part, seed=part))
            at = np.flatnonzero(self.cells.parts == part)
            for name, heads in taught.items():
                given[name][at] = heads.logits(self.features[name][at])
        return given

    def _taught(self, network: str, at: NDArray[np.intp]) -> Heads:
        shipped = self.shipped[network]
        weight, bias = shipped.weight.copy(), shipped.bias.copy()
        places = task_slices(self.bundle.tasks)
        for name, allowed in self.allowed.items():
            part = places[name]
            known = at[allowed[at].any(axis=1)]
            before = TaskHead(shipped.weight[part], shipped.bias[part])
            after = fit_head(before, self.features[network][known], allowed[known])
            weight[part], bias[part] = after.weight, after.bias
        return Heads(weight, bias)


def teaching_of(bundle: Bundle, cells: LabCells, features: Mapping[str, Features]) -> Teaching:
    """Put a bundle and what its networks see in a laboratory's cells together."""
    tasks = taught_tasks(bundle)
    places = task_slices(bundle.tasks)
    shipped = {}
    for network in bundle.networks:
        heads = heads_of(network.graph)
        for task in tasks:
            temperature = network.calibration[task.name].temperature
            heads.weight[places[task.name]] /= temperature
            heads.bias[places[task.name]] /= temperature
        shipped[network.name] = heads
    allowed = {task.name: allowed_labels(task, cells.samples) for task in tasks}
    return Teaching(bundle, cells, features, shipped, allowed)
