"""How the pictures of each class fall to training and to judging, and which side goes without."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a split has of a class."""

    pictures: int
    patients: int

    def __str__(self) -> str:
        """Return it in words."""
        pictures = "picture" if self.pictures == 1 else "pictures"
        patients = "patient" if self.patients == 1 else "patients"
        return f"{self.pictures} {pictures} of {self.patients} {patients}"


@dataclass(frozen=True, slots=True)
class ClassSplit:
    """One class of a split that tears no patient apart."""

    name: str
    trained: Side
    judged: Side

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.name}: {self.trained} train, {self.judged} judge"

    @property
    def caution(self) -> str:
        """Say which side has no patient of this class; empty where both have one."""
        if self.trained.patients and self.judged.patients:
            return ""
        lacks = f"{self.name} has no patient that {'judges' if self.trained.patients else 'trains'}"
        if self.trained.patients + self.judged.patients == 1:
            return f"{lacks}, for it has one patient only: it needs two."
        return f"{lacks}: choose another --val-share (remove the manifest first)."


def class_splits(rows: Sequence[tuple[str, str, str]]) -> list[ClassSplit]:
    """Count each class's pictures and patients on both sides.

    Args:
        rows: The class, the patient and the split of each picture.
    """
    return [
        ClassSplit(
            name,
            _side([patient for kind, patient, split in rows if (kind, split) == (name, "train")]),
            _side([patient for kind, patient, split in rows if kind == name and split != "train"]),
        )
        for name in dict.fromkeys(kind for kind, _, _ in rows)
    ]


def _side(patients: Sequence[str]) -> Side:
    return Side(len(patients), len(set(patients)))
