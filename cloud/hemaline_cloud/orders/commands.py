"""`hemaline-cloud orders …` and `hemaline-cloud patients …`, as typed."""

from pathlib import Path
from typing import Annotated

import typer

from hemaline_cloud.settings import IdentitySettings
from hemaline_cloud.starting import start

orders = typer.Typer(no_args_is_help=True, help="Orders of the laboratory: import.")
patients = typer.Typer(no_args_is_help=True, help="Who patients are, sealed: reseal.")


@orders.callback()
@patients.callback()
def _group() -> None:
    """Keep the verb in the command while there is one alone."""


@orders.command("import")
def import_orders(
    file: Annotated[Path, typer.Argument(help="A .csv, or FHIR as .json.")],
    site: Annotated[str, typer.Option(help="Whose laboratory.")],
) -> None:
    """Take in the orders of a file, all of them or none."""
    from hemaline_cloud import order_verbs as verbs

    start(IdentitySettings, lambda settings: verbs.import_orders(settings, file, site, typer.echo))


@patients.command("reseal")
def reseal() -> None:
    """Seal who is sealed under a former key anew, under the one in use; safe to repeat."""
    from hemaline_cloud import order_verbs as verbs

    start(IdentitySettings, lambda settings: verbs.reseal(settings, typer.echo))
