"""`hemaline-cloud ingest | infer | api | est | migrate`, and the verbs of operators."""

from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from hemaline_cloud.backup.commands import backup, restore
from hemaline_cloud.database.purposes import Purpose
from hemaline_cloud.enrolment.commands import devices
from hemaline_cloud.orders.commands import orders, patients
from hemaline_cloud.people.commands import people, tokens
from hemaline_cloud.settings import (
    ApiSettings,
    AuditSettings,
    EstSettings,
    InferSettings,
    IngestSettings,
    MigrateSettings,
)
from hemaline_cloud.specimen_commands import specimens
from hemaline_cloud.starting import settings_of, start
from hemaline_shared.commands import command_line

app = command_line(
    "hemaline-cloud",
    "The cloud side of Hemaline. Settings come from the environment: HEMALINE_DATABASE_URL, "
    "HEMALINE_OBJECTS__KIND, HEMALINE_BROKER__HOST … (docs/operations.md lists them).",
    part="cloud",
)
letters = typer.Typer(
    no_args_is_help=True, help="Messages that were not taken in: list, show, retry, discard."
)
app.add_typer(letters, name="dead-letters")
frames = typer.Typer(no_args_is_help=True, help="Frames in quarantine: list, show, retry, discard.")
app.add_typer(frames, name="frames")
objects = typer.Typer(
    no_args_is_help=True, help="Objects in the store that no row refers to: list, discard."
)
app.add_typer(objects, name="objects")
bundles = typer.Typer(
    no_args_is_help=True, help="Model bundles, and whose answers count: list, show, appoint."
)
app.add_typer(bundles, name="bundles")
_Site = Annotated[str | None, typer.Option(help="For this site alone; else for all.")]

policies = typer.Typer(no_args_is_help=True, help="What a site asks of readers: show, set.")
app.add_typer(policies, name="policies")

patterns = typer.Typer(
    no_args_is_help=True, help="The rules of patterns at a site: show, check, set."
)
app.add_typer(patterns, name="patterns")

labels = typer.Typer(no_args_is_help=True, help="What people call cells: export.")
app.add_typer(labels, name="labels")

audit = typer.Typer(no_args_is_help=True, help="The audit of reads and changes: verify.")
app.add_typer(audit, name="audit")

app.add_typer(backup, name="backup")
app.command()(restore)
app.add_typer(devices, name="devices")
app.add_typer(people, name="people")
app.add_typer(tokens, name="tokens")
app.add_typer(orders, name="orders")
app.add_typer(patients, name="patients")
app.add_typer(specimens, name="specimens")


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema; safe to repeat."""
    from hemaline_cloud.database.migrate import migrate as run

    run(settings_of(MigrateSettings))


@app.command()
def ingest() -> None:
    """Take messages from the broker, store them, acknowledge and send receipts."""
    from hemaline_cloud.ingest.service import run

    start(IngestSettings, run)


@app.command()
def infer() -> None:
    """Lease fields from the queue, run the model bundle, write results."""
    from hemaline_cloud.inference.worker import run

    start(InferSettings, run)


@app.command()
def api() -> None:
    """Serve the API and the result pages."""
    from hemaline_cloud.api.server import run

    start(ApiSettings, run)


@app.command()
def est() -> None:
    """Give devices their certificates: EST (RFC 7030) over TLS."""
    from hemaline_cloud.enrolment.verbs import serve_est

    start(EstSettings, serve_est)


@app.command()
def verify(*, hashes: bool = False) -> None:
    """Name rows without their object and objects without a row; --hashes: changed ones too.

    Needs ingest's settings.
    """
    from hemaline_cloud import object_verbs as verbs

    start(IngestSettings, lambda settings: verbs.verify(settings, typer.echo, hashes=hashes))


@audit.command("verify")
def verify_audit() -> None:
    """Prove that the audit is as it was sealed and published; name the first false block."""
    from hemaline_cloud import audit_verbs as verbs

    start(AuditSettings, lambda settings: verbs.verify_audit(settings, typer.echo))


@bundles.command("list")
def list_bundles() -> None:
    """List the known bundles, newest first, with what each holds where."""
    from hemaline_cloud import bundle_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.list_bundles(settings, typer.echo))


@bundles.command("show")
def show_bundle(bundle: str) -> None:
    """Show one of them, by its id or the beginning of its hash, and all its appointments."""
    from hemaline_cloud import bundle_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.show_bundle(settings, bundle, typer.echo))


@bundles.command("appoint")
def appoint_bundle(
    bundle: str,
    site: _Site = None,
    *,
    trial: Annotated[
        bool, typer.Option("--trial", help="Keep its answers beside those that count.")
    ] = False,
) -> None:
    """Let the answers of a bundle count from now on: a directory, an id, a hash's beginning."""
    from hemaline_cloud import bundle_verbs as verbs

    purpose: Purpose = "trial" if trial else "active"
    start(
        MigrateSettings,
        lambda settings: verbs.appoint_bundle(settings, bundle, purpose, site, typer.echo),
    )


@bundles.command("end-trial")
def end_trial(site: _Site = None) -> None:
    """Let no bundle be on trial from now on; the answers that were kept stay."""
    from hemaline_cloud import bundle_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.end_trials(settings, site, typer.echo))


@policies.command("show")
def show_policy(site: str) -> None:
    """Show what a site asks its readers to have seen before they sign."""
    from hemaline_cloud import policy_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.show_policy(settings, site, typer.echo))


@policies.command("set")
def set_policy(site: str, file: Path) -> None:
    """Let another policy hold at a site from now on: JSON, as `show` prints it."""
    from hemaline_cloud import policy_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.put_policy(settings, site, file, typer.echo))


@patterns.command("show")
def show_patterns(site: str) -> None:
    """Show the rules of patterns that hold at a site, as TOML that `set` takes."""
    from hemaline_cloud import pattern_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.show_rules(settings, site, typer.echo))


@patterns.command("check")
def check_patterns(file: Path) -> None:
    """Say whether a file holds rules of patterns; nothing is changed."""
    from hemaline_cloud import pattern_verbs as verbs

    verbs.check_rules(file, typer.echo)


@patterns.command("set")
def set_patterns(site: str, file: Path) -> None:
    """Let rules of patterns hold at a site from now on; what was signed keeps its own."""
    from hemaline_cloud import pattern_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.put_rules(settings, site, file, typer.echo))


@labels.command("export")
def export_labels(folder: Path) -> None:
    """Write the cells of signed slides, a folder for each class, for `hemaline-train data adopt`.

    Needs ingest's settings: the crops lie in the object store.
    """
    from hemaline_cloud import label_verbs as verbs

    start(IngestSettings, lambda settings: verbs.export_labels(settings, folder, typer.echo))


@frames.command("list")
def list_frames(reason: str | None = None, limit: int = 100, *, discarded: bool = False) -> None:
    """List frames in quarantine, newest first; of one reason, or discarded ones too."""
    from hemaline_cloud import frame_verbs as verbs

    start(
        MigrateSettings,
        lambda settings: verbs.list_frames(
            settings, reason, limit, typer.echo, discarded=discarded
        ),
    )


@frames.command("show")
def show_frame(frame_id: UUID) -> None:
    """Show one of them: why, where its images lie, what was done about it."""
    from hemaline_cloud import frame_verbs as verbs

    start(MigrateSettings, lambda settings: verbs.show_frame(settings, frame_id, typer.echo))


@frames.command("retry")
def retry_frames(
    frame_ids: Annotated[list[UUID] | None, typer.Argument()] = None, reason: str | None = None
) -> None:
    """Queue frames again from their kept images: the named ones, or all of one --reason."""
    from hemaline_cloud import frame_verbs as verbs

    if bool(frame_ids) == bool(reason):
        raise typer.BadParameter("Name frames, or a --reason; not both.")
    start(
        MigrateSettings,
        lambda settings: verbs.retry_frames(settings, frame_ids or [], reason, typer.echo),
    )


@frames.command("discard")
def discard_frames(frame_ids: list[UUID], why: Annotated[str, typer.Option()]) -> None:
    """Take frames off the list, with a reason; the ledger and the images keep them."""
    from hemaline_cloud import frame_verbs as verbs

    start(
        MigrateSettings,
        lambda settings: verbs.discard_frames(settings, frame_ids, why, typer.echo),
    )


@letters.command("list")
def list_letters(reason: str | None = None, limit: int = 100, *, ended: bool = False) -> None:
    """List messages that wait, newest first; of one reason, or retried and discarded ones too."""
    from hemaline_cloud import dead_letter_verbs as verbs

    start(
        MigrateSettings,
        lambda settings: verbs.list_letters(settings, reason, limit, typer.echo, ended=ended),
    )


@letters.command("show")
def show_letter(letter_id: UUID) -> None:
    """Show one of them: why, where it lies, what was done about it."""
    from hemaline_cloud import dead_letter_verbs as verbs

    start(IngestSettings, lambda settings: verbs.show_letter(settings, letter_id, typer.echo))


@letters.command("retry")
def retry_letters(
    letter_ids: Annotated[list[UUID] | None, typer.Argument()] = None, reason: str | None = None
) -> None:
    """Take messages in as if they came now: the named ones, or all of one --reason."""
    from hemaline_cloud import dead_letter_verbs as verbs

    if bool(letter_ids) == bool(reason):
        raise typer.BadParameter("Name dead letters, or a --reason; not both.")
    start(
        IngestSettings,
        lambda settings: verbs.retry_letters(settings, letter_ids or [], reason, typer.echo),
    )


@letters.command("discard")
def discard_letters(letter_ids: list[UUID], why: Annotated[str, typer.Option()]) -> None:
    """Delete messages and their images for good, with a reason that the ledger keeps."""
    from hemaline_cloud import dead_letter_verbs as verbs

    start(
        IngestSettings,
        lambda settings: verbs.discard_letters(settings, letter_ids, why, typer.echo),
    )


@objects.command("list")
def list_objects() -> None:
    """List objects older than a day that no row refers to, oldest first."""
    from hemaline_cloud import object_verbs as verbs

    start(IngestSettings, lambda settings: verbs.list_objects(settings, typer.echo))


@objects.command("discard")
def discard_objects(
    why: Annotated[str, typer.Option()], *, dry_run: bool = True, most: bool = False
) -> None:
    """Delete what `list` lists, once --no-dry-run is given; --most: even most of the store."""
    from hemaline_cloud import object_verbs as verbs

    start(
        IngestSettings,
        lambda settings: verbs.discard_objects(
            settings, why, typer.echo, dry_run=dry_run, most=most
        ),
    )
