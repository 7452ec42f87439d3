"""Lay out pictures whose labels people should look at; what networks say of them lies apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.errors import PermanentError
from hemaline_train.data.contact_sheet import contact_sheets
from hemaline_train.data.manifest_rows import write_rows
from hemaline_train.data.prepare import prepare
from hemaline_train.data.reviewed import COLUMNS, verdicts_on
from hemaline_train.data.samples import Sample
from hemaline_train.learning.frozen import WEIGHTS, frozen_features
from hemaline_train.reports.label_doubts import Doubt, doubts, out_of_fold

REVIEW, ANSWERS = "review.tsv", "answers.tsv"
_SEEN_PX = 160
"""What the networks see of a crop: half the work of the whole, for a second opinion."""


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """What to lay out.

    Attributes:
        folders: Data set's name -> its folder.
        labels: Every picture of these; where there are none, those whose label the networks doubt.
        most: So many of the most doubted.
        weights: Of the networks that doubt; None where none are asked.
    """

    folders: Mapping[str, Path]
    labels: tuple[str, ...]
    most: int
    weights: Path | None


def lay_out(
    samples: Sequence[Sample], request: ReviewRequest, cache: Path, out: Path
) -> tuple[int, int]:
    """Write the sheets, and the table that takes the verdicts; return how many pictures and sheets.

    Pictures that have a verdict already are not laid out again. The order is random, so that
    neighbours say nothing of each other. What the networks answered is a file of its own.

    Args:
        samples: Of all folders, as they come; those without a label are left out.
        request: What to lay out.
        cache: For prepared pixels.
        out: A new or empty folder.

    Raises:
        PermanentError: `review-folder`: it has a review already; `no-samples`: nothing is left to
            look at; `folds`, `weights`, or an image cannot be read.
    """
    if (out / REVIEW).exists():
        raise PermanentError(
            "review-folder", f"{out / REVIEW} is there already. Name a new folder with --out."
        )
    labelled = [sample for sample in samples if sample.labels]
    found = {} if request.labels else _doubted(labelled, request, cache)
    chosen = [
        place
        for place, sample in enumerate(labelled)
        if (place in found or _label(sample) in request.labels) and not _judged(sample, request)
    ]
    if not chosen:
        raise PermanentError("no-samples", "No picture is left to look at.")
    order = np.random.default_rng(0).permutation(chosen).tolist()
    out.mkdir(parents=True, exist_ok=True)
    shown = [labelled[place] for place in order]
    sheets = _write_sheets(shown, prepare(shown, cache), out)
    write_rows(out / REVIEW, ("number", *COLUMNS), _rows(shown, request))
    if found:
        said = [(str(n), *_answers(found[place])) for n, place in enumerate(order)]
        write_rows(out / ANSWERS, ("number", *WEIGHTS, "strength"), said)
    return len(shown), sheets


def _doubted(samples: Sequence[Sample], request: ReviewRequest, cache: Path) -> dict[int, Doubt]:
    labels = [_label(sample) for sample in samples]
    pixels = prepare(samples, cache)
    answers = {}
    for network in WEIGHTS:
        features = frozen_features(network, request.weights, pixels, _SEEN_PX)
        names, answers[network] = out_of_fold(features, labels, samples)
    return {one.place: one for one in doubts(names, answers, labels)[: request.most]}


def _write_sheets(samples: Sequence[Sample], pixels: NDArray[np.uint8], out: Path) -> int:
    captions = [f"{number} {_label(sample)}" for number, sample in enumerate(samples)]
    count = 0
    for first, sheet in contact_sheets(pixels, captions):
        cv2.imwrite(str(out / f"sheet-{first:04d}.png"), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        count += 1
    return count


def _rows(samples: Sequence[Sample], request: ReviewRequest) -> list[tuple[str, ...]]:
    return [
        (
            str(number),
            sample.data_set.name,
            _file(sample, request),
            _label(sample),
            *("" for _ in COLUMNS[3:]),
        )
        for number, sample in enumerate(samples)
    ]


def _judged(sample: Sample, request: ReviewRequest) -> bool:
    folder = request.folders[sample.data_set.name]
    return _file(sample, request) in verdicts_on(sample.data_set.name, folder)


def _file(sample: Sample, request: ReviewRequest) -> str:
    return sample.path.relative_to(request.folders[sample.data_set.name]).as_posix()


def _label(sample: Sample) -> str:
    return next(iter(sample.labels.values()))


def _answers(doubt: Doubt) -> tuple[str, ...]:
    return (*doubt.answers.values(), f"{doubt.strength:.3f}")
