"""How often readers call cells otherwise than the model. Pure."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from hemaline_cloud.cell_classes import COARSER
from hemaline_cloud.review.reader_counts import wilson
from hemaline_cloud.review.report import NO_CLASS

Key = TypeVar("Key", bound=Hashable)


class SignedCells(NamedTuple):
    """Signed cells of one microscope and model that model and reader call so.

    `machine_hidden`: whether the reader did not know what the model said.
    """

    site: str
    device: str
    bundle_id: str
    bundle_sha256: str
    machine_hidden: bool
    model_class: str
    reader_class: str
    cells: int


@dataclass(frozen=True, slots=True)
class Overrides:
    """How many cells people called something, and how many of these otherwise than the model.

    Attributes:
        cells: That the model called something, and people stand behind as something.
        overridden: Of these, otherwise than the model.
        called: Class -> how many of the overridden ones readers called so, the most first.
    """

    cells: int
    overridden: int
    called: dict[str, int]

    @property
    def rate(self) -> float:
        """The share that was overridden; 0 of no cells."""
        return self.overridden / self.cells if self.cells else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval: it takes each cell as drawn by itself."""
        return wilson(self.overridden, self.cells)


def is_overridden(model: str, reader: str) -> bool:
    """Whether a reader contradicts the model: to say the same more or less exactly is none."""
    return reader not in {model, COARSER.get(model)} and model != COARSER.get(reader)


def overrides_by(
    rows: Iterable[SignedCells], key: Callable[[SignedCells], Key]
) -> dict[Key, Overrides]:
    """Sum up rows that are alike; in the order of the keys' first row.

    A cell that either of the two called nothing is left out: nobody has contradicted anything.
    """
    cells: Counter[Key] = Counter()
    called: dict[Key, Counter[str]] = {}
    for row in rows:
        if NO_CLASS in {row.model_class, row.reader_class}:
            continue
        cells[key(row)] += row.cells
        others = called.setdefault(key(row), Counter())
        if is_overridden(row.model_class, row.reader_class):
            others[row.reader_class] += row.cells
    return {
        one: Overrides(cells[one], others.total(), dict(others.most_common()))
        for one, others in called.items()
    }
