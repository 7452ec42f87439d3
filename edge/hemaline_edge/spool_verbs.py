"""`hemaline-edge spool list | show | retry | discard`: images that stay of quarantined frames."""

from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

from hemaline_edge.spool.kept import KeptImages, open_kept
from hemaline_edge.spool.records import Unused
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import accession
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]


def list_kept(spool: Path, echo: _Print) -> None:
    """Print what is kept: a line each, its parts parted by tabs."""
    with open_kept(spool, read_only=True) as kept:
        reasons = _unused(kept)
        for file in kept.files():
            told = reasons.get(file.message_id)
            since = file.since.isoformat(timespec="seconds")
            size = f"{file.size:,} bytes"
            parts = [str(file.message_id), since, file.state, size, told.reason if told else ""]
            echo("\t".join(parts).rstrip())


def show_kept(spool: Path, message_id: UUID, echo: _Print) -> None:
    """Print all that is known of one of them, and what was done with it, also when it is gone.

    Raises:
        PermanentError: `nothing-kept`.
    """
    with open_kept(spool, read_only=True) as kept:
        told, actions = _unused(kept).get(message_id), kept.actions_on(message_id)
        if actions and all(file.message_id != message_id for file in kept.files()):
            echo(f"images     of frame {message_id}, not kept here any more")
        else:
            file = kept.find(message_id)
            since = file.since.isoformat(timespec="seconds")
            echo(f"images     {kept.path(file)}, {file.state}, {file.size:,} bytes, {since}")
        if told:
            labels = {slide.slide_id: slide.label for slide in kept.slides()}
            echo(f"slide      {accession(told.slide_id)}, {labels[told.slide_id]}")
            echo(
                f"quarantine {told.at.isoformat(timespec='seconds')}, {told.reason}: {told.detail}"
            )
        for action in actions:
            at = action.at.isoformat(timespec="seconds")
            echo(f"{action.action:10} {at} by {action.operator}: {action.detail}")


def retry_kept(spool: Path, message_ids: Sequence[UUID], reason: str | None, echo: _Print) -> None:
    """Send frames again, the named ones or all of a reason; a line for each.

    Raises:
        PermanentError: As `KeptImages.retry`; those before it are sent.
    """
    with open_kept(spool) as kept:
        if reason is not None:
            unused = _unused(kept)
            files = [file.message_id for file in kept.files()]
            message_ids = [one for one in files if one in unused and unused[one].reason == reason]
            if not message_ids:
                echo(f"No images are kept with reason {reason}.")
        for message_id in message_ids:
            kept.retry(operator_name(), message_id)
            echo(f"{message_id}\twaits to be sent")


def discard_kept(spool: Path, message_ids: Sequence[UUID], why: str, echo: _Print) -> None:
    """Delete images with a reason; none of them where one is not there.

    Raises:
        PermanentError: `no-reason` or `nothing-kept`.
    """
    if not why.strip():
        raise PermanentError("no-reason", "say why with --why: the spool keeps it")
    with open_kept(spool) as kept:
        for message_id in message_ids:
            kept.find(message_id)
        for message_id in message_ids:
            kept.discard(operator_name(), message_id, why.strip())
    echo(f"The images of {len(message_ids)} frames are deleted.")


def _unused(kept: KeptImages) -> dict[UUID, Unused]:
    return {entry.message_id: entry for entry in kept.unused()}
