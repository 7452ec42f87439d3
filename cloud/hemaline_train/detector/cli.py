"""`hemaline-train detector`: train and export the learned leukocyte finder."""

import logging
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from hemaline_shared.errors import HemalineError

detector_app = typer.Typer(
    no_args_is_help=True, help="Train the learned leukocyte finder. Research use only."
)

DataDir = Annotated[
    Path, typer.Option(envvar="HEMALINE_DATA", help="Directory with one folder a data set.")
]


@detector_app.command("train")
def train_command(
    config: Path,
    data: DataDir,
    runs: Annotated[Path, typer.Option(help="Each run has its folder there.")] = Path("build/runs"),
    threads: Annotated[int, typer.Option(help="0 for all cores.")] = 0,
) -> None:
    """Train as CONFIG says; a run that was killed goes on after its last whole epoch."""
    import torch

    from hemaline_train.detector.config import read_detector_config
    from hemaline_train.detector.train import train_detector

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    if threads:
        torch.set_num_threads(threads)
    try:
        checkpoint = train_detector(read_detector_config(config), data, runs)
    except HemalineError as error:
        _leave(error)
    Console().print(f"trained {checkpoint}", highlight=False)


@detector_app.command("export")
def export_command(
    checkpoint: Path,
    graph: Annotated[Path, typer.Argument(help="The new ONNX file.")],
    data: DataDir,
) -> None:
    """Write the graph that the finder loads, checked against PyTorch on the judging fields."""
    from hemaline_train.detector.export import export_detector

    try:
        digest = export_detector(checkpoint, data, graph)
    except HemalineError as error:
        _leave(error)
    Console().print(f"wrote {graph}, SHA-256 {digest}", highlight=False)


def _leave(error: HemalineError) -> NoReturn:
    Console(stderr=True).print(str(error), style="red", highlight=False)
    sys.exit(1)
