"""What became of the newest messages and fields, for a process that is started again."""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.schema import DeadLetter, FieldOfView, Frame
from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import Channel, DeviceName, parse_topic

_NEWEST = 50


class Ended(NamedTuple):
    """One of them: whose, why it was refused (None: it was not), and when."""

    name: DeviceName
    refusal: str | None
    at: datetime


def ended_before(
    engine: Engine, newest: Callable[[Connection, datetime], list[Ended]]
) -> Callable[[], list[tuple[DeviceName, str | None]]]:
    """Return what tells whose were ended before this moment, and why they were refused."""
    now = datetime.now(UTC)

    def ask() -> list[tuple[DeviceName, str | None]]:
        with unit_of_work(engine) as connection:
            return [(one.name, one.refusal) for one in newest(connection, now)]

    return ask


def newest_messages(connection: Connection, before: datetime) -> list[Ended]:
    """Return the newest frames that ingest took in or refused, oldest first.

    Letters that an operator retried or discarded are done with. The newest frames are those that
    were captured last: no index knows when they came, and a few are enough.
    """
    letters = connection.execute(
        select(DeadLetter.topic, DeadLetter.message_id, DeadLetter.reason, DeadLetter.received_at)
        .where(
            DeadLetter.state == "refused",
            DeadLetter.received_at < before,
            DeadLetter.topic.like(f"%/{Channel.FIELD}"),
        )
        .order_by(DeadLetter.received_at.desc())
        .limit(_NEWEST)
    ).all()
    refused = [
        Ended(name, reason, at) for topic, _, reason, at in letters for name in _sender(topic)
    ]
    frames = connection.execute(
        select(Frame.frame_id, Frame.site, Frame.device, Frame.received_at)
        .where(Frame.received_at < before)
        .order_by(Frame.frame_id.desc())
        .limit(_NEWEST)
    )
    in_letters = {message_id for _, message_id, _, _ in letters}
    taken_in = [
        Ended(DeviceName(site, device), None, at)
        for frame_id, site, device, at in frames
        if frame_id not in in_letters
    ]
    return _newest([*refused, *taken_in])


def newest_fields(connection: Connection, before: datetime) -> list[Ended]:
    """Return the newest fields that workers judged or quarantined, oldest first."""
    fields = connection.execute(
        select(Frame.site, Frame.device, Frame.reason, Frame.settled_at)
        .join(FieldOfView, FieldOfView.frame_id == Frame.frame_id)
        .where(Frame.state.in_(("result", "quarantined")), Frame.settled_at < before)
        .order_by(Frame.frame_id.desc())
        .limit(_NEWEST)
    )
    return _newest(
        Ended(DeviceName(site, device), reason, at) for site, device, reason, at in fields if at
    )


def _sender(topic: str) -> Iterator[DeviceName]:
    """Give whose topic it is; nothing of a name that no device can have."""
    try:
        yield parse_topic(topic)[0]
    except PermanentError:
        return


def _newest(ended: Iterable[Ended]) -> list[Ended]:
    return sorted(ended, key=lambda one: one.at)[-_NEWEST:]
