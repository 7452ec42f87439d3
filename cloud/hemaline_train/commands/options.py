"""What several commands take, and how they all answer to a mistake."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hemaline_shared.errors import HemalineError

DataDir = Annotated[
    Path, typer.Option(envvar="HEMALINE_DATA", help="Directory with one folder a data set.")
]
CacheDir = Annotated[
    Path, typer.Option("--cache", envvar="HEMALINE_TRAIN_CACHE", help="For prepared pixels.")
]
WeightsDir = Annotated[
    Path | None,
    typer.Option(
        envvar="HEMALINE_WEIGHTS", help="Directory of EfficientNet-Lite's ImageNet weights."
    ),
]
RunsDir = Annotated[Path, typer.Option(help="Each run has its folder there.")]
Threads = Annotated[int, typer.Option(help="On a CPU; 0 for all cores.")]
Resamples = Annotated[int, typer.Option(help="For the intervals.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures there.")]

CACHE, RUNS = Path("build/train-cache"), Path("build/runs")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say what went wrong in one sentence, and leave with 1."""
    try:
        yield
    except HemalineError as error:
        Console(stderr=True).print(str(error), style="red", highlight=False, markup=False)
        sys.exit(1)


def show_progress() -> None:
    """Let long work say on the standard output how far it is."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)


def figure_and_interval(
    value: float | None, low: float | None, high: float | None
) -> tuple[str, str]:
    """Return both as a table shows them; a dash for what is not known."""
    if value is None:
        return "-", "-"
    interval = "-" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return f"{value:.3f}", interval


def in_words(value: float | None, low: float | None, high: float | None) -> str:
    """Return a figure and its interval as a sentence has them, without what is not known."""
    if value is None:
        return "not defined"
    interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{interval}"
