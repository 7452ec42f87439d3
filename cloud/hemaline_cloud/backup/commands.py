"""`hemaline-cloud backup …` and `restore`, as typed."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from hemaline_cloud.settings import BackupSettings, RestoreSettings
from hemaline_cloud.starting import settings_of, start
from hemaline_shared.errors import PermanentError

backup = typer.Typer(
    no_args_is_help=True,
    help="A backup of rows and objects in HEMALINE_BACKUP: follow, base, list, discard.",
)


@backup.command("follow")
def follow_changes() -> None:
    """Archive the WAL as it comes and copy new objects each minute, until told to stop."""
    from hemaline_cloud.backup.following import follow

    start(BackupSettings, follow)


@backup.command("base")
def take_base_backup() -> None:
    """Make a base backup, prove it, and only then let it count."""
    from hemaline_cloud.backup.base import take_base

    began = time.monotonic()
    base = take_base(settings_of(BackupSettings))
    took = time.monotonic() - began
    typer.echo(f"{base.path.name}: {base.size:,} bytes in {took:.1f} s, verified.")


@backup.command("list")
def list_backups() -> None:
    """List the base backups that count, oldest first."""
    from hemaline_cloud.backup.folder import BackupFolder

    settings = settings_of(BackupSettings)
    for base in BackupFolder(settings.backup).finished():
        at = base.finished_at.isoformat(timespec="seconds")
        typer.echo(f"{base.path.name}\t{at}\t{base.size} bytes")


@backup.command("discard")
def discard_backups(days: Annotated[int, typer.Option(min=1)]) -> None:
    """Delete what is not needed to restore any moment of the last --days."""
    from hemaline_cloud.backup.discarding import discard

    settings = settings_of(BackupSettings)
    done = discard(settings, timedelta(days=days))
    typer.echo(
        f"{done.bases} base backups, {done.segments} WAL files and {done.objects} objects deleted."
    )


def restore(
    folder: Annotated[Path, typer.Argument(help="The backup's folder.")],
    data: Annotated[Path, typer.Option(help="PostgreSQL's data directory to be: empty.")],
    until: Annotated[
        str | None, typer.Option(help="With its zone: 2026-11-29T08:00:00+00:00.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="The user who runs PostgreSQL.")] = None,
) -> None:
    """Fill an empty data directory and object store from a backup; then start PostgreSQL on it."""
    from hemaline_cloud.backup.restoring import restore as run

    settings = settings_of(RestoreSettings)
    began = time.monotonic()
    done = run(settings, folder, data, _time(until), owner)
    took = time.monotonic() - began
    typer.echo(
        f"base backup {done.base.path.name}, {done.segments} WAL files and {done.objects.files} "
        f"objects ({done.objects.size:,} bytes) in {took:.1f} s. Start PostgreSQL on {data}: it "
        "replays the WAL and is then open. Then: hemaline-cloud verify --hashes, and a backup in a "
        "new folder, for a new history has begun."
    )


def _time(said: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(said) if said else None
    except ValueError:
        raise PermanentError(
            "bad-time", f"{said!r} is no time: 2026-11-29T08:00:00+00:00"
        ) from None
