"""`hemaline-train find-leukocytes`: what data scientists call."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hemaline_shared.errors import HemalineError
from hemaline_shared.pixels.leukocytes import ClassicalFinder
from hemaline_train.detection import Rates
from hemaline_train.finder_benchmark import FinderReport, measure_finder
from hemaline_train.manifest import data_sets_with_boxes

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure and train on labelled images. Research use only.",
)


class Split(StrEnum):
    """Which part of a data set counts."""

    TRAIN = "train"
    VAL = "val"
    ALL = "all"


@app.callback()
def commands() -> None:
    """Measure and train on labelled images."""


@app.command()
def find_leukocytes(
    data: Annotated[
        Path,
        typer.Option(envvar="HEMALINE_DATA", help="Directory with one folder a data set."),
    ],
    dataset: Annotated[
        list[str] | None, typer.Option(help="A data set's folder; repeatable. Default: all.")
    ] = None,
    split: Annotated[Split, typer.Option(help="Which images count.")] = Split.ALL,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures there.")
    ] = None,
) -> None:
    """Measure the leukocyte finder on every data set that has boxes."""
    wanted = {Split.TRAIN, Split.VAL} if split is Split.ALL else {split}
    finder = ClassicalFinder()
    try:
        reports = [
            measure_finder(finder, data / name, wanted)
            for name in dataset or data_sets_with_boxes(data)
        ]
    except HemalineError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        sys.exit(1)
    Console().print(_table(f"{finder.name}, split {split}", reports))
    if json_file:
        json_file.write_text(json.dumps([report.as_json() for report in reports], indent=2) + "\n")


def _table(title: str, reports: list[FinderReport]) -> Table:
    table = Table(
        title=title,
        caption="R recall, P precision, ms median for scale and finding of one image",
        box=None,  # eleven columns and their rules would not fit eighty characters
        padding=(0, 1, 0, 0),
    )
    table.add_column("data set", no_wrap=True)
    for heading in ("images", "cells", "found"):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind in ("centre", "IoU.5"):
        for rate in ("R", "P", "F1"):
            table.add_column(f"{kind}\n{rate}", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    for report in reports:
        counts = report.tally
        table.add_row(
            report.data_set,
            *(str(count) for count in (counts.images, counts.labelled, counts.found)),
            *_rounded(report.centre),
            *_rounded(report.iou),
            "-" if report.median_ms is None else f"{report.median_ms:.1f}",
        )
    return table


def _rounded(rates: Rates) -> list[str]:
    return [
        "-" if rate is None else f"{rate:.3f}" for rate in (rates.recall, rates.precision, rates.f1)
    ]
