"""Write the manifest of a public data set that somebody downloaded."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hemaline_shared.errors import PermanentError
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_train.data.lab_data import side_of
from hemaline_train.data.leakage import perceptual_hash
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.data.manifest_rows import refuse_overwriting, write_rows
from hemaline_train.data.pictures import read_picture
from hemaline_train.data.public_sets.known import PUBLIC
from hemaline_train.data.public_sets.layout import Entry, PublicSet
from hemaline_train.data.public_sets.lookalikes import group_lookalikes

_MEASURED_IMAGES = 100
_FEWEST_MEASURED = 10
_VAL_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was written.

    Attributes:
        counts: (Split, label) -> how many images.
        dropped: Images to train on that were left out, as they share a group with judging ones.
        caution: What the split does not hold apart; empty where patients are apart.
    """

    counts: dict[tuple[str, str], int]
    groups: int
    dropped: int
    caution: str


def adopt_public(name: str, folder: Path, val_share: float | None = None) -> Adoption:
    """Write the manifest of a public set's folder, as downloaded and unpacked.

    Args:
        name: Of the set; the folder must have it too, for data sets are found by their folder.
        folder: The manifest is written there; images stay where they are.
        val_share: The part of the groups that judges. Without it a fifth of the patients judges;
            and where no patients are published, everything does.

    Raises:
        PermanentError: `unknown-data-set`, `folder-name`, `manifest-exists`, `no-pictures`,
            `public-layout`, `no-group`, `file-name`, `manifest-unwritten`, or an image cannot be
            read.
    """
    public = _known(name, folder)
    found = public.read(folder)
    if not found:
        raise PermanentError("no-pictures", f"{folder} does not hold {public.expects}.")
    groups = _groups(public, folder, found)
    divided = _divided(public, found, groups, val_share)
    kept = _apart(divided, groups)
    entries, groups = [divided[at] for at in kept], [groups[at] for at in kept]
    if public.scale == "measured":
        entries = _measured(folder, entries)
    _write(folder / MANIFEST_NAME, entries, groups)
    counts = Counter((entry.split, entry.label) for entry in entries)
    dropped = len(found) - len(entries)
    return Adoption(dict(sorted(counts.items())), len(set(groups)), dropped, _caution(public))


def _known(name: str, folder: Path) -> PublicSet:
    if name not in PUBLIC:
        raise PermanentError(
            "unknown-data-set", f"No public set is called {name!r}; there are {', '.join(PUBLIC)}."
        )
    if folder.resolve().name != name:
        raise PermanentError(
            "folder-name", f"Rename {folder} to {name}: data sets are known by their folder's name."
        )
    refuse_overwriting(folder / MANIFEST_NAME)
    return PUBLIC[name]


def _groups(public: PublicSet, folder: Path, entries: Sequence[Entry]) -> list[str]:
    links = [entry.link for entry in entries]
    if public.links == "patients":
        return links
    hashes = np.stack([perceptual_hash(read_picture(folder / entry.file)) for entry in entries])
    return group_lookalikes(hashes, links)


def _divided(
    public: PublicSet, entries: Sequence[Entry], groups: Sequence[str], val_share: float | None
) -> list[Entry]:
    """Give each entry its split: the published one, by patient, or all to judge."""
    share = _VAL_SHARE if val_share is None and public.links == "patients" else val_share
    return [
        replace(entry, split="val" if share is None else side_of(group, share))
        if not entry.split
        else entry
        for entry, group in zip(entries, groups, strict=True)
    ]


def _apart(entries: Sequence[Entry], groups: Sequence[str]) -> list[int]:
    """Return the places of all entries but those to train on whose group judges as well."""
    pairs = list(zip(entries, groups, strict=True))
    judging = {group for entry, group in pairs if entry.split != "train"}
    return [
        place
        for place, (entry, group) in enumerate(pairs)
        if entry.split != "train" or group not in judging
    ]


def _measured(folder: Path, entries: Sequence[Entry]) -> list[Entry]:
    """Write into each entry the median scale that the red cells of its part of the set give."""
    scales = {}
    for part in {entry.split for entry in entries}:
        here = [entry for entry in entries if entry.split == part]
        places = np.unique(np.linspace(0, len(here) - 1, _MEASURED_IMAGES).astype(int))
        found = [estimate_scale(read_picture(folder / here[place].file)) for place in places]
        sure = [scale.um_per_px for scale in found if scale.source == "red-cells"]
        scales[part] = f"{np.median(sure):.4f}" if len(sure) >= _FEWEST_MEASURED else ""
    return [
        replace(entry, more={**entry.more, "um_per_px": scales[entry.split]}) for entry in entries
    ]


def _write(file: Path, entries: Sequence[Entry], groups: Sequence[str]) -> None:
    write_rows(
        file,
        ("file", "label", "split", "group", *entries[0].more),
        [
            (entry.file.as_posix(), entry.label, entry.split, group, *entry.more.values())
            for entry, group in zip(entries, groups, strict=True)
        ],
    )


def _caution(public: PublicSet) -> str:
    if public.links == "patients":
        return ""
    return (
        "No patients are published: groups are pictures that look alike or were cut from one "
        "photograph, one person's cells are in many of them, and intervals are too narrow."
    )
