"""`make focus`: which share of real fields the focus measure refuses, by data set and compression.

Each data set is one device: its scale is the median of its fields' own, and what its sharp fields
look like is learned from the fields as they are. "Sharp" are the fields as published, a few of
which are out of focus themselves. "Blurred" are the same fields under a Gaussian blur of 5 and 10 %
of a red cell's diameter, compressed after the blur as a camera would.
"""

import csv
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from hemaline_edge.focus import SharpestSeen, measure_blur
from hemaline_edge.quality import QualityLimits
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.scale import RED_CELL_UM, estimate_scale
from hemaline_shared.pixels.types import RgbImage

Codec: TypeAlias = Callable[[RgbImage], RgbImage]
BLURS = (0.0, 5.0, 10.0)
"""Percent of a red cell's diameter."""


@dataclass(frozen=True, slots=True)
class FieldSet:
    """Fields of one optics: a folder, part of the file names, and a red cell's width in pixels."""

    name: str
    folder: str
    part: str
    red_cell_px: float


# Widths: medians of the labelled boxes, where there are any; else by eye.
FIELD_SETS = (
    FieldSet("bccd", "bccd", "", 107),
    FieldSet("draaslan-bcd", "draaslan-bcd", "", 57),
    FieldSet("txl-pbc: Raabin", "txl-pbc", "raabin/", 135),
    FieldSet("txl-pbc: PBC", "txl-pbc", "pbc/", 85),
    FieldSet("chula-wbc5", "chula-wbc5", "", 75),
    FieldSet("aml-deepapl", "aml-deepapl", "", 78),
    FieldSet("pbc-acevedo", "pbc-acevedo", "", 80),
    FieldSet("lmu-aml", "lmu-aml", "", 110),
    FieldSet("wbc-seg, part 2", "wbc-seg", "/d2_", 70),
    FieldSet("all-taleqani", "all-taleqani", "", 14),
    FieldSet("wbc-seg, part 1", "wbc-seg", "/d1_", 40),
)


def refused_shares(
    fields: list[RgbImage], red_cell_px: float, codec: Codec
) -> Mapping[float, float]:
    """Return blur in percent of a red cell -> the share of fields that is refused.

    Args:
        fields: Of one device, as published.
        red_cell_px: Of these fields, as measured by a person.
        codec: What the camera does to its pictures.
    """
    scale_px = RED_CELL_UM / float(np.median([estimate_scale(f).um_per_px for f in fields]))
    blurs: dict[float, list[float]] = {}
    for percent in BLURS:
        pictures = [codec(_blurred(field, percent / 100 * red_cell_px)) for field in fields]
        blurs[percent] = [measure_blur(picture, scale_px) for picture in pictures]
    device = SharpestSeen()
    for blur in blurs[0.0]:
        device.remember(fields[0], blur)
    limit = device.limit(fields[0], scale_px, QualityLimits().blur)
    return {percent: float(np.mean(np.array(of) > limit)) for percent, of in blurs.items()}


def read_fields(data: Path, chosen: FieldSet, count: int) -> list[RgbImage]:
    """Return so many fields of a set, spread evenly over its manifest."""
    with (data / chosen.folder / "manifest.tsv").open(encoding="utf-8", newline="") as file:
        names = [row["file"] for row in csv.DictReader(file, delimiter="\t")]
    names = [name for name in names if chosen.part in name]
    spread = names[:: max(1, len(names) // count)][:count]
    return [decode_image((data / chosen.folder / name).read_bytes()) for name in spread]


def codecs() -> dict[str, Codec]:
    """Return what cameras and microscope software store pictures as."""
    videos = {"MJPG": ".avi", "XVID": ".avi", "mp4v": ".mp4", "avc1": ".mp4"}
    return (
        {"none": lambda image: image}
        | {f"JPEG {quality}": _jpeg(quality) for quality in (95, 85, 75, 60, 50, 40)}
        | {name: _video(name, suffix) for name, suffix in videos.items() if _can(name, suffix)}
    )


def _can(fourcc: str, suffix: str) -> bool:
    """Whether this build of OpenCV has the encoder (of H.264, avc1, few do)."""
    with tempfile.TemporaryDirectory() as folder:
        return _opened(Path(folder) / f"film{suffix}", fourcc, (64, 64)).isOpened()


def _opened(file: Path, fourcc: str, size: tuple[int, int]) -> cv2.VideoWriter:
    return cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*fourcc), 10, size)


def _blurred(field: RgbImage, sigma_px: float) -> RgbImage:
    return np.asarray(cv2.GaussianBlur(field, (0, 0), sigma_px), np.uint8) if sigma_px else field


def _jpeg(quality: int) -> Codec:
    def through(image: RgbImage) -> RgbImage:
        _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])

    return through


def _video(fourcc: str, suffix: str) -> Codec:
    def through(image: RgbImage) -> RgbImage:
        height, width = (side - side % 2 for side in image.shape[:2])
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"film{suffix}"
            film = _opened(file, fourcc, (width, height))
            for _ in range(5):  # later frames are predicted from earlier ones
                film.write(np.ascontiguousarray(image[:height, :width, ::-1]))
            film.release()
            return _last_frame(file)

    return through


def _last_frame(file: Path) -> RgbImage:
    film, frames = cv2.VideoCapture(str(file)), []
    while (read := film.read())[0]:
        frames.append(read[1])
    film.release()
    return np.ascontiguousarray(frames[-1][:, :, ::-1])


def _rows(data: Path, count: int) -> Iterator[tuple[str, ...]]:
    for chosen in FIELD_SETS:
        if not (data / chosen.folder).is_dir():
            continue
        fields = read_fields(data, chosen, count)
        for name, codec in codecs().items():
            shares = refused_shares(fields, chosen.red_cell_px, codec)
            told = [f"{shares[percent]:.1%}" for percent in BLURS]
            yield (chosen.name, f"{len(fields)}", f"{chosen.red_cell_px:.0f}", name, *told)


def main() -> None:
    """Print the table for the data directory, with so many fields a set (60)."""
    data, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60
    table = Table(title="Fields refused as out of focus", title_justify="left")
    columns = ("set", "fields", "red cell, px", "compression", "sharp")
    for column in (*columns, *(f"blurred by {percent:.0f} %" for percent in BLURS[1:])):
        table.add_column(column, justify="left" if column in {"set", "compression"} else "right")
    for row in _rows(data, count):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
