"""`hemaline-train train`, `judge` and `export`: from settings to a bundle."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hemaline_train.commands.options import (
    CACHE,
    RUNS,
    CacheDir,
    DataDir,
    JsonFile,
    RunsDir,
    Threads,
    WeightsDir,
    figure_and_interval,
    plain_errors,
    show_progress,
)


def train_network(
    config: Annotated[Path, typer.Argument(help="A run's settings, a flat TOML file.")],
    data: DataDir,
    cache: CacheDir = CACHE,
    runs: RunsDir = RUNS,
    weights: WeightsDir = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Threads = 0,
    fold: Annotated[
        int,
        typer.Option(
            min=-1, help="Keep this fifth of the groups from training; -1 keeps val from it."
        ),
    ] = -1,
) -> None:
    """Train as CONFIG says; a run that was killed goes on after its last whole epoch."""
    import torch

    from hemaline_train.learning.checkpoint import FILE
    from hemaline_train.learning.config import RunConfig
    from hemaline_train.learning.run import Places
    from hemaline_train.learning.train import train
    from hemaline_train.toml_file import read_toml

    show_progress()
    if threads:
        torch.set_num_threads(threads)
    with plain_errors():
        settings = read_toml(config, RunConfig)
        if fold >= 0:
            settings = settings.for_fold(fold)
        train(settings, Places(data, cache, runs, weights), device)
        checkpoint = runs / settings.name / FILE
        Console().print(
            f"{settings.name} is trained. Judge it: hemaline-train judge {checkpoint}. Make a "
            f"bundle of it: hemaline-train export models/{settings.name}-1 {checkpoint}",
            highlight=False,
        )


def judge_runs(
    checkpoints: Annotated[list[Path], typer.Argument(help="build/runs/NAME/checkpoint.pt")],
    data: DataDir,
    cache: CacheDir = CACHE,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    json_file: JsonFile = None,
) -> None:
    """Judge runs on what each kept from training; the folds of one run together are a whole."""
    from dataclasses import asdict

    from hemaline_train.learning.cross_validation import judge_checkpoints

    with plain_errors():
        report = judge_checkpoints(checkpoints, data, cache, device)
    table = Table(box=None)
    for heading in ("task", "figure", "value", "95 % interval over groups"):
        table.add_column(heading)
    for task, figures in report.items():
        for name, one in figures.items():
            table.add_row(
                task, name.replace("_", " "), *figure_and_interval(one.value, one.low, one.high)
            )
    Console().print(table)
    if json_file:
        plain = {
            task: {name: asdict(one) for name, one in figures.items()}
            for task, figures in report.items()
        }
        json_file.write_text(json.dumps(plain, indent=2) + "\n")


def export_bundle(
    bundle: Annotated[Path, typer.Argument(help="The new bundle's folder.")],
    checkpoints: Annotated[
        list[Path], typer.Argument(help="build/runs/NAME/checkpoint.pt, one for each network.")
    ],
    data: DataDir,
    cache: CacheDir = CACHE,
    task: Annotated[
        list[str] | None, typer.Option(help="Serve only this head; repeatable. Default: all.")
    ] = None,
    int8: Annotated[bool, typer.Option(help="Eight-bit weights: a quarter of the size.")] = True,
    int8_activations: Annotated[
        bool,
        typer.Option(
            "--int8-activations", help="Eight-bit activations, whatever they cost a network alone."
        ),
    ] = False,
    views: Annotated[
        int, typer.Option(min=1, max=4, help="How often each network looks at a crop, mirrored.")
    ] = 4,
) -> None:
    """Write a bundle that the worker serves: graphs, calibration, operating points."""
    from hemaline_train.bundles.export import Form, export
    from hemaline_train.learning.run import Places

    with plain_errors():
        places = Places(data, cache, bundle.parent)
        form = Form(int8, int8_activations, views)
        export(checkpoints, places, bundle, tasks=task or (), form=form)
        Console().print(f"wrote {bundle}", highlight=False)


def join_bundles(
    bundle: Annotated[Path, typer.Argument(help="The new bundle's folder.")],
    others: Annotated[list[Path], typer.Argument(help="Bundles whose networks it is to have.")],
    data: DataDir,
    cache: CacheDir = CACHE,
) -> None:
    """Make one bundle of the networks of several, calibrated together."""
    from hemaline_train.bundles.join import join
    from hemaline_train.learning.run import Places

    with plain_errors():
        join(others, Places(data, cache, bundle.parent), bundle)
        Console().print(f"wrote {bundle}", highlight=False)
