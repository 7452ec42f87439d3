"""Pictures for the campaign: real ones where there is a data directory, drawn ones otherwise."""

import shutil
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np

from hemaline_edge.simulator import SmearSettings, SmearSimulator

_SETS = ("bccd", "draaslan-bcd", "txl-pbc", "aml-deepapl", "aml-deepapl-more", "pbc-acevedo")
_A_SLIDE = 25
_DRAWN_EVERY = 50
"""One in so many is drawn: two white cells and more, where real pictures are mostly of one."""


def lay_out(folders: Sequence[Path], wanted: int, data: Path | None) -> int:
    """Put pictures into the devices' folders, a subfolder a slide; return how many are real."""
    drawn = _drawn(folders[0].parent / "drawn")
    real = _real(data) if data else iter(())
    of_the_wanted = 0
    for number in range(wanted):
        folder = folders[number % len(folders)]
        slide = folder / f"slide-{number // len(folders) // _A_SLIDE:03}"
        slide.mkdir(parents=True, exist_ok=True)
        source = None if number % _DRAWN_EVERY == 0 else next(real, None)
        of_the_wanted += source is not None
        source = source or next(drawn)
        shutil.copyfile(source, slide / f"{number:05}{source.suffix}")
    return of_the_wanted


def _real(data: Path) -> Iterator[Path]:
    for name in _SETS:
        yield from sorted(path for path in (data / name / "images").rglob("*") if path.is_file())


def _drawn(folder: Path) -> Iterator[Path]:
    """Draw a few fields well, and vary each by shifts, so that no two pictures are the same."""
    folder.mkdir(parents=True, exist_ok=True)
    smears = SmearSimulator(SmearSettings(width=480, height=360))
    fields = [smears.field(0, number).image for number in islice(count(), 8)]
    for number in count():
        field = fields[number % len(fields)]
        shifted = np.roll(field, (number * 7 % 360, number * 11 % 480), axis=(0, 1))
        file = folder / f"{number:05}.png"
        cv2.imwrite(str(file), cv2.cvtColor(shifted, cv2.COLOR_RGB2BGR))
        yield file
