"""`hemaline-train classical` and `hemaline-train leaderboard`."""

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hemaline_shared.errors import HemalineError

DataDir = Annotated[
    Path, typer.Option(envvar="HEMALINE_DATA", help="Directory with one folder a data set.")
]
CacheDir = Annotated[
    Path, typer.Option("--cache", envvar="HEMALINE_TRAIN_CACHE", help="For prepared pixels.")
]
WeightsDir = Annotated[
    Path | None, typer.Option(envvar="HEMALINE_WEIGHTS", help="Holds published weights.")
]
Resamples = Annotated[int, typer.Option(help="For the intervals.")]
_CACHE = Path("build/train-cache")


def run_one_system(
    name: Annotated[str, typer.Argument(help="Such as system-f-fab; `list` shows all.")],
    data: DataDir,
    cache: CacheDir = _CACHE,
    weights: WeightsDir = None,
    resamples: Resamples = 500,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures there.")
    ] = None,
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
    try:
        report = run_system(known_system(name), Bench(data, cache, weights), resamples)
    except HemalineError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        sys.exit(1)
    table = Table(box=None)
    for heading in ("system", "task", "data set", "figure", "value", "95 % interval"):
        table.add_column(heading)
    for entry in report.entries:
        known = entry.low is not None and entry.high is not None
        interval = f"{entry.low:.3f} to {entry.high:.3f}" if known else "-"
        figure = entry.metric.replace("_", " ")
        named = (title(report, entry.variant), entry.task, entry.data_set, figure)
        table.add_row(*named, f"{entry.value:.3f}", interval)
    Console().print(table)
    for text in (f"Weak: {report.weakness}.", *report.notes):
        Console().print(text, highlight=False)
    if json_file:
        json_file.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")


def make_leaderboard(
    data: DataDir,
    cache: CacheDir = _CACHE,
    weights: WeightsDir = None,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="A folder of trained networks; repeatable.")
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

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        reports = build_leaderboard(
            SYSTEMS, bundle or [], Bench(data, cache, weights), kept, out, resamples
        )
    except HemalineError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        sys.exit(1)
    Console().print(f"{len(reports)} systems in {out}", highlight=False)
