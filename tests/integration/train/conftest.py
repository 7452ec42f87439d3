"""A tiny data set in the form of the real ones, drawn and not photographed."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from parts.threads import one_thread

COLUMNS = ("file", "label", "split", "group", "diagnosis")


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    # A run repeats on as many threads as before.
    with one_thread():
        yield


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """Return a directory with one data set: large pale blasts, small dark lymphocytes."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "aml-deepapl"
    folder.mkdir()
    dice = np.random.default_rng(0)
    lines = ["\t".join(COLUMNS)]
    for number in range(24):
        label = ("blast", "lymphocyte")[number % 2]
        split = "train" if number < 16 else "val"
        picture = dice.normal(215, 12, (360, 360, 3)).clip(0, 255).astype(np.uint8)
        for x, y in dice.integers(0, 360, (12, 2)).tolist():
            cv2.circle(picture, (x, y), 36, (170, 150, 190), cv2.FILLED)
        radius, shade = (70, 150) if label == "blast" else (35, 90)
        middle = tuple(int(value) for value in dice.integers(170, 190, 2))
        cv2.circle(picture, middle, radius, (shade, shade - 60, shade - 20), cv2.FILLED)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        diagnosis = ("APL", "AML-nonAPL")[number // 2 % 2]
        lines.append("\t".join((f"{number}.png", label, split, f"P{number // 2}", diagnosis)))
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    return root
