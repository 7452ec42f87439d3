"""`hemaline-train data`: look at data sets before training on them."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hemaline_shared.model_manifest import View
from hemaline_train.commands.options import (
    CACHE,
    CacheDir,
    DataDir,
    WeightsDir,
    in_words,
    plain_errors,
)

DataSetName = Annotated[str, typer.Argument(help="A folder in the data directory.")]
OwnView = Annotated[
    View, typer.Option(help="Of a lab's own set: whether a label is about a cell or a field.")
]
OwnOptics = Annotated[
    float | None,
    typer.Option("--um-per-px", help="Optics of a lab's own set; else the red cells decide."),
]

data_app = typer.Typer(no_args_is_help=True, help="Look at data sets before training on them.")


@data_app.command("list")
def list_data_sets() -> None:
    """Say what is known of each data set: licence, source, traps, how to obtain it."""
    from hemaline_train.data.catalogue import KNOWN
    from hemaline_train.data.public_sets.known import PUBLIC
    from hemaline_train.data.tasks import LEUKAEMIA

    console = Console()
    for one in KNOWN.values():
        public = " (read as published by `data adopt --as`)" if one.name in PUBLIC else ""
        console.print(f"[bold]{one.name}[/bold]: {one.title}{public}", highlight=False)
        for heading in ("licence", "source", "obtain", "traps"):
            console.print(f"  {heading}: {getattr(one, heading)}", highlight=False, markup=False)
        for task in one.tasks:
            console.print(f"  {task.name}: {', '.join(task.labels)}", highlight=False)
        console.print(f"  groups: {', '.join(one.group_columns)}", highlight=False)
    console.print(
        f"[bold]{LEUKAEMIA.name}[/bold] ({', '.join(LEUKAEMIA.labels)}): no training data. "
        "A laboratory's own folder of these classes trains it: `data adopt`.",
        highlight=False,
    )


@data_app.command("adopt")
def adopt_folder(
    folder: Annotated[Path, typer.Argument(help="Holds one folder of pictures for each class.")],
    group: Annotated[
        str, typer.Option(help="Regular expression; its brackets find the patient in a path.")
    ] = "",
    public: Annotated[
        str, typer.Option("--as", help="A public data set, laid out as it was downloaded.")
    ] = "",
    val_share: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The part of the patients that judges: 0.2 if not given."),
    ] = None,
) -> None:
    """Write the manifest of a lab's own folder of classes, or of a public data set."""
    from hemaline_train.data.public_sets.adopt import adopt_public

    console = Console()
    if bool(group) == bool(public):
        raise typer.BadParameter("give either --group (your own folder) or --as (a public set)")
    with plain_errors():
        if not public:
            _adopt_own(folder, group, 0.2 if val_share is None else val_share)
            return
        adopted = adopt_public(public, folder, val_share)
        for (split, label), count in adopted.counts.items():
            console.print(f"{split} {label}: {count} images", highlight=False)
        console.print(
            f"{adopted.groups} groups; {adopted.dropped} images left out", highlight=False
        )
        if adopted.caution:
            console.print(adopted.caution, style="yellow", highlight=False)


def _adopt_own(folder: Path, group: str, val_share: float) -> None:
    from hemaline_train.data.catalogue import refuse_known_name
    from hemaline_train.data.lab_data import adopt

    refuse_known_name(folder)
    console, classes = Console(), adopt(folder, group, val_share)
    for one in classes:
        console.print(str(one), highlight=False, markup=False)
    # Whoever asks for one side only knows that the other is empty.
    for one in classes if 0 < val_share < 1 else ():
        if one.caution:
            console.print(one.caution, style="yellow", highlight=False, markup=False)
    new = f"models/{folder.resolve().name}-1"
    console.print(
        f"Next, for cells: hemaline-train adapt {folder} {new} --from BUNDLE",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


@data_app.command("check")
def check_data_set(
    name: DataSetName,
    data: DataDir,
    cache: CacheDir = CACHE,
    view: OwnView = "cell",
    um_per_px: OwnOptics = None,
    weights: WeightsDir = None,
) -> None:
    """Look for leaks across the split, and for shortcuts that predict the label."""
    import numpy as np

    from hemaline_train.data.leakage import refuse_leaks
    from hemaline_train.data.prepare import prepare_folder
    from hemaline_train.judging.shortcuts import NETWORK, shortcuts_of_tasks
    from hemaline_train.learning.frozen import frozen_features

    console = Console()
    with plain_errors():
        samples, pixels = prepare_folder(data / name, cache, view, um_per_px)
        trained = np.array([sample.split == "train" for sample in samples])
        refuse_leaks(samples, trained, pixels)
        console.print(f"{name}: no group and no picture is on both sides of the split.")
        features = frozen_features("efficientnet-lite0", weights, pixels) if weights else None
        networks = {}
        for task, one in shortcuts_of_tasks(samples, trained, pixels, features):
            figure = one.balanced_accuracy
            said = in_words(figure.value, figure.low, figure.high)
            if one.name == NETWORK:
                networks[task] = one
                console.print(f"{task} by a {NETWORK}: balanced accuracy {said}.", highlight=False)
                continue
            console.print(
                f"{task} from the {one.name} alone: balanced accuracy {said}, "
                f"chance {one.chance:.2f}. {one.verdict(networks.get(task)).capitalize()}.",
                highlight=False,
            )


@data_app.command("prepare")
def prepare_data_set(
    name: DataSetName,
    data: DataDir,
    cache: CacheDir = CACHE,
    view: OwnView = "cell",
    um_per_px: OwnOptics = None,
) -> None:
    """Cut a data set's crops through the pixel pipeline, and keep them for training."""
    from hemaline_train.data.prepare import prepare_folder

    with plain_errors():
        _, pixels = prepare_folder(data / name, cache, view, um_per_px)
        Console().print(f"{name}: {len(pixels)} crops in {cache}", highlight=False)


@data_app.command("review")
def review_labels(
    names: Annotated[list[str], typer.Argument(help="Folders in the data directory, as one set.")],
    data: DataDir,
    out: Annotated[Path, typer.Option(help="A new folder for the sheets and the table.")],
    label: Annotated[
        list[str] | None,
        typer.Option(help="Show every picture of this label; repeatable. No network is asked."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="So many of the most doubted labels.")] = 300,
    weights: WeightsDir = None,
    cache: CacheDir = CACHE,
    view: OwnView = "cell",
    um_per_px: OwnOptics = None,
) -> None:
    """Lay out the pictures whose labels people should look at: doubted ones, or all of a label."""
    from hemaline_train.data.catalogue import data_set_at
    from hemaline_train.data.samples import read_samples
    from hemaline_train.reports.review_sheets import ANSWERS, REVIEW, ReviewRequest, lay_out

    with plain_errors():
        folders = {name: data / name for name in names}
        samples = [
            sample
            for folder in folders.values()
            for sample in read_samples(data_set_at(folder, view, um_per_px), folder, reviewed=False)
        ]
        request = ReviewRequest(folders, tuple(label or ()), most, weights)
        shown, sheets = lay_out(samples, request, cache, out)
        Console().print(
            f"{shown} pictures on {sheets} sheets in {out}. Look at each, fill in verdict (keep, "
            f"drop, other, unsure), other, why and by in {REVIEW}, and add its rows to "
            "label_review.tsv in the data set's folder"
            + (f"; {ANSWERS} says what the networks thought." if not label else "."),
            highlight=False,
        )
