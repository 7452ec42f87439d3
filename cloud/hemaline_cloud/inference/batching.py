"""Fills batches with crops across fields and slides: as large as can be, as soon as must be."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hemaline_cloud.inference.reading import HeldField, ReadField
from hemaline_cloud.inference.runtime import Crops, Logits
from hemaline_cloud.inference.verdicts import Verdict, judge
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Manifest


@dataclass(slots=True)
class FieldInProgress:
    """A field whose crops may lie in several batches; `verdicts` grows in crop order.

    Attributes:
        judged: Crops that came back from the networks, with a verdict or with a failure.
        failure: Why the field cannot have a result.
    """

    held: HeldField
    verdicts: list[Verdict] = field(default_factory=list)
    judged: int = 0
    failure: PermanentError | None = None

    @property
    def complete(self) -> bool:
        """Whether every crop came back."""
        return self.judged == len(self.held.cell_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops of several fields, in order: so many of the first, so many of the next."""

    crops: Crops
    shares: Sequence[tuple[FieldInProgress, int]]


@dataclass(slots=True)
class _Waiting:
    progress: FieldInProgress
    crops: Crops
    since: float


class BatchFiller:
    """Keeps crops until a batch is full or its first crop has waited long enough.

    Times are seconds of any clock that only goes forward.
    """

    def __init__(self, batch_size: int, max_wait_s: float) -> None:
        self._batch_size = batch_size
        self._max_wait_s = max_wait_s
        self._waiting: deque[_Waiting] = deque()
        self._crops = 0

    def add(self, read: ReadField, now: float) -> None:
        """Queue the crops of a field that has some."""
        self._waiting.append(_Waiting(FieldInProgress(read.held), read.crops, now))
        self._crops += len(read.crops)

    def due_in(self, now: float) -> float | None:
        """Return the seconds until a batch must go (0: now), or None while nothing waits."""
        if not self._waiting:
            return None
        if self._crops >= self._batch_size:
            return 0.0
        return max(0.0, self._waiting[0].since + self._max_wait_s - now)

    def take(self) -> Batch:
        """Return the oldest crops, one batch at most; something must be waiting."""
        shares: list[tuple[FieldInProgress, int]] = []
        parts: list[Crops] = []
        room = self._batch_size
        while room and self._waiting:
            first = self._waiting[0]
            part = first.crops[:room]
            shares.append((first.progress, len(part)))
            parts.append(part)
            room -= len(part)
            first.crops = first.crops[len(part) :]
            if not len(first.crops):
                self._waiting.popleft()
        crops = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._crops -= len(crops)
        return Batch(np.ascontiguousarray(crops), shares)


def hand_out(
    batch: Batch, manifest: Manifest, logits: Mapping[str, Logits]
) -> list[FieldInProgress]:
    """Judge a batch's crops field by field; return the fields that are now complete.

    A field whose crops give no usable numbers fails alone, not with its batch.
    """
    start = 0
    for progress, crops in batch.shares:
        own = {name: values[start : start + crops] for name, values in logits.items()}
        try:
            progress.verdicts.extend(judge(manifest, own))
        except PermanentError as error:
            progress.failure = error
        progress.judged += crops
        start += crops
    return [progress for progress, _ in batch.shares if progress.complete]
