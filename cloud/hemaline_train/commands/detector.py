"""`hemaline-train detector`: train and export the learned leukocyte finder."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hemaline_train.commands.options import (
    RUNS,
    DataDir,
    RunsDir,
    Threads,
    plain_errors,
    show_progress,
)

detector_app = typer.Typer(
    no_args_is_help=True, help="Train the learned leukocyte finder. Research use only."
)


@detector_app.command("train")
def train_command(
    config: Path,
    data: DataDir,
    runs: RunsDir = RUNS,
    threads: Threads = 0,
) -> None:
    """Train as CONFIG says; a run that was killed goes on after its last whole epoch."""
    import torch

    from hemaline_train.detector.config import DetectorConfig
    from hemaline_train.detector.train import train_detector
    from hemaline_train.toml_file import read_toml

    show_progress()
    if threads:
        torch.set_num_threads(threads)
    with plain_errors():
        checkpoint = train_detector(read_toml(config, DetectorConfig), data, runs)
    Console().print(f"trained {checkpoint}", highlight=False)


@detector_app.command("export")
def export_command(
    checkpoint: Path,
    graph: Annotated[Path, typer.Argument(help="The new ONNX file.")],
    data: DataDir,
) -> None:
    """Write the graph that the finder loads, checked against PyTorch on the judging fields."""
    from hemaline_train.detector.export import export_detector

    with plain_errors():
        digest = export_detector(checkpoint, data, graph)
    Console().print(f"wrote {graph}, SHA-256 {digest}", highlight=False)
