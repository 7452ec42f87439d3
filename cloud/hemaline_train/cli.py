"""`hemaline-train`: what data scientists call."""

import sys

import typer
from rich.console import Console

from hemaline_train.commands.data import data_app
from hemaline_train.commands.detector import detector_app
from hemaline_train.commands.finder import find_leukocytes
from hemaline_train.commands.networks import export_bundle, judge_runs, train_network
from hemaline_train.commands.reports import evaluate_on, tell_confusion, write_card
from hemaline_train.commands.systems import make_leaderboard, run_one_system

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Measure and train on labelled images. Research use only.",
)
app.add_typer(data_app, name="data")
app.command("train")(train_network)
app.command("judge")(judge_runs)
app.command("export")(export_bundle)
app.command("evaluate")(evaluate_on)
app.command("confusion")(tell_confusion)
app.command("card")(write_card)
app.command("classical")(run_one_system)
app.command("leaderboard")(make_leaderboard)
app.add_typer(detector_app, name="detector")
app.command("find-leukocytes")(find_leukocytes)


def main() -> None:
    """Run, and say in a sentence which part is not installed."""
    try:
        app()
    except ModuleNotFoundError as error:
        if (error.name or "hemaline").startswith("hemaline"):
            raise
        Console(stderr=True).print(
            f"This needs {error.name}, which is not installed: run `make setup-train` in a clone, "
            "or install 'hemaline[train]'.",
            style="red",
            highlight=False,
            markup=False,
        )
        sys.exit(1)
