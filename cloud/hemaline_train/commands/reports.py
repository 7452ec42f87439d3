"""`hemaline-train evaluate` and `card`: what a bundle is worth, and its model card."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hemaline_train.commands.options import (
    CACHE,
    RUNS,
    CacheDir,
    DataDir,
    JsonFile,
    Resamples,
    RunsDir,
    Threads,
    WeightsDir,
    plain_errors,
    show_progress,
)

BundleDir = Annotated[Path, typer.Argument(help="A model bundle's folder.")]
LabelledDir = Annotated[Path, typer.Argument(help="A data set's folder.")]
Split = Annotated[
    str, typer.Option(help="train, val or another of the manifest; all for every row.")
]
Optics = Annotated[
    float | None,
    typer.Option(help="Optics of your own images; else as in training, or by the red cells."),
]
Like = Annotated[str, typer.Option("--as", help="Read the manifest as that of a known data set.")]
AsTheyCome = Annotated[
    bool, typer.Option("--labels-as-they-come", help="Pass over verdicts on labels.")
]


def evaluate_on(
    bundle: BundleDir,
    data: LabelledDir,
    split: Split = "val",
    cache: CacheDir = CACHE,
    um_per_px: Optics = None,
    like: Like = "",
    as_they_come: AsTheyCome = False,
    json_file: JsonFile = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder for JSON, Markdown and pictures.")
    ] = None,
    resamples: Resamples = 1000,
) -> None:
    """Judge a bundle on any data set, also one that training never saw."""
    from hemaline_train.bundles.bundle import read_bundle
    from hemaline_train.judging.markdown import evaluation_section
    from hemaline_train.reports.evaluate import answer
    from hemaline_train.reports.evaluation_files import write_json, write_report

    with plain_errors():
        answered = answer(
            read_bundle(bundle),
            data,
            split,
            cache,
            um_per_px=um_per_px,
            like=like,
            reviewed=not as_they_come,
        )
        evaluations = [one.evaluation(resamples) for one in answered]
        sys.stdout.write("\n".join(evaluation_section(one) for one in evaluations))
        if json_file:
            write_json(evaluations, json_file)
        if out:
            Console().print(f"wrote {write_report(answered, evaluations, out)}", highlight=False)


def compare_bundles(
    bundles: Annotated[list[Path], typer.Argument(help="Two model bundles or more.")],
    data: DataDir,
    split: Split = "val",
    cache: CacheDir = CACHE,
    data_set: Annotated[
        list[str] | None, typer.Option(help="Only this one judges; repeatable.")
    ] = None,
    as_they_come: AsTheyCome = False,
    json_file: JsonFile = None,
    resamples: Resamples = 1000,
) -> None:
    """Judge bundles on the same pictures of every known data set, side by side."""
    from hemaline_train.reports.compare import compare, comparison_section

    with plain_errors():
        rows = compare(
            bundles,
            data,
            split,
            cache,
            only=data_set or (),
            reviewed=not as_they_come,
            resamples=resamples,
        )
        sys.stdout.write(comparison_section(rows, split))
        if json_file:
            content = [row.as_json() for row in rows]
            json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def tell_confusion(
    bundle: BundleDir,
    data: LabelledDir,
    split: Split = "val",
    cache: CacheDir = CACHE,
    um_per_px: Optics = None,
    like: Like = "",
) -> None:
    """Measure how often a bundle errs on labelled cells, and write it into its manifest.

    Slide results widen their intervals by it. The bundle's hash changes.
    """
    from hemaline_train.bundles.bundle import read_bundle, write_confusion
    from hemaline_train.reports.evaluate import answer, confusion_of

    with plain_errors():
        answered = answer(read_bundle(bundle), data, split, cache, um_per_px=um_per_px, like=like)
        task, confusion = confusion_of(answered)
        write_confusion(bundle, task, confusion)
        Console().print(
            f"{bundle} now says how often its {task} errs: "
            f"{sum(sum(row.values()) for row in confusion.counts.values())} cells of "
            f"{confusion.patients} patients, correlation {confusion.correlation}",
            highlight=False,
        )


def leave_laboratories_out(
    config: Annotated[Path, typer.Argument(help="A run's settings, a flat TOML file.")],
    data: DataDir,
    cache: CacheDir = CACHE,
    runs: RunsDir = RUNS,
    weights: WeightsDir = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Threads = 0,
    task: Annotated[str, typer.Option(help="What is judged.")] = "cell-class",
    laboratory: Annotated[
        list[str] | None, typer.Option(help="Only this one is left out; repeatable.")
    ] = None,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="ImageNet's features and a linear model: minutes.")
    ] = False,
    json_file: JsonFile = None,
    resamples: Resamples = 1000,
) -> None:
    """Judge CONFIG's network on each laboratory, trained on all the others."""
    import torch

    from hemaline_train.data.tasks import TASKS
    from hemaline_train.judging.cross_laboratory import laboratories_section
    from hemaline_train.learning.config import RunConfig
    from hemaline_train.learning.run import Places
    from hemaline_train.reports.leave_one_out import (
        frozen_answers,
        leave_one_out,
        mean_of,
        trained_answers,
    )
    from hemaline_train.toml_file import read_toml

    show_progress()
    if threads:
        torch.set_num_threads(threads)
    with plain_errors():
        settings, places = read_toml(config, RunConfig), Places(data, cache, runs, weights)
        asked = {**TASKS, **{one.name: one for one in settings.asked()}}
        if task not in asked:
            raise typer.BadParameter(f"there is no task {task}; there are {', '.join(asked)}")
        answers = (
            frozen_answers(settings, asked[task], places)
            if frozen
            else trained_answers(settings, asked[task], places, device)
        )
        rows = list(
            leave_one_out(settings, asked[task], places, answers, laboratory or (), resamples)
        )
    mean = mean_of(rows)
    sys.stdout.write(laboratories_section(task, rows))
    sys.stdout.write(
        f"\nMean over {len(rows)} laboratories: "
        f"{'not defined' if mean is None else f'{mean:.3f}'}\n"
    )
    if json_file:
        content = {"mean": mean, "laboratories": [row.as_json() for row in rows]}
        json_file.write_text(json.dumps(content, indent=2) + "\n")


def write_card(
    bundle: BundleDir,
    data: DataDir,
    cache: CacheDir = CACHE,
    out: Annotated[Path, typer.Option(help="For the card, its pictures and figures.")] = Path(
        "docs/model-cards"
    ),
    machine: Annotated[str, typer.Option(help="What trained the networks, and how long.")] = "",
    remark: Annotated[
        list[str] | None, typer.Option(help="What the card must say as well; repeatable.")
    ] = None,
    resamples: Resamples = 1000,
) -> None:
    """Measure a bundle on every data set that fits, and write its model card."""
    from hemaline_train.reports.make_card import CardRequest, make_card

    with plain_errors():
        request = CardRequest(bundle, data, cache, machine, tuple(remark or ()), resamples)
        Console().print(f"wrote {make_card(request, out)}", highlight=False)
