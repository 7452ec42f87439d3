"""What reading a published data set gives, and how its folders of classes are walked."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hemaline_train.data.data_set import DataSet
from hemaline_train.data.lab_data import pictures_in


@dataclass(frozen=True, slots=True)
class Entry:
    """One image as published.

    Attributes:
        file: Within the set's folder.
        label: In the words of our tasks.
        link: The patient or photograph that the name gives away; empty where it gives none.
        split: The published part, "train" or another; empty where the set is one whole.
        more: Further columns of the manifest, the same for every entry of a set.
    """

    file: Path
    label: str
    link: str = ""
    split: str = ""
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A data set that others publish.

    Attributes:
        expects: What a download looks like, for the message when a folder does not.
        read: Finds the images below the set's folder.
        links: What an entry's link is. Patients make groups and can be split by; photographs and
            pictures that look alike make groups too, but hide who the patient is.
        scale: Whether the optics are measured by the red cells, once for each published part.
    """

    data_set: DataSet
    expects: str
    read: Callable[[Path], list[Entry]]
    links: Literal["patients", "pictures"]
    scale: Literal["known", "measured"] = "known"


def of_classes(folder: Path, classes: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """Yield each picture whose folder is named like a class, with the class's label.

    Args:
        folder: The set's; the class folders may lie deeper, as archives unpack differently.
        classes: Folder name in lower case -> label.
    """
    for picture in pictures_in(folder):
        label = classes.get(picture.parent.name.lower())
        if label is not None:
            yield picture.relative_to(folder), label
