"""The fields that a worker holds at present: how many, how many cells, and when there is room."""

import threading
from collections.abc import Iterable, Sequence
from uuid import UUID

from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.reading import HeldField

_MOST_FIELDS = 64


class Holdings:
    """Bounds what is in flight by cells, since they are what memory and time go to."""

    def __init__(self, enough_cells: int) -> None:
        self._enough_cells = enough_cells
        self._cells: dict[UUID, int] = {}
        self._changed = threading.Condition()

    def add(self, fields: Sequence[HeldField]) -> None:
        """Note fields that were just leased."""
        with self._changed:
            self._cells.update({field.lease.frame_id: len(field.cell_ids) for field in fields})
            metrics.IN_FLIGHT.set(len(self._cells))

    def remove(self, frame_ids: Iterable[UUID]) -> None:
        """Forget fields that ended or were lost; unknown ones are no error."""
        with self._changed:
            for frame_id in frame_ids:
                self._cells.pop(frame_id, None)
            metrics.IN_FLIGHT.set(len(self._cells))
            self._changed.notify_all()

    def frame_ids(self) -> list[UUID]:
        """Return the held fields."""
        with self._changed:
            return list(self._cells)

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until more may be leased; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(self._has_room, timeout_s)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is held; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._cells, timeout_s)

    def _has_room(self) -> bool:
        return len(self._cells) < _MOST_FIELDS and sum(self._cells.values()) < self._enough_cells
