"""`hemaline-train evaluate` and `card`: what a bundle is worth, and its model card."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hemaline_train.commands.options import (
    CACHE,
    CacheDir,
    DataDir,
    JsonFile,
    Resamples,
    plain_errors,
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
