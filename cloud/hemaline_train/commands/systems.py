"""`hemaline-train classical` and `hemaline-train leaderboard`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hemaline_train.commands.options import (
    CACHE,
    CacheDir,
    DataDir,
    JsonFile,
    Resamples,
    WeightsDir,
    figure_and_interval,
    plain_errors,
    show_progress,
)


def run_one_system(
    name: Annotated[str, typer.Argument(help="Such as system-f-fab; `list` shows all.")],
    data: Annotated[
        Path | None,
        typer.Option(
            envvar="HEMALINE_DATA",
            help="Directory with one folder a data set; `list` needs none.",
        ),
    ] = None,
    cache: CacheDir = CACHE,
    weights: WeightsDir = None,
    resamples: Resamples = 500,
    json_file: JsonFile = None,
) -> None:
    """Fit a classical system of the literature on the train parts, and judge it on the others."""
    from hemaline_train.classical.bench import Bench
    from hemaline_train.classical.leaderboard_page import title
    from hemaline_train.classical.registry import SYSTEMS, known_system
    from hemaline_train.classical.system import run_system

    if name == "list":
        for one in SYSTEMS.values():
            Console().print(f"[bold]{one.name}[/bold]: {one.reference}", highlight=False)
        return
    if data is None:
        raise typer.BadParameter("name the directory of the data sets with --data or HEMALINE_DATA")
    with plain_errors():
        report = run_system(known_system(name), Bench(data, cache, weights), resamples)
    table = Table(box=None)
    for heading in ("system", "task", "data set", "figure", "value", "95 % interval"):
        table.add_column(heading)
    for entry in report.entries:
        named = (title(report, entry.variant), entry.task, entry.data_set)
        value = figure_and_interval(entry.value, entry.low, entry.high)
        table.add_row(*named, entry.metric.replace("_", " "), *value)
    Console().print(table)
    for text in (f"Weak: {report.weakness}.", *report.notes):
        Console().print(text, highlight=False)
    if json_file:
        json_file.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


def make_leaderboard(
    data: DataDir,
    cache: CacheDir = CACHE,
    weights: WeightsDir = None,
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="A model bundle to put beside the systems; repeatable."),
    ] = None,
    kept: Annotated[
        Path, typer.Option(help="Each system's figures are kept there: delete one to redo it.")
    ] = Path("build/leaderboard"),
    out: Annotated[Path, typer.Option(help="For leaderboard.md and leaderboard.json.")] = Path(
        "docs"
    ),
    resamples: Resamples = 500,
) -> None:
    """Judge every system and network on the same splits, and write the table."""
    from hemaline_train.classical.bench import Bench
    from hemaline_train.classical.leaderboard import build_leaderboard
    from hemaline_train.classical.registry import SYSTEMS

    show_progress()
    with plain_errors():
        reports = build_leaderboard(
            SYSTEMS, bundle or [], Bench(data, cache, weights), kept, out, resamples
        )
    Console().print(f"{len(reports)} systems in {out}", highlight=False)
