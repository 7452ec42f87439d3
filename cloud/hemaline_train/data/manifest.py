"""Read a data set's `manifest.tsv`: the images of each split, and their boxed cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.types import Box
from hemaline_train.data.manifest_rows import read_columns, read_rows

MANIFEST_NAME = "manifest.tsv"

NOT_WHITE_CELLS = frozenset({"rbc", "platelet", "platelets"})
"""Box classes that are no leukocyte; every other class is (`WBC`, or a kind: `basophil`)."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image, its split, and the boxes of its white cells.

    Attributes:
        others: Class, in lower case, and box of what else is boxed: red cells and platelets.
        group: Nothing of one group is on both sides of a split; empty where nobody says.
    """

    path: Path
    split: str
    white_cells: tuple[Box, ...]
    others: tuple[tuple[str, Box], ...] = ()
    group: str = ""


def data_sets_with_boxes(data_dir: Path) -> list[str]:
    """Return the names of the data sets in a directory whose manifest has boxes, sorted.

    Raises:
        PermanentError: `no-data`: the directory does not exist or holds no such data set; or
            `manifest-text`.
    """
    manifests = sorted(data_dir.glob(f"*/{MANIFEST_NAME}"))
    names = [path.parent.name for path in manifests if "bbox" in read_columns(path)]
    if not names:
        raise PermanentError(
            "no-data",
            f"{data_dir} holds no data set with boxes: none of its folders has a {MANIFEST_NAME} "
            "with a `bbox` column. Name the right directory with --data.",
        )
    return names


def read_manifest(folder: Path) -> list[LabelledImage]:
    """Read the labelled images of one data set, in the order of its manifest.

    Args:
        folder: Holds `manifest.tsv` with the columns file, split and bbox, and the images.

    Raises:
        PermanentError: `manifest-missing`, `manifest-text`, `manifest-column`, `manifest-box` or
            `image-missing`.
    """
    return list(_images(folder))


def parse_boxes(text: str) -> list[tuple[str, Box]]:
    """Parse `class:xmin,ymin,xmax,ymax` joined by `;` into classes, in lower case, and boxes.

    Raises:
        ValueError: An entry has another form, or an empty box; its message quotes the entry.
    """
    entries = (entry.partition(":") for entry in text.split(";") if entry)
    return [(name.lower(), _parse_box(corners, name)) for name, _, corners in entries]


def parse_white_cells(text: str) -> list[tuple[str, Box]]:
    """Parse boxes as `parse_boxes` does, leaving out red cells and platelets.

    Raises:
        ValueError: An entry has another form, or an empty box; its message quotes the entry.
    """
    return [one for one in parse_boxes(text) if one[0] not in NOT_WHITE_CELLS]


def _parse_box(corners: str, name: str) -> Box:
    try:
        left, top, right, bottom = (int(part) for part in corners.split(","))
    except ValueError:
        raise ValueError(f"{name}:{corners} is not class:xmin,ymin,xmax,ymax") from None
    if left >= right or top >= bottom:
        raise ValueError(f"{name}:{corners} is an empty box")
    return Box(left, top, right, bottom)


def _images(folder: Path) -> Iterator[LabelledImage]:
    for where, row in read_rows(folder / MANIFEST_NAME, ("file", "split", "bbox")):
        try:
            boxes = parse_boxes(row["bbox"])
        except ValueError as error:
            raise PermanentError("manifest-box", f"{where}: {error}.") from error
        image = folder / row["file"]
        if not image.is_file():
            raise PermanentError("image-missing", f"{where}: no file {image}.")
        yield LabelledImage(
            image,
            row["split"],
            white_cells=tuple(box for name, box in boxes if name not in NOT_WHITE_CELLS),
            others=tuple(one for one in boxes if one[0] in NOT_WHITE_CELLS),
            group=row.get("group", ""),
        )
