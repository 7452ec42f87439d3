"""The data sets that Hemaline knows: licence, source, labels, groups, optics and traps of each."""

from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import View
from hemaline_train.data.data_set import ClassFile, DataSet, Row
from hemaline_train.data.lab_data import lab_data_set
from hemaline_train.data.public_sets.known import PUBLIC
from hemaline_train.data.samples import labels_in
from hemaline_train.data.tasks import (
    ALL_SUBTYPE,
    APL,
    CELL_CLASS,
    CELL_FINE,
    MERGED,
    UNMERGED,
    Task,
)

IMMATURE = ("blast", "promonocyte", "promyelocyte", "myelocyte", "metamyelocyte")
"""The fine labels whose looks may tell acute promyelocytic leukaemia from other kinds."""


def _aml_labels(row: Row) -> dict[str, str]:
    label = row["label"]
    return _cell_labels(label) | ({"apl": row["diagnosis"]} if label in IMMATURE else {})


def _cell_labels(label: str) -> dict[str, str]:
    """Return a fine label, and what it merges into if it merges at all."""
    merged = {} if label in UNMERGED else {"cell-class": MERGED.get(label, label)}
    return {"cell-fine": label, **merged}


def _recovered_labels(row: Row) -> dict[str, str]:
    # A frame's class is that of the cell that it was cut for: of two, nobody says which.
    known = row["class"] and row["n_wbc"] == "1"
    return _cell_labels(row["class"]) if known else {}


def _bccd_labels(row: Row) -> dict[str, str]:
    known = row["n_wbc"] == "1" and row["wbc_class"] in CELL_CLASS.labels
    return {"cell-class": row["wbc_class"]} if known else {}


KNOWN: dict[str, DataSet] = {
    one.name: one
    for one in (
        DataSet(
            name="aml-deepapl",
            title="AML and APL single white cells, Johns Hopkins (DeepAPL)",
            licence="no grant; research use, do not republish",
            source="Sidhom et al., npj Precision Oncology 2021;5:38",
            obtain="github.com/sidhomj/DeepAPL, or Kaggle "
            "eugeneshenderov/acute-promyelocytic-leukemia-apl",
            traps="Every patient has leukaemia. Labels are noisy between neighbouring stages. "
            "Some crops show two cells; the label is the middle one's.",
            view="cell",
            cells="middle",
            tasks=(CELL_FINE, CELL_CLASS, APL),
            group_columns=("group",),
            um_per_px=lambda _: 0.095,
            labels_of=_aml_labels,
            further_columns=("diagnosis",),
            by_patient=True,
        ),
        DataSet(
            name="aml-deepapl-more",
            title="More single white cells of the same patients, Johns Hopkins (DeepAPL)",
            licence="no grant; research use, do not republish",
            source="Sidhom et al., npj Precision Oncology 2021;5:38",
            obtain="github.com/sidhomj/DeepAPL, or Kaggle "
            "eugeneshenderov/acute-promyelocytic-leukemia-apl",
            traps="The patients of aml-deepapl: more cells, no more patients. Its names begin with "
            "the scanner's class.",
            view="cell",
            cells="middle",
            tasks=(CELL_FINE, CELL_CLASS, APL),
            group_columns=("group",),
            um_per_px=lambda _: 0.095,
            labels_of=_aml_labels,
            further_columns=("diagnosis",),
            by_patient=True,
            further_of="aml-deepapl",
        ),
        DataSet(
            name="pbc-acevedo",
            title="PBC: normal peripheral blood cells, Hospital Clínic de Barcelona, some of each",
            licence="CC BY 4.0",
            source="Acevedo et al., Data in Brief 2020;30:105474",
            obtain="Mendeley Data snkd93bnjr; adopt the whole of it as pbc",
            traps="Donors are not published: groups are clusters of colour. Healthy donors only, "
            "without blasts and smudge cells, so these go with the laboratory of aml-deepapl.",
            view="cell",
            cells="middle",
            tasks=(CELL_FINE, CELL_CLASS),
            group_columns=("group",),
            um_per_px=lambda _: 0.096,
            labels_of=lambda row: _cell_labels(row["label"]),
            same_images_as=("pbc", "bloodmnist", "txl-pbc"),
        ),
        DataSet(
            name="lmu-aml",
            title="AML-Cytomorphology, Munich: myeloblasts and segmented neutrophils only",
            licence="CC BY 4.0 by its Kaggle copy, CC BY 3.0 by The Cancer Imaging Archive",
            source="Matek et al., Nature Machine Intelligence 2019;1:538-544",
            obtain="Kaggle sumithsingh/blood-cell-images-for-cancer-detection, folders MYO and NGS",
            traps="No patients are published. Two classes only; background colour alone tells them "
            "apart at 0.62. A blast's neighbour in colour is a blast.",
            view="cell",
            cells="middle",
            tasks=(CELL_FINE, CELL_CLASS),
            group_columns=("group",),
            um_per_px=lambda _: 0.072,
            labels_of=lambda row: _cell_labels(row["label"]),
            same_images_as=("aml-lmu",),
        ),
        DataSet(
            name="all-taleqani",
            title="B-ALL smear fields, Taleqani Hospital",
            licence="unstated; the authors ask for their citation",
            source="Aria et al., doi 10.34740/KAGGLE/DSV/2175623",
            obtain="Kaggle mehradaria/leukemia",
            traps="A burnt-in scale bar goes with the class (0.77 balanced accuracy from it "
            "alone), background colour too (0.83). No patient ids; fields overlap.",
            view="field",
            cells="none",
            tasks=(ALL_SUBTYPE,),
            group_columns=("group", "overlap_group"),
            um_per_px=lambda _: 0.45,
            labels_of=lambda row: {"all-subtype": row["label"]},
            mask=(190, 190),
            same_images_as=("aria-all",),
        ),
        DataSet(
            name="chula-wbc5",
            title="White cells on a low-cost microscope, Chulalongkorn University",
            licence="MIT",
            source="singgihbekti/WBC_Dataset, 2022-2023",
            obtain="github.com/singgihbekti/WBC_Dataset",
            traps="Class and slide are confounded; pink vignetting, blur. Some cells were taken "
            "several times, in another light each time.",
            view="cell",
            cells="boxes",
            tasks=(CELL_CLASS,),
            group_columns=("group",),
            um_per_px=lambda _: 0.1,
            labels_of=lambda row: {"cell-class": row["label"]},
        ),
        DataSet(
            name="wbc-seg",
            title="White cells with masks (Zheng et al.)",
            licence="GPL-3.0; the CellaVision blog's terms for its part are not stated",
            source="Zheng et al., Micron 2018;107:55-71",
            obtain="github.com/zxaoyou/segmentation_WBC",
            traps="Labels by the authors, not by experts; d1 has another scale and yellow glass.",
            view="cell",
            cells="boxes",
            tasks=(CELL_CLASS,),
            group_columns=("group",),
            um_per_px=lambda row: 0.167 if row["group"].startswith("d1") else 0.099,
            labels_of=lambda row: {"cell-class": row["label"]},
        ),
        DataSet(
            name="bccd",
            title="BCCD fields with boxes",
            licence="MIT; class labels unstated",
            source="Shenggan/BCCD_Dataset; classes from dhruvp/wbc-classification",
            obtain="github.com/Shenggan/BCCD_Dataset",
            traps="Two in three cells are neutrophils, and so is a third of what is called "
            "eosinophil; one camera, few slides. Kaggle's 12,500 blood-cells are copies of these.",
            view="cell",
            cells="boxes",
            tasks=(CELL_CLASS,),
            group_columns=("group",),
            um_per_px=lambda _: 0.076,
            labels_of=_bccd_labels,
            further_columns=("n_wbc", "wbc_class"),
            label_column="wbc_class",
        ),
        DataSet(
            name="txl-pbc",
            title="Single-cell frames out of Raabin-WBC and PBC",
            licence="MIT; PBC is CC BY 4.0, Raabin-WBC free for any use",
            source="Gan et al., Sci Data 2025;12:1694",
            obtain="github.com/lugan113/TXL-PBC_Dataset",
            traps="`label` is the source. Classes are known of the PBC half only, which does not "
            "test what saw other images of PBC. The cell is always in the middle.",
            view="cell",
            cells="boxes",
            tasks=(CELL_FINE, CELL_CLASS),
            group_columns=("group",),
            um_per_px=lambda row: 0.059 if row["label"] == "raabin" else 0.096,
            labels_of=_recovered_labels,
            further_columns=("n_wbc",),
            label_column="class",
            class_file=ClassFile(
                name="recovered-classes.tsv",
                label_column="label",
                use_column="use",
                banned="detection only",
                group_column="pbc_group",
                group_of="pbc-acevedo",
            ),
            same_images_as=("raabin-wbc", "pbc", "bloodmnist", "pbc-acevedo"),
        ),
        DataSet(
            name="draaslan-bcd",
            title="Blood cell detection data set: fields with boxes of red and white cells",
            licence="MIT",
            source="Abdüssamet Aslan, 2020",
            obtain="github.com/draaslan/blood-cell-detection-dataset",
            traps="100 fields of one microscope, several of which overlap; white cells have no "
            "class. For finding and counting only.",
            view="cell",
            cells="boxes",
            tasks=(),
            group_columns=("group",),
            um_per_px=lambda _: 0.128,
            labels_of=lambda _: {},
        ),
    )
} | {name: public.data_set for name, public in PUBLIC.items()}


def data_set_at(folder: Path, view: View, um_per_px: float | None) -> DataSet:
    """Return the catalogue's entry for a folder; where there is none, take it for a lab's own.

    Args:
        folder: Of the data set.
        view: What each label of a lab's own set is about.
        um_per_px: The optics of a lab's own set; None to judge them by each image's red cells.

    Raises:
        PermanentError: `unknown-data-set`, `manifest-missing`, `manifest-text` or
            `manifest-column`.
    """
    if folder.name in KNOWN or not folder.is_dir():
        return known_data_set(folder.name)
    labels = tuple(sorted(labels_in(folder)))
    return lab_data_set(folder.name, Task("label", view, labels), um_per_px)


def known_data_set(name: str) -> DataSet:
    """Return the catalogue's entry for a data set's folder.

    Raises:
        PermanentError: `unknown-data-set`; the message lists the known ones.
    """
    if name not in KNOWN:
        raise PermanentError(
            "unknown-data-set",
            f"There is no data set {name!r}: no folder of that name, and the known ones are "
            f"{', '.join(KNOWN)}.",
        )
    return KNOWN[name]


def refuse_known_name(folder: Path) -> None:
    """Raise PermanentError `folder-name` where a lab's own folder would be read as a known set."""
    name = folder.resolve().name
    if name in KNOWN:
        known = f"the known set {name!r}, {KNOWN[name].title}"
        own = f"{folder} would be read as {known}: give your own folder another name"
        public = f", or, if it is that set, adopt it with --as {name}" if name in PUBLIC else ""
        raise PermanentError("folder-name", f"{own}{public}.")
