"""`hemaline-train`: what data scientists call."""

from hemaline_shared.commands import command_line
from hemaline_train.commands.adapt import adapt_bundle
from hemaline_train.commands.data import data_app
from hemaline_train.commands.detector import detector_app
from hemaline_train.commands.finder import find_leukocytes
from hemaline_train.commands.first_look import choose_first_look
from hemaline_train.commands.networks import (
    export_bundle,
    join_bundles,
    judge_runs,
    train_network,
)
from hemaline_train.commands.reports import (
    compare_bundles,
    evaluate_on,
    leave_laboratories_out,
    tell_confusion,
    write_card,
)
from hemaline_train.commands.systems import make_leaderboard, run_one_system

app = command_line(
    "hemaline-train",
    "Measure and train on labelled images. Research use only.",
    part="train",
)
app.add_typer(data_app, name="data")
app.command("train")(train_network)
app.command("adapt")(adapt_bundle)
app.command("judge")(judge_runs)
app.command("export")(export_bundle)
app.command("join")(join_bundles)
app.command("evaluate")(evaluate_on)
app.command("compare")(compare_bundles)
app.command("confusion")(tell_confusion)
app.command("first-look")(choose_first_look)
app.command("leave-one-out")(leave_laboratories_out)
app.command("card")(write_card)
app.command("classical")(run_one_system)
app.command("leaderboard")(make_leaderboard)
app.add_typer(detector_app, name="detector")
app.command("find-leukocytes")(find_leukocytes)
