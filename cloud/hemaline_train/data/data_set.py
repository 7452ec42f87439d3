"""What is known of a data set beside its manifest: licence, source, traps, optics, labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hemaline_shared.model_manifest import View
from hemaline_train.data.tasks import Task

Row: TypeAlias = Mapping[str, str]


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
        same_images_as: The names of other sets of the catalogue that hold some of the same images,
            or cells cut out of them: what trains on one is not judged by the other.
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
    same_images_as: tuple[str, ...] = ()
