"""`hemaline-train adapt`: a laboratory's own bundle, in minutes."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hemaline_train.commands.options import (
    CACHE,
    CacheDir,
    JsonFile,
    Resamples,
    figure_and_interval,
    plain_errors,
    show_progress,
)


def adapt_bundle(
    folder: Annotated[
        Path, typer.Argument(help="Your labelled cells, with the manifest of `data adopt`.")
    ],
    new: Annotated[Path, typer.Argument(help="The new bundle's folder.")],
    bundle: Annotated[
        Path,
        typer.Option("--from", envvar="HEMALINE_BUNDLE", help="The bundle to begin with."),
    ],
    um_per_px: Annotated[
        float | None,
        typer.Option(help="Optics of your pictures, 0.1 of exported cells; else by red cells."),
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="A folder with cells of classes that yours lacks; repeatable."),
    ] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Write it though its gain may be chance.")
    ] = False,
    cache: CacheDir = CACHE,
    json_file: JsonFile = None,
    resamples: Resamples = 500,
) -> None:
    """Teach a bundle's heads a laboratory's own cells; refuse where that makes it worse."""
    from hemaline_train.adaptation.adapt import LabFolders, adapt

    show_progress()
    console = Console()

    def tell(sentence: str) -> None:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    with plain_errors():
        curve = adapt(
            bundle,
            LabFolders(folder, um_per_px, beside or ()),
            new,
            cache,
            tell,
            unproven=unproven,
            resamples=resamples,
        )
    table = Table(box=None)
    for heading in ("cells of each class", "balanced accuracy", "95 % interval over patients"):
        table.add_column(heading)
    for point in curve:
        one = point.accuracy
        table.add_row(point.about, *figure_and_interval(one.value, one.low, one.high))
    console.print(table)
    if json_file:
        content = [point.as_json() for point in curve]
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    tell(f"wrote {new}. Serve it: HEMALINE_BUNDLE={new} hemaline up")
