"""Aria ALL: B-ALL smear fields of Taleqani Hospital, as Kaggle carries them."""

from pathlib import Path

from hemaline_train.data.data_set import DataSet
from hemaline_train.data.public_sets.layout import Entry, PublicSet, of_classes
from hemaline_train.data.tasks import ALL_SUBTYPE

_CLASSES = {"benign": "benign", "early": "early-pre-b", "pre": "pre-b", "pro": "pro-b"}


def _read(folder: Path) -> list[Entry]:
    return [
        Entry(picture, label)
        for picture, label in of_classes(folder, _CLASSES)
        # The same fields again, with everything but the blasts blackened.
        if "segmented" not in {part.lower() for part in picture.parts}
    ]


ARIA_ALL = PublicSet(
    DataSet(
        name="aria-all",
        title="Aria ALL: B-ALL smear fields of 89 people, Taleqani Hospital",
        licence="unverified: read it on the Kaggle page; the authors ask for their citation",
        source="Aria et al., Kaggle 2021, doi 10.34740/KAGGLE/DSV/2175623",
        obtain="Kaggle mehradaria/leukemia (folders Original and Segmented; Original is read)",
        traps="The same images as all-taleqani, whose split is the honest one: never both. No "
        "patient ids; about 1,000 of 3,256 fields overlap another one, and the check for "
        "look-alikes does not see fields that are shifted, so judge with it. A burnt-in scale bar "
        "goes with the class; its corner is blanked. Background colour alone: 0.83.",
        view="field",
        cells="none",
        tasks=(ALL_SUBTYPE,),
        group_columns=("group",),
        um_per_px=lambda _: 0.45,
        labels_of=lambda row: {ALL_SUBTYPE.name: row["label"]},
        mask=(190, 190),
        same_images_as=("all-taleqani",),
    ),
    "Original with folders Benign, Early, Pre and Pro of 224-pixel JPEG images",
    _read,
    "pictures",
)
