"""`hemaline-cloud ingest | infer | api | migrate | untrained-bundle`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from hemaline_cloud.settings import ApiSettings, InferSettings, IngestSettings, MigrateSettings
from hemaline_shared.errors import HemalineError
from hemaline_shared.logs import set_up_logging

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The cloud side of Hemaline. Settings come from the environment: HEMALINE_DATABASE_URL, "
    "HEMALINE_OBJECTS__KIND, HEMALINE_BROKER__HOST … (docs/operations.md lists them).",
)
_S = TypeVar("_S", MigrateSettings, IngestSettings, InferSettings, ApiSettings)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema; safe to repeat."""
    from hemaline_cloud.database.migrate import migrate as run

    _start(MigrateSettings, run)


@app.command()
def ingest() -> None:
    """Take messages from the broker, store them, acknowledge and send receipts."""
    from hemaline_cloud.ingest.service import run

    _start(IngestSettings, run)


@app.command()
def infer() -> None:
    """Lease fields from the queue, run the model bundle, write results."""
    from hemaline_cloud.inference.worker import run

    _start(InferSettings, run)


@app.command()
def untrained_bundle(path: Path) -> None:
    """Build the model bundle that counts and does not classify, for a first start."""
    from hemaline_cloud.inference.untrained import ensure_untrained_bundle

    ensure_untrained_bundle(path)


@app.command()
def api() -> None:
    """Serve the API and the result pages."""
    from hemaline_cloud.api.server import run

    _start(ApiSettings, run)


def _start(settings_class: type[_S], run: Callable[[_S], None]) -> None:
    """Read the settings and run until told to stop; say what is wrong in a line, not a trace."""
    try:
        settings = settings_class()
    except ValidationError as error:
        for problem in error.errors():
            name = "HEMALINE_" + "__".join(str(part) for part in problem["loc"]).upper()
            Console(stderr=True, soft_wrap=True).print(
                f"[red]{name}[/]: {problem['msg']}", highlight=False
            )
        sys.exit(2)
    set_up_logging(settings.log_level, settings.log_form)
    try:
        run(settings)
    except HemalineError as error:
        Console(stderr=True, soft_wrap=True).print(
            f"[red]{error.reason}[/]: {escape(str(error))}", highlight=False
        )
        sys.exit(1)
