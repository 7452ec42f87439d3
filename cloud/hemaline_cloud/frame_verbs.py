"""`hemaline-cloud frames list | show | retry | discard`: what an operator does about quarantine."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from hemaline_cloud.database.audit import changes_of
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.operators import operator_engine, operator_transaction
from hemaline_cloud.database.quarantine import (
    QuarantinedFrame,
    discard_frame,
    quarantined_frames,
    retry_frame,
)
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import accession
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]


def list_frames(
    settings: MigrateSettings, reason: str | None, limit: int, echo: _Print, *, discarded: bool
) -> None:
    """Print quarantined frames, newest first: a line each, its parts parted by tabs."""
    with operator_transaction(settings) as connection:
        frames = quarantined_frames(connection, reason=reason, discarded=discarded, limit=limit + 1)
    for frame in frames[:limit]:
        device = f"{frame.site}/{frame.device}"
        parts = [str(frame.frame_id), _at(frame.settled_at), device, accession(frame.slide_id)]
        echo("\t".join([*parts, frame.reason, "discarded" if frame.discarded else ""]).rstrip())
    if len(frames) > limit:
        echo(f"… and more: --limit {2 * limit} shows them, --reason NAME those of one reason.")


def show_frame(settings: MigrateSettings, frame_id: UUID, echo: _Print) -> None:
    """Print all that is known of one quarantined frame, and what operators did with it.

    Raises:
        PermanentError: `not-quarantined`.
    """
    with operator_transaction(settings) as connection:
        frame = _only(
            quarantined_frames(connection, frame_ids=[frame_id], discarded=True), frame_id
        )
        actions = changes_of(connection, frame_id)
    echo(f"frame      {frame.frame_id}")
    echo(f"slide      {accession(frame.slide_id)} ({frame.slide_id})")
    echo(f"device     {frame.site}/{frame.device}")
    echo(f"captured   {_at(frame.captured_at)}")
    echo(f"quarantine {_at(frame.settled_at)}, {frame.reason}: {frame.detail or ''}")
    echo(f"images     {frame.object_key or 'never came into the object store'}")
    for action in actions:
        echo(f"{action.action:10} {_at(action.at)} by {action.actor_name}: {action.detail}")


def retry_frames(
    settings: MigrateSettings, frame_ids: Sequence[UUID], reason: str | None, echo: _Print
) -> None:
    """Queue frames again, the named ones or all of a reason, each in a transaction of its own.

    Raises:
        PermanentError: `not-quarantined` or `no-images`; those before it are queued. Of a reason,
            frames whose images the cloud never had are passed over.
    """
    with operator_engine(settings) as engine:
        if reason is not None:
            with unit_of_work(engine) as connection:
                found = quarantined_frames(connection, reason=reason)
            frame_ids = [frame.frame_id for frame in found if frame.object_key]
        for frame_id in frame_ids:
            with unit_of_work(engine) as connection:
                retry_frame(connection, operator(operator_name()), frame_id)
        echo(f"{len(frame_ids)} frames are queued again.")


def discard_frames(
    settings: MigrateSettings, frame_ids: Sequence[UUID], why: str, echo: _Print
) -> None:
    """Lay frames aside with a reason, all or none.

    Raises:
        PermanentError: `not-quarantined` or `no-reason`.
    """
    with operator_transaction(settings) as connection:
        for frame_id in frame_ids:
            discard_frame(connection, operator(operator_name()), frame_id, why)
    echo(f"{len(frame_ids)} frames are off the list; the ledger and the images keep them.")


def _only(frames: Sequence[QuarantinedFrame], frame_id: UUID) -> QuarantinedFrame:
    if not frames:
        raise PermanentError("not-quarantined", f"No frame {frame_id} is in quarantine.")
    return frames[0]


def _at(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else "?"
