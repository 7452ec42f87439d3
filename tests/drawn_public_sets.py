"""Tiny drawn trees in the layouts in which public data sets are published."""

from pathlib import Path

import cv2
import numpy as np


def draw(path: Path, seed: int, side: int = 64) -> Path:
    """Save a picture that looks like no other seed's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(seed)
    coarse = dice.integers(0, 255, (12, 12, 3), np.uint8)
    picture = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    assert cv2.imwrite(str(path), picture)
    return path


def blood_mnist(folder: Path, side: int = 28) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    dice = np.random.default_rng(side)
    parts = {}
    for part, labels in {"train": (0, 3, 7, 6), "val": (1, 4), "test": (5, 2)}.items():
        coarse = dice.integers(0, 255, (len(labels), 12, 12, 3), np.uint8)
        parts[f"{part}_images"] = np.stack([cv2.resize(one, (side, side)) for one in coarse])
        parts[f"{part}_labels"] = np.array(labels, np.uint8)[:, np.newaxis]
    name = "bloodmnist.npz" if side == 28 else f"bloodmnist_{side}.npz"
    np.savez(folder / name, **parts)
    return folder
