"""Which of two messages of a device is the newer one, and what follows from the newer.

Retained births, Last Wills and messages that came twice arrive in any order, and no clock of a
device tells which was first. A session has a number, counted in the device's spool; an emptied
spool counts from 1 again, and has another id.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hemaline_shared.messages import Status, Telemetry


@dataclass(frozen=True, slots=True)
class KnownSession:
    """The session that a device was last heard in.

    Attributes:
        spool_id: The spool that it is counted in; 0 of an agent that does not say it.
        earlier_spools: Those that the device had before: none of them comes again.
        ended_at: None: it goes on.
        stopped: Whether the device ended it in good order.
        born_at: When it began, by the device's clock; None: not known.
    """

    spool_id: int
    earlier_spools: Collection[int]
    session: int
    ended_at: datetime | None
    stopped: bool
    born_at: datetime | None = None


def is_newer_status(known: KnownSession, told: Status) -> bool:
    """Whether a birth, a stop or a Last Will tells something that is not known or over.

    A session is over when its end was told: a broker that comes back with an older retained birth
    does not begin it again, nor does a retained end happen a second time.
    """
    if is_other_spool(known, told.spool_id):
        return told.spool_id not in known.earlier_spools
    if told.session != known.session:
        return told.session > known.session
    return known.ended_at is None and not told.online


def is_of_another_agent(known: KnownSession, told: Status) -> bool:
    """Whether a birth comes of a second agent that has the device's name and key.

    A session begins once. One that is no later than the known one, and yet began after it, was
    counted by somebody else: in a copy of the spool, or in a spool that was given up. What a broker
    kept or repeats began no later.
    """
    if not told.online or known.born_at is None or is_newer_status(known, told):
        return False
    return told.at > known.born_at


def is_newer_telemetry(
    known: KnownSession, before: Mapping[str, Any] | None, told: Telemetry
) -> bool:
    """Whether telemetry is newer than what was told before.

    Newer is a later number in a later session; the device's time decides between those of agents
    that do not number theirs.
    """
    if is_other_spool(known, told.spool_id):
        return told.spool_id not in known.earlier_spools
    if before is None or (told.spool_id and told.spool_id != before.get("spool_id")):
        return True
    at = datetime.fromisoformat(before["at"])
    return (told.session, told.number, told.at) > (
        before.get("session", 0),
        before.get("number", 0),
        at,
    )


def is_other_spool(known: KnownSession, spool_id: int) -> bool:
    """Whether a message comes out of another spool than the last one did."""
    return spool_id not in {0, known.spool_id}


def shows_connected(known: KnownSession, told: Telemetry, now: datetime) -> bool:
    """Whether newer telemetry tells of a connection whose birth was lost, or whose end was not so.

    A device that goes on telling has not ended, whatever was heard of it.
    """
    if is_other_spool(known, told.spool_id) or told.session > known.session:
        return True
    if known.ended_at is None or told.session < known.session:
        return False
    period = timedelta(seconds=told.period_s or 30)
    return now - known.ended_at > period
