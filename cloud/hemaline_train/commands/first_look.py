"""`hemaline-train first-look`: which cells one network of a bundle may answer alone."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hemaline_train.commands.options import CACHE, CacheDir, DataDir, plain_errors

if TYPE_CHECKING:
    from hemaline_train.bundles.first_look import Tried

_HEADINGS = (
    "enough from", "data set", "asked of all", "balanced accuracy", "calibration error",
    "blast share error",
)  # fmt: skip


def choose_first_look(
    bundle: Annotated[Path, typer.Argument(help="A model bundle's folder.")],
    data: DataDir,
    cache: CacheDir = CACHE,
    network: Annotated[
        str, typer.Option(help="Asked first; the one that takes the least time, if none is named.")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Into the bundle's manifest, whose hash changes.")
    ] = False,
) -> None:
    """Try which cells a network may answer alone, on what judged BUNDLE's networks."""
    from hemaline_train.bundles.bundle import read_bundle, write_first_look
    from hemaline_train.bundles.first_look import (
        chosen,
        confusion_of,
        ms_a_crop,
        try_first_looks,
    )
    from hemaline_train.bundles.judging_samples import judging_samples
    from hemaline_train.data.prepare import prepare

    say = Console().print
    with plain_errors():
        read = read_bundle(bundle)
        samples = judging_samples(read, data)
        pixels = prepare(samples, cache)
        ms = ms_a_crop(read.networks, pixels)
        first = network or min(ms, key=lambda name: ms[name])
        tried = list(try_first_looks(read, first, samples, read.logits(pixels, cache), ms))
        sys.stdout.write(_told(first, tried))
        best = chosen(tried)
        if best is None or best.first is None:
            say("None of these loses little enough: every network stays asked of every cell.")
            return
        say(f"Enough: {_least(best)}. It is the lowest that hides no blast and loses nothing.")
        if any(
            task.view == "field" and task.name in best.first.temperatures for task in read.tasks
        ):
            say(f"Of whole fields {first} alone is asked: there all together answer no better.")
        if write:
            served = replace(read, first_look=best.first)
            told = confusion_of(served, samples, read.logits(pixels, cache))
            write_first_look(bundle, best.first, told)
            say(f"{bundle} asks {first} first from now on.", highlight=False)


def _told(network: str, tried: Sequence["Tried"]) -> str:
    from hemaline_train.judging.markdown import table

    costs = ("enough from", "asked of all", "work", "labels changed", "blasts lost")
    told = f"{network} is asked first. Work: as a share of asking every network of every cell."
    lines = [told, "", *table(costs, map(_cost, tried)), "", *table(_HEADINGS, _rows(tried)), ""]
    return "\n".join(lines)


def _cost(one: "Tried") -> list[str]:
    return [
        _least(one), f"{one.asked_all:.2f}", f"{one.work:.2f}", str(one.changed),
        str(one.blasts_lost),
    ]  # fmt: skip


def _rows(tried: Iterable["Tried"]) -> Iterator[list[str]]:
    for one in tried:
        for name, served in one.served.items():
            error = "none" if served.blast_error is None else f"{served.blast_error:.3f}"
            yield [
                _least(one), name, f"{served.asked_all:.2f}", f"{served.accuracy:.3f}",
                f"{served.calibration_error:.3f}", error,
            ]  # fmt: skip


def _least(one: "Tried") -> str:
    return f"{min(one.first.enough.values()):.2f}" if one.first else "never"
