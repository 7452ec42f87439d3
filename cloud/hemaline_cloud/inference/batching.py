"""Fills batches with pictures across fields and slides: as large as can, as soon as must be."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hemaline_cloud.inference.heat_maps import heat_maps
from hemaline_cloud.inference.reading import HeldField, ReadField
from hemaline_cloud.inference.runtime import Crops, Logits, Looked, Output
from hemaline_cloud.inference.verdicts import Answers, Verdict, judge, judge_fields
from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import Manifest


@dataclass(slots=True)
class FieldInProgress:
    """A field whose pictures may lie in several batches; `verdicts` grows in crop order.

    Attributes:
        pictures: Its cells' crops, and itself if anything is asked of whole fields.
        answers: What was said of the field itself.
        look: As it was read.
        judged: Pictures that came back from the networks, with a verdict or with a failure.
        failure: Why it could not be judged this time, together with others.
    """

    held: HeldField
    pictures: int
    verdicts: list[Verdict] = field(default_factory=list)
    answers: Answers | None = None
    look: bytes | None = None
    judged: int = 0
    failure: Exception | None = None

    @property
    def complete(self) -> bool:
        """Whether every picture came back."""
        return self.judged == self.pictures


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Crops of several fields, in order: so many of the first, so many of the next.

    Attributes:
        cells: Shape (n,): which pictures are cells and not whole fields.
    """

    crops: Crops
    cells: NDArray[np.bool_]
    shares: Sequence[tuple[FieldInProgress, int]]


@dataclass(slots=True)
class _Waiting:
    progress: FieldInProgress
    crops: Crops
    cells: int
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
        """Queue the pictures of a field that has some."""
        progress = FieldInProgress(read.held, len(read.crops), look=read.look)
        self._waiting.append(_Waiting(progress, read.crops, len(read.held.cell_ids), now))
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
        cells: list[NDArray[np.bool_]] = []
        room = self._batch_size
        while room and self._waiting:
            first = self._waiting[0]
            part = first.crops[:room]
            shares.append((first.progress, len(part)))
            parts.append(part)
            cells.append(np.arange(len(part)) < first.cells)
            first.cells = max(0, first.cells - len(part))
            room -= len(part)
            first.crops = first.crops[len(part) :]
            if not len(first.crops):
                self._waiting.popleft()
        crops = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self._crops -= len(crops)
        return Batch(crops, np.concatenate(cells), shares)


def hand_out(batch: Batch, manifest: Manifest, looked: Looked) -> list[FieldInProgress]:
    """Judge a batch's pictures field by field; return the fields that are now complete.

    A field whose pictures give no usable numbers fails alone, not with its batch.
    """
    start = 0
    for progress, pictures in batch.shares:
        cells = min(pictures, len(progress.held.cell_ids) - progress.judged)
        try:
            if cells:
                own = _part(looked.outputs, slice(start, start + cells))
                alone = looked.alone[start : start + cells]
                progress.verdicts.extend(_judge_cells(manifest, own, alone))
            if pictures > cells:  # a field's own picture comes after its cells
                place = start + cells
                asked = manifest.alone() if looked.alone[place] else manifest
                given = _part(looked.outputs, slice(place, place + 1))
                own = {one.name: given[one.name] for one in asked.networks}
                (progress.answers,) = judge_fields(asked, _logits(own))
        except PermanentError as error:
            progress.failure = error
        progress.judged += pictures
        start += pictures
    return [progress for progress, _ in batch.shares if progress.complete]


def hand_back(batch: Batch, failure: Exception) -> list[FieldInProgress]:
    """Note that a batch failed as a whole; return the fields that are now complete."""
    for progress, pictures in batch.shares:
        progress.failure = failure
        progress.judged += pictures
    return [progress for progress, _ in batch.shares if progress.complete]


def _part(outputs: Mapping[str, Output], pictures: slice | NDArray[np.bool_]) -> dict[str, Output]:
    return {name: output.of(pictures) for name, output in outputs.items()}


def _logits(outputs: Mapping[str, Output]) -> dict[str, Logits]:
    return {name: output.logits for name, output in outputs.items()}


def _judge_cells(
    manifest: Manifest, outputs: Mapping[str, Output], alone: NDArray[np.bool_]
) -> list[Verdict]:
    """Judge each cell by the networks that were asked about it."""
    if not alone.any():
        return _judge_by(manifest, outputs)
    own = manifest.alone()
    first = {one.name: outputs[one.name] for one in own.networks}
    by_one = iter(_judge_by(own, _part(first, alone)))
    by_all = iter(_judge_by(manifest, _part(outputs, ~alone)) if not alone.all() else ())
    return [next(by_one if one else by_all) for one in alone.tolist()]


def _judge_by(manifest: Manifest, outputs: Mapping[str, Output]) -> list[Verdict]:
    verdicts = judge(manifest, _logits(outputs))
    named = [verdict.likeliest for verdict in verdicts if verdict.likeliest]
    if not named:  # an untrained bundle has learned nothing that a map could show
        return verdicts
    maps = {name: output.maps for name, output in outputs.items()}
    seen = heat_maps(manifest, maps, named)
    return [
        replace(verdict, heat_map=heat_map)
        for verdict, heat_map in zip(verdicts, seen, strict=True)
    ]
