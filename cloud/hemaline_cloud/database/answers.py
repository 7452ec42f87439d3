"""A bundle's answers as a row holds them: two bytes a probability, in the order of its manifest.

Written as JSON they took 3.9 KB a cell. The labels stand once, in the manifest of the bundle's row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

AVERAGE = "average"

Answers: TypeAlias = dict[str, dict[str, dict[str, float]]]
"""Task -> network (and `average`) -> label -> calibrated probability."""

_ONE = 60000  # so that what has four decimals stays as it is
_KIND = np.dtype(">u2")
_DECIMALS = 5
_ALONE = 1 << 15


@dataclass(frozen=True, slots=True)
class _Task:
    name: str
    labels: tuple[str, ...]
    networks: tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.labels) * len(self.networks)

    def alone(self, network: str) -> "_Task":
        """Return the part of a cell that one network answered alone."""
        return _Task(self.name, self.labels, (network,), (1.0,))


@dataclass(frozen=True, slots=True)
class AnswerLayout:
    """Where each probability of a bundle's tasks of one view stands.

    First two bytes: bit n says whether task n was asked, and in a bundle with a first look of such
    pictures the highest bit whether its first network answered alone. Then, for each task that was
    asked, each network that was, each label: the probability as a part of 60000, the higher byte
    first. The average follows from the networks' weights and is not stored.

    Attributes:
        first: The network that answers some cells, or the fields, alone; empty where none does.
    """

    tasks: tuple[_Task, ...]
    first: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any], view: str) -> "AnswerLayout":
        """Return the layout of a bundle's tasks that look at a `cell` or a `field`.

        Args:
            manifest: As the bundle's row holds it; parts that this version does not know are no
                matter.
            view: Which tasks.
        """
        networks = manifest.get("networks", [])
        names = tuple(network["name"] for network in networks)
        tasks = tuple(
            _Task(task["name"], tuple(task["labels"]), names, _weights(networks, task["name"]))
            for task in manifest.get("tasks", [])
            if task.get("view", "cell") == view
        )
        first = manifest.get("first_look") or {}
        alone = {task.name for task in tasks} <= first.get("temperatures", {}).keys()
        return cls(tasks, first.get("network", "") if view == "cell" or alone else "")

    def pack(self, answers: Mapping[str, Mapping[str, Mapping[str, float]]]) -> bytes:
        """Return what was said as bytes; a task that was not asked is absent."""
        alone = bool(self.first and answers) and all(
            said.keys() <= {self.first, AVERAGE} for said in answers.values()
        )
        mask = sum(1 << place for place, task in enumerate(self.tasks) if task.name in answers)
        mask |= _ALONE if alone else 0
        values = [
            answers[task.name][network][label]
            for task in self._asked(mask)
            for network in task.networks
            for label in task.labels
        ]
        scaled = np.rint(np.asarray(values, np.float64) * _ONE)
        return np.concatenate(([mask], scaled)).astype(_KIND).tobytes()

    def split(self, packed: bytes) -> list[bytes]:
        """Return the parts of what was packed one after the other."""
        values = np.frombuffer(packed, _KIND)
        parts, at = [], 0
        while at < len(values):
            end = at + 1 + sum(task.size for task in self._asked(int(values[at])))
            parts.append(values[at:end].tobytes())
            at = end
        return parts

    def unpack(self, packed: bytes) -> Answers:
        """Return what `pack` was given, to five decimals, with the average of each task."""
        said: Answers = {}
        for task, shares in self._parts(packed):
            named = dict(zip(task.networks, shares, strict=True))
            named[AVERAGE] = _average(task, shares)
            said[task.name] = {name: _by_label(task, row) for name, row in named.items()}
        return said

    def averages(self, packed: bytes, task: str) -> dict[str, float]:
        """Return each label's average of one task; nothing where it was not asked."""
        for part, shares in self._parts(packed):
            if part.name == task:
                return _by_label(part, _average(part, shares))
        return {}

    def _parts(self, packed: bytes) -> Iterator[tuple[_Task, NDArray[np.float64]]]:
        """Give each task that was asked with its probabilities, shape (networks, labels)."""
        mask, *_ = values = np.frombuffer(packed, _KIND)
        at = 1
        for task in self._asked(int(mask)):
            shares = values[at : at + task.size].astype(np.float64) / _ONE
            yield task, shares.reshape(len(task.networks), len(task.labels))
            at += task.size

    def _asked(self, mask: int) -> Iterator[_Task]:
        """Give each task that was asked, with the networks that answered it."""
        alone = self.first and mask & _ALONE
        for place, task in enumerate(self.tasks):
            if mask >> place & 1:
                yield task.alone(self.first) if alone else task


def _weights(networks: Sequence[Mapping[str, Any]], task: str) -> tuple[float, ...]:
    calibrations = (network.get("calibration", {}).get(task, {}) for network in networks)
    return tuple(float(calibration.get("weight", 1.0)) for calibration in calibrations)


def _average(task: _Task, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.average(shares, axis=0, weights=task.weights), np.float64)


def _by_label(task: _Task, shares: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(task.labels, shares.round(_DECIMALS).tolist(), strict=True))
