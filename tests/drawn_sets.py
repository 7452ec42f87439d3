"""Cartoons of labelled data sets: cells whose nucleus, cytoplasm and kind are known."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

GLASS, RED = (236, 230, 226), (222, 158, 150)

KINDS = {
    # kind: radius of the cell, of the nucleus, in pixels of 0.1 µm; cytoplasm; nucleus
    "blast": (66, 54, (168, 160, 214), (118, 72, 168)),
    "erythroblast": (44, 24, (204, 158, 180), (60, 34, 92)),
    "lymphocyte": (40, 34, (170, 180, 224), (88, 52, 142)),
    "neutrophil-segmented": (62, 22, (198, 150, 184), (92, 56, 150)),
}


@dataclass(frozen=True)
class DrawnCell:
    """RGB, and the true masks."""

    image: NDArray[np.uint8]
    nucleus: NDArray[np.bool_]
    cell: NDArray[np.bool_]


def draw_cell(kind: str, seed: int = 0, side: int = 224) -> DrawnCell:
    """One cell in the middle of a picture of 0.1 µm per pixel, red cells round it."""
    dice = np.random.default_rng(seed)
    radius, inner, pale, dark = KINDS[kind]
    image = np.full((side, side, 3), GLASS, np.uint8)
    middle = tuple(int(side / 2 + value) for value in dice.integers(-4, 5, 2))
    for angle in dice.uniform(0, 2 * np.pi, 4):
        away = radius + 46 + dice.uniform(0, 20)
        at = (int(middle[0] + away * np.cos(angle)), int(middle[1] + away * np.sin(angle)))
        cv2.circle(image, at, 36, RED, cv2.FILLED, cv2.LINE_AA)
    cell, nucleus = (np.zeros((side, side), np.uint8) for _ in range(2))
    cv2.circle(cell, middle, radius, 1, cv2.FILLED)
    lobes = ((-20, -12), (16, -14), (0, 20)) if kind.startswith("neutrophil") else ((0, 0),)
    for x, y in lobes:
        cv2.circle(nucleus, (middle[0] + x, middle[1] + y), inner, 1, cv2.FILLED)
    image[cell > 0], image[nucleus > 0] = pale, dark
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    noisy = image.astype(np.float64) + dice.normal(0, 4, image.shape)
    return DrawnCell(noisy.clip(0, 255).astype(np.uint8), nucleus > 0, cell > 0)


def draw_subtype_field(kind: int, seed: int) -> NDArray[np.uint8]:
    """A field of 224 pixels with some nuclei; the kind decides how large and how many."""
    dice = np.random.default_rng(seed)
    image = np.full((224, 224, 3), GLASS, np.uint8)
    for x, y in dice.integers(0, 224, (14, 2)).tolist():
        cv2.circle(image, (x, y), 8, RED, cv2.FILLED)
    for x, y in dice.integers(30, 190, (3 + 3 * kind, 2)).tolist():
        cv2.circle(image, (x, y), 8 + 2 * kind, (110, 66, 160), cv2.FILLED)
    return image


def draw_all_sets(root: Path) -> Path:
    """Every data set that the leaderboard needs, a few pictures each."""
    _draw_cells(root / "aml-deepapl")
    _draw_subtypes(root / "all-taleqani")
    _draw_masked(root / "wbc-seg")
    for name in ("bccd", "txl-pbc", "draaslan-bcd", "chula-wbc5"):
        _draw_boxed(root / name)
    return root


def _draw_cells(folder: Path) -> None:
    rows = []
    for number in range(48):
        patient, kind = number // 4, list(KINDS)[number % 4]
        split = "train" if patient < 8 else "val"
        diagnosis = ("APL", "AML-nonAPL")[patient % 2]
        file = _save(folder, f"{number}.png", draw_cell(kind, number).image)
        rows.append((file, kind, split, f"P{patient}", diagnosis))
    _manifest(folder, ("file", "label", "split", "group", "diagnosis"), rows)


def _draw_subtypes(folder: Path) -> None:
    rows = []
    for number in range(32):
        kind, split = number % 4, "train" if number < 20 else "val"
        label = ("benign", "early-pre-b", "pre-b", "pro-b")[kind]
        file = _save(folder, f"{number}.png", draw_subtype_field(kind, number))
        rows.append((file, label, split, f"c{number // 4}", f"o{number}"))
    _manifest(folder, ("file", "label", "split", "group", "overlap_group"), rows)


def _draw_masked(folder: Path) -> None:
    rows = []
    for number in range(6):
        drawn = draw_cell(("lymphocyte", "blast")[number % 2], number)
        mask = drawn.cell.astype(np.uint8) * 128
        mask[drawn.nucleus] = 255
        file = _save(folder, f"d2_{number}.png", drawn.image)
        at = _save(folder, f"mask_{number}.png", mask)
        split = "train" if number < 2 else "val"
        rows.append((file, "lymphocyte", split, f"d2-c{number}", at, _boxes(drawn)))
    _manifest(folder, ("file", "label", "split", "group", "mask", "bbox"), rows)


def _draw_boxed(folder: Path) -> None:
    rows = []
    for number in range(4):
        drawn = draw_cell("blast", number)
        file = _save(folder, f"{number}.png", drawn.image)
        split = ("train", "val")[number % 2]
        chula = folder.name == "chula-wbc5"
        label = ("lymphocyte", "neutrophil")[number % 2] if chula else "field"
        rows.append((file, label, split, f"g{number}", "1", "neutrophil", _boxes(drawn)))
    _manifest(folder, ("file", "label", "split", "group", "n_wbc", "wbc_class", "bbox"), rows)


def _boxes(drawn: DrawnCell) -> str:
    rows, columns = np.argwhere(drawn.cell).min(axis=0), np.argwhere(drawn.cell).max(axis=0) + 1
    return f"WBC:{rows[1]},{rows[0]},{columns[1]},{columns[0]}"


def _save(folder: Path, name: str, picture: NDArray[np.uint8]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    shown = picture[..., ::-1] if picture.ndim == 3 else picture
    assert cv2.imwrite(str(folder / name), shown)
    return name


def _manifest(folder: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    lines = ["\t".join(row) for row in (columns, *rows)]
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
