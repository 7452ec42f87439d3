"""The fields that a worker holds at present: how much that is, and when there is room."""

import threading
from collections.abc import Iterable, Sequence
from uuid import UUID

from hemaline_cloud.inference import metrics
from hemaline_cloud.inference.reading import HeldField

_MOST_FIELDS = 64


class Holdings:
    """Bounds what is in flight, by cells and by bytes: that is what memory and time go to."""

    def __init__(self, enough_cells: int, enough_bytes: int) -> None:
        self._enough_cells = enough_cells
        self._enough_bytes = enough_bytes
        self._fields: dict[UUID, HeldField] = {}
        self._changed = threading.Condition()

    def add(self, fields: Sequence[HeldField]) -> None:
        """Note fields that were just leased."""
        with self._changed:
            self._fields.update({field.lease.frame_id: field for field in fields})
            metrics.IN_FLIGHT.set(len(self._fields))

    def remove(self, frame_ids: Iterable[UUID]) -> None:
        """Forget fields that ended or were lost; unknown ones are no error."""
        with self._changed:
            for frame_id in frame_ids:
                self._fields.pop(frame_id, None)
            metrics.IN_FLIGHT.set(len(self._fields))
            self._changed.notify_all()

    def frame_ids(self) -> list[UUID]:
        """Return the held fields."""
        with self._changed:
            return list(self._fields)

    def room_bytes(self) -> int:
        """Return how many bytes of further fields there is room for."""
        with self._changed:
            return self._room_bytes()

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait until more may be leased; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(self._has_room, timeout_s)

    def wait_until_empty(self, timeout_s: float) -> bool:
        """Wait until nothing is held; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._fields, timeout_s)

    def _has_room(self) -> bool:
        fields = self._fields.values()
        return (
            len(fields) < _MOST_FIELDS
            and sum(len(field.cell_ids) for field in fields) < self._enough_cells
            and self._room_bytes() > 0
            and not any(field.lease.alone for field in fields)
        )

    def _room_bytes(self) -> int:
        return self._enough_bytes - sum(field.lease.bytes for field in self._fields.values())
