"""`hemaline-train`: what data scientists call."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hemaline_shared.errors import HemalineError
from hemaline_shared.pixels.leukocytes import FinderKind, finder_of_kind
from hemaline_train.classical.cli import make_leaderboard, run_one_system
from hemaline_train.detector.cli import detector_app
from hemaline_train.finder_benchmark import measure_finder
from hemaline_train.finder_table import finder_table
from hemaline_train.manifest import data_sets_with_boxes

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure and train on labelled images. Research use only.",
)
data_app = typer.Typer(no_args_is_help=True, help="Look at data sets before training on them.")
app.add_typer(data_app, name="data")
app.add_typer(detector_app, name="detector")
app.command("classical")(run_one_system)
app.command("leaderboard")(make_leaderboard)

DataDir = Annotated[
    Path, typer.Option(envvar="HEMALINE_DATA", help="Directory with one folder a data set.")
]
CacheDir = Annotated[
    Path, typer.Option("--cache", envvar="HEMALINE_TRAIN_CACHE", help="For prepared pixels.")
]
_CACHE = Path("build/train-cache")


class Split(StrEnum):
    """Which part of a data set counts."""

    TRAIN = "train"
    VAL = "val"
    ALL = "all"


@app.callback()
def commands() -> None:
    """Measure and train on labelled images."""


@data_app.command("list")
def list_data_sets() -> None:
    """Say what is known of each data set: licence, source, traps, how to obtain it."""
    from hemaline_train.catalogue import KNOWN
    from hemaline_train.public_sets.known import PUBLIC
    from hemaline_train.tasks import LEUKAEMIA

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
        float | None, typer.Option(help="The part of the patients that judges: 0.2 if not given.")
    ] = None,
) -> None:
    """Write the manifest of a lab's own folder of classes, or of a public data set."""
    from hemaline_train.lab_data import adopt
    from hemaline_train.public_sets.adopt import adopt_public

    console = Console()
    if bool(group) == bool(public):
        raise typer.BadParameter("give either --group (your own folder) or --as (a public set)")
    with _plain_errors():
        if not public:
            for kind, count in adopt(
                folder, group, 0.2 if val_share is None else val_share
            ).items():
                console.print(f"{kind}: {count} pictures", highlight=False)
            return
        adopted = adopt_public(public, folder, val_share)
        for (split, label), count in adopted.counts.items():
            console.print(f"{split} {label}: {count} images", highlight=False)
        console.print(
            f"{adopted.groups} groups; {adopted.dropped} images left out", highlight=False
        )
        if adopted.caution:
            console.print(adopted.caution, style="yellow", highlight=False)


@data_app.command("check")
def check_data_set(name: str, data: DataDir, cache: CacheDir = _CACHE) -> None:
    """Look for leaks across the split, and for shortcuts that predict the label."""
    import numpy as np

    from hemaline_train.catalogue import known_data_set
    from hemaline_train.leakage import refuse_leaks
    from hemaline_train.prepare import prepare
    from hemaline_train.samples import read_samples
    from hemaline_train.shortcuts import measure_shortcuts

    with _plain_errors():
        samples = read_samples(known_data_set(name), data / name)
        pixels = prepare(samples, cache)
        trained = np.array([sample.split == "train" for sample in samples])
        refuse_leaks(samples, trained, pixels)
        Console().print(f"{name}: no group and no picture is on both sides of the split.")
        for task in dict.fromkeys(task for sample in samples for task in sample.labels):
            known = np.array([task in sample.labels for sample in samples])
            chosen = [sample for sample in samples if task in sample.labels]
            for one in measure_shortcuts(
                pixels[known],
                [sample.labels[task] for sample in chosen],
                trained[known],
                [sample.groups[0] for sample in chosen],
            ):
                value, interval = _figure(
                    one.balanced_accuracy.value,
                    one.balanced_accuracy.low,
                    one.balanced_accuracy.high,
                )
                Console().print(
                    f"{task} from the {one.name} alone: balanced accuracy {value} ({interval}; "
                    f"chance {one.chance:.2f})",
                    highlight=False,
                )


@data_app.command("prepare")
def prepare_data_set(name: str, data: DataDir, cache: CacheDir = _CACHE) -> None:
    """Cut a data set's crops through the pixel pipeline, and keep them for training."""
    from hemaline_train.catalogue import known_data_set
    from hemaline_train.prepare import prepare
    from hemaline_train.samples import read_samples

    with _plain_errors():
        pixels = prepare(read_samples(known_data_set(name), data / name), cache)
        Console().print(f"{name}: {len(pixels)} crops in {cache}", highlight=False)


@app.command("train")
def train_network(
    config: Path,
    data: DataDir,
    cache: CacheDir = _CACHE,
    runs: Annotated[Path, typer.Option(help="Each run has its folder there.")] = Path("build/runs"),
    weights: Annotated[
        Path | None, typer.Option(envvar="HEMALINE_WEIGHTS", help="Holds published weights.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="On a CPU; 0 for all cores.")] = 0,
    fold: Annotated[
        int, typer.Option(help="Keep this part of the groups from training, instead of val.")
    ] = -1,
) -> None:
    """Train as CONFIG says; a run that was killed goes on after its last whole epoch."""
    import torch

    from hemaline_train.config import read_config
    from hemaline_train.run import Places
    from hemaline_train.train import train

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    if threads:
        torch.set_num_threads(threads)
    with _plain_errors():
        settings = read_config(config)
        if fold >= 0:
            settings = settings.for_fold(fold)
        train(settings, Places(data, cache, runs, weights), device)


@app.command("judge")
def judge_runs(
    checkpoints: list[Path],
    data: DataDir,
    cache: CacheDir = _CACHE,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures there.")
    ] = None,
) -> None:
    """Judge runs on what each kept from training; the folds of one run together are a whole."""
    from dataclasses import asdict

    from hemaline_train.cross_validation import judge_checkpoints

    with _plain_errors():
        report = judge_checkpoints(checkpoints, data, cache, device)
    table = Table(box=None)
    for heading in ("task", "figure", "value", "95 % interval over groups"):
        table.add_column(heading)
    for task, figures in report.items():
        for name, one in figures.items():
            table.add_row(task, name.replace("_", " "), *_figure(one.value, one.low, one.high))
    Console().print(table)
    if json_file:
        plain = {
            task: {name: asdict(one) for name, one in figures.items()}
            for task, figures in report.items()
        }
        json_file.write_text(json.dumps(plain, indent=2) + "\n")


def _figure(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    if value is None:
        return "-", "-"
    interval = "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"{value:.3f}", interval


@app.command("export")
def export_bundle(
    bundle: Annotated[Path, typer.Argument(help="The new bundle's folder.")],
    checkpoints: Annotated[list[Path], typer.Argument(help="One for each network.")],
    data: DataDir,
    cache: CacheDir = _CACHE,
    task: Annotated[
        list[str] | None, typer.Option(help="Serve only this head; repeatable. Default: all.")
    ] = None,
    int8: Annotated[bool, typer.Option(help="Eight-bit weights: a quarter of the size.")] = True,
) -> None:
    """Write a bundle that the worker serves: graphs, calibration, operating points."""
    from hemaline_train.export import export
    from hemaline_train.run import Places

    with _plain_errors():
        places = Places(data, cache, bundle.parent)
        export(checkpoints, places, bundle, tasks=task or (), int8=int8)
        Console().print(f"wrote {bundle}", highlight=False)


@app.command("evaluate")
def evaluate_on(
    bundle: Path,
    data: Annotated[Path, typer.Argument(help="A data set's folder.")],
    split: Annotated[str, typer.Option(help="Rows of the manifest; all for every one.")] = "val",
    cache: CacheDir = _CACHE,
    um_per_px: Annotated[
        float | None, typer.Option(help="Optics of your own images; else the red cells decide.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures there.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for JSON, Markdown and pictures.")
    ] = None,
    resamples: Annotated[int, typer.Option(help="For the intervals.")] = 1000,
) -> None:
    """Judge a bundle on any data set, also one that training never saw."""
    from hemaline_train.bundle import read_bundle
    from hemaline_train.evaluate import answer
    from hemaline_train.evaluation_files import write_json, write_report
    from hemaline_train.markdown import evaluation_section

    with _plain_errors():
        answered = answer(read_bundle(bundle), data, split, cache, um_per_px=um_per_px)
        evaluations = [one.evaluation(resamples) for one in answered]
        sys.stdout.write("\n".join(evaluation_section(one) for one in evaluations))
        if json_file:
            write_json(evaluations, json_file)
        if out:
            Console().print(f"wrote {write_report(answered, evaluations, out)}", highlight=False)


@app.command("card")
def write_card(
    bundle: Path,
    data: DataDir,
    cache: CacheDir = _CACHE,
    out: Annotated[Path, typer.Option(help="For the card, its pictures and figures.")] = Path(
        "docs/model-cards"
    ),
    machine: Annotated[str, typer.Option(help="What trained the networks, and how long.")] = "",
    remark: Annotated[
        list[str] | None, typer.Option(help="What the card must say as well; repeatable.")
    ] = None,
    resamples: Annotated[int, typer.Option(help="For the intervals.")] = 1000,
) -> None:
    """Measure a bundle on every data set that fits, and write its model card."""
    from hemaline_train.make_card import CardRequest, make_card

    with _plain_errors():
        request = CardRequest(bundle, data, cache, machine, tuple(remark or ()), resamples)
        Console().print(f"wrote {make_card(request, out)}", highlight=False)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Say what went wrong in one sentence, and leave with 1."""
    try:
        yield
    except HemalineError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        sys.exit(1)


@app.command()
def find_leukocytes(
    data: DataDir,
    dataset: Annotated[
        list[str] | None, typer.Option(help="A data set's folder; repeatable. Default: all.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which images count.")] = Split.ALL,
    finder_kind: Annotated[
        FinderKind, typer.Option("--finder", help="Which finder is measured.")
    ] = "classical",
    intervals: Annotated[
        bool, typer.Option(help="Say how far F1 can be trusted, from resampling groups.")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures there.")
    ] = None,
) -> None:
    """Measure a leukocyte finder on every data set that has boxes."""
    wanted = {Split.TRAIN, Split.VAL} if split is Split.ALL else {split}
    try:
        finder = finder_of_kind(finder_kind)
        reports = [
            measure_finder(finder, data / name, wanted)
            for name in dataset or data_sets_with_boxes(data)
        ]
    except HemalineError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        sys.exit(1)
    Console().print(finder_table(f"{finder.name}, split {split}", reports))
    if intervals:
        from hemaline_train.finder_intervals import interval_line

        for report in reports:
            Console().print(interval_line(report), highlight=False)
    if json_file:
        json_file.write_text(json.dumps([report.as_json() for report in reports], indent=2) + "\n")
