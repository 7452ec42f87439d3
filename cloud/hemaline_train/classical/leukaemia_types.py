"""System K: one SVM over the types of leukaemia that data exist for, and why not to believe it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hemaline_shared.pixels.crops import CANONICAL_UM_PER_PX, CROP_PX
from hemaline_shared.pixels.stain import optical_density, purple
from hemaline_shared.pixels.types import RgbImage
from hemaline_train.classical.bench import Bench, Part
from hemaline_train.classical.descriptions import OTSU_CELLS
from hemaline_train.classical.learning import Lesson, learn_svm
from hemaline_train.classical.report import Entry, entries_of
from hemaline_train.data.tasks import ALL_SUBTYPE, APL
from hemaline_train.judging.metrics import balanced_accuracy_figure, over_groups
from hemaline_train.judging.shortcuts import measure_shortcuts

TYPES = ("benign", "ALL", "AML")
WITHOUT_DATA = ("CLL", "CML")
TASK = "leukaemia-type"
DATA_SET = "all-taleqani + aml-deepapl"

_FIELD_UM_PER_PX = 0.45
_FIELD_CELL_PX = round(CROP_PX * CANONICAL_UM_PER_PX / _FIELD_UM_PER_PX)


def judge_union(bench: Bench) -> tuple[list[Entry], list[str]]:
    """Learn the types over both laboratories, and the same labels from what should not matter.

    Both laboratories' cells are brought to the coarser scale first, so that sharpness does not
    give the laboratory away.
    """
    taught, judged = (_both(bench, split) for split in ("train", "val"))
    rows = OTSU_CELLS.rows(taught[0], bench.cache)
    answer = learn_svm(Lesson(rows, taught[1], _numbers(taught[2]), TYPES))
    given = answer(OTSU_CELLS.rows(judged[0], bench.cache)).argmax(axis=1)
    truth = judged[1]
    figures = {"svm": over_groups(balanced_accuracy_figure(truth, given), judged[2])}
    trained = np.arange(len(taught[0]) + len(judged[0])) < len(taught[0])
    labels = [TYPES[place] for place in np.concatenate([taught[1], truth]).tolist()]
    for one in measure_shortcuts(
        np.concatenate([taught[0], judged[0]]), labels, trained, taught[2] + judged[2]
    ):
        figures[f"{one.name} alone"] = one.balanced_accuracy
    entries = [
        entry
        for variant, figure in figures.items()
        for entry in entries_of(
            {"balanced_accuracy": figure},
            variant=variant,
            task=TASK,
            data_set=DATA_SET,
            n=len(truth),
            groups=len(set(judged[2])),
        )
    ]
    confounded = (
        "Every cell of AML comes from one laboratory, every cell of ALL and every benign one from "
        "another: telling the types apart is telling the laboratories apart. The shortcuts' rows "
        "say how far the glass round the cell and the overall colour get by themselves."
    )
    return entries, [
        confounded,
        *(f"{name}: no training data, so no figure and no claim." for name in WITHOUT_DATA),
    ]


Cells = tuple[NDArray[np.uint8], NDArray[np.intp], list[str]]
"""Canonical crops, their types as places, their groups."""


def _both(bench: Bench, split: str) -> Cells:
    fields = bench.part(ALL_SUBTYPE, "all-taleqani", split)
    cells = bench.part(APL, "aml-deepapl", split)
    crops = [
        *map(cell_of_field, fields.pixels[fields.places]),
        *map(_coarsened, cells.pixels[cells.places]),
    ]
    benign = ALL_SUBTYPE.index("benign")
    lymphoid = np.where(fields.targets == benign, TYPES.index("benign"), TYPES.index("ALL"))
    myeloid = np.full(len(cells.samples), TYPES.index("AML"))
    return np.stack(crops), np.concatenate([lymphoid, myeloid]), _names(fields) + _names(cells)


def cell_of_field(field: RgbImage) -> RgbImage:
    """Return the crop round the largest nucleus of a field of 0.45 µm per pixel."""
    tint = cv2.GaussianBlur(purple(optical_density(field)), (0, 0), 6.0)
    half = _FIELD_CELL_PX // 2
    inner = tint[half:-half, half:-half]
    row, column = np.unravel_index(int(inner.argmax()), inner.shape)
    window = field[row : row + 2 * half, column : column + 2 * half]
    return np.asarray(cv2.resize(window, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC))


def _coarsened(crop: RgbImage) -> RgbImage:
    small = cv2.resize(crop, (_FIELD_CELL_PX, _FIELD_CELL_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC))


def _names(part: Part) -> list[str]:
    return [sample.groups[0] for sample in part.samples]


def _numbers(groups: list[str]) -> NDArray[np.intp]:
    return np.unique(groups, return_inverse=True)[1]
