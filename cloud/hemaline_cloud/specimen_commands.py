"""`hemaline-cloud specimens …`, as typed."""

from typing import Annotated
from uuid import UUID

import typer

from hemaline_cloud.settings import IngestSettings
from hemaline_cloud.starting import start

specimens = typer.Typer(
    no_args_is_help=True, help="Specimens: erase, hold (nobody erases it), release, finish."
)
Why = Annotated[str, typer.Option(help="A sentence that the audit keeps.")]


@specimens.command("erase")
def erase(specimen_id: UUID, why: Why) -> None:
    """Delete all that is kept of a specimen, its images too, for good."""
    from hemaline_cloud import specimen_verbs as verbs

    start(IngestSettings, lambda settings: verbs.erase(settings, specimen_id, why, typer.echo))


@specimens.command("hold")
def hold(specimen_id: UUID, why: Why) -> None:
    """Let nobody erase a specimen until it is released: a legal hold."""
    from hemaline_cloud import specimen_verbs as verbs

    start(IngestSettings, lambda settings: verbs.hold(settings, specimen_id, why, typer.echo))


@specimens.command("release")
def release(specimen_id: UUID, why: Why) -> None:
    """End a specimen's legal hold."""
    from hemaline_cloud import specimen_verbs as verbs

    start(IngestSettings, lambda settings: verbs.release(settings, specimen_id, why, typer.echo))


@specimens.command("finish")
def finish() -> None:
    """Delete the images that an erasure which was cut off has left."""
    from hemaline_cloud import specimen_verbs as verbs

    start(IngestSettings, lambda settings: verbs.finish(settings, typer.echo))
