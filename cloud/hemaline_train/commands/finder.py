"""`hemaline-train find-leukocytes`: how well the edge's finders find."""

import json
from typing import Annotated

import typer
from rich.console import Console

from hemaline_shared.pixels.leukocytes import FinderKind, finder_of_kind
from hemaline_train.commands.options import DataDir, JsonFile, plain_errors
from hemaline_train.data.manifest import data_sets_with_boxes
from hemaline_train.finders.benchmark import ALL, measure_finder, refuse_nothing_measured
from hemaline_train.finders.table import finder_table


def find_leukocytes(
    data: DataDir,
    dataset: Annotated[
        list[str] | None, typer.Option(help="A data set's folder; repeatable. Default: all.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="train, val or another of the manifests; all for every image.")
    ] = ALL,
    finder_kind: Annotated[
        FinderKind, typer.Option("--finder", help="Which finder is measured.")
    ] = "classical",
    intervals: Annotated[
        bool, typer.Option(help="Say how far F1 can be trusted, from resampling groups.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Measure a leukocyte finder on every data set that has boxes."""
    with plain_errors():
        finder = finder_of_kind(finder_kind)
        reports = [
            measure_finder(finder, data / name, split)
            for name in dataset or data_sets_with_boxes(data)
        ]
        refuse_nothing_measured(reports, split)
    Console().print(finder_table(f"{finder.name}, split {split}", reports))
    if intervals:
        from hemaline_train.finders.intervals import interval_line

        for report in reports:
            Console().print(interval_line(report), highlight=False)
    if json_file:
        json_file.write_text(json.dumps([report.as_json() for report in reports], indent=2) + "\n")
