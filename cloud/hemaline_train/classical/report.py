"""What a system did: one entry for each figure, in the form in which it is kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_train.judging.metrics import Interval


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of one system, or of one variant of it.

    Attributes:
        variant: What decides, where a system is tried with several: "svm"; empty otherwise.
        n: How many pictures or patients judge; `groups`: of how many groups.
        low, high: The 95 % interval over groups; None where there are too few.
    """

    variant: str
    task: str
    data_set: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    groups: int


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one system.

    Attributes:
        seconds: Processor time that fitting and judging took.
        notes: What a reader must know of the figures.
    """

    system: str
    reference: str
    method: str
    weakness: str
    seconds: float
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    @property
    def variants(self) -> tuple[str, ...]:
        """Return the variants in the order in which they were tried."""
        return tuple(dict.fromkeys(entry.variant for entry in self.entries)) or ("",)

    def find(self, variant: str, task: str, data_set: str, metric: str) -> Entry | None:
        """Return one figure, or None if the system does not speak to it."""
        for entry in self.entries:
            if (entry.variant, entry.task, entry.data_set, entry.metric) == (
                variant,
                task,
                data_set,
                metric,
            ):
                return entry
        return None

    def write(self, file: Path) -> None:
        """Write the report whole or not at all."""
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        draft.replace(file)


def read_report(file: Path) -> Report:
    """Read a report that `Report.write` wrote.

    Raises:
        PermanentError: `report`: the file is missing or has another form.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        entries = tuple(Entry(**entry) for entry in found.pop("entries"))
        return Report(entries=entries, notes=tuple(found.pop("notes")), **found)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PermanentError("report", f"{file} is no report of a system: {error!r}.") from error


def entries_of(
    figures: Mapping[str, Interval], *, variant: str, task: str, data_set: str, n: int, groups: int
) -> list[Entry]:
    """Return an entry for each figure that is defined."""
    return [
        Entry(variant, task, data_set, name, one.value, one.low, one.high, n, groups)
        for name, one in figures.items()
        if one.value is not None
    ]
