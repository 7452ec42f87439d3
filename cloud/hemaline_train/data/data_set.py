"""What is known of a data set beside its manifest: licence, source, traps, optics, labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hemaline_shared.model_manifest import View
from hemaline_train.data.tasks import Task

Row: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClassFile:
    """A table of classes beside a manifest that has none.

    Attributes:
        name: Of the file, with the columns `file` and those below. Where the folder has no such
            file, its images have no class.
        label_column: The class, which stands in the row that `labels_of` sees as `class`.
        use_column: Whether the class may be used.
        banned: What stands there where the image may train and judge no classifier at all.
        group_column: Names a group of another set, whose side such an image must not leave.
        group_of: That other set.
    """

    name: str
    label_column: str
    use_column: str
    banned: str
    group_column: str
    group_of: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a manifest cannot say of itself.

    Attributes:
        cells: "middle": one cell an image, near its middle; "boxes": the manifest's boxes;
            "none": the whole field is the sample.
        group_columns: None of their values may be on both sides of a split; the first is the unit
            of every interval.
        tasks: Those that `labels_of` answers.
        um_per_px: The optics, from a row of the manifest: the median that `estimate_scale` finds
            over the train images (one optics has one scale); None to judge each image by itself.
        labels_of: Task name -> label, from a row of the manifest.
        mask: Left, top of a corner that is blanked out, in pixels; None for nothing.
        further_columns: Those that `labels_of` and `um_per_px` read beside `label` and the groups.
        label_column: The manifest's column that a reviewed label replaces.
        further_of: Another set of which these are further cells of the same patients: its groups
            bear that set's name, and both fall to folds and draws together.
        class_file: Beside the manifest: classes of some of its images, found later. None if its
            classes are in the manifest.
        same_images_as: The names of other sets of the catalogue that hold some of the same images,
            or cells cut out of them: what trains on one is not judged by the other.
        by_patient: Whether the first group is a patient, not a slide or a cluster of look-alikes.
    """

    name: str
    title: str
    licence: str
    source: str
    obtain: str
    traps: str
    view: View
    cells: Literal["middle", "boxes", "none"]
    tasks: tuple[Task, ...]
    group_columns: tuple[str, ...]
    um_per_px: Callable[[Row], float | None]
    labels_of: Callable[[Row], dict[str, str]]
    mask: tuple[int, int] | None = None
    further_columns: tuple[str, ...] = ()
    label_column: str = "label"
    further_of: str = ""
    class_file: ClassFile | None = None
    same_images_as: tuple[str, ...] = ()
    by_patient: bool = False

    @property
    def home(self) -> str:
        """Return the set whose patients these are: its own name, or that of `further_of`."""
        return self.further_of or self.name
