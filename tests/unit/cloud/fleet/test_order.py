"""What is news of a device, and what is an old message that came again."""

from datetime import UTC, datetime, timedelta

import pytest

from hemaline_cloud.fleet.order import (
    KnownSession,
    is_newer_status,
    is_newer_telemetry,
    is_of_another_agent,
    shows_connected,
)
from hemaline_shared.messages import Status, Telemetry

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
OLD, THIS, NEW = 11, 22, 33
"""Spools."""


def known(session=7, *, spool_id=THIS, ended_ago_s=None, stopped=False) -> KnownSession:
    ended_at = None if ended_ago_s is None else NOW - timedelta(seconds=ended_ago_s)
    return KnownSession(spool_id, [OLD], session, ended_at, stopped, born_at=NOW)


def status(session, *, online=True, spool_id=THIS, at=NOW) -> Status:
    return Status(
        online=online, session=session, edge_version="1", at=at, stopped=False, spool_id=spool_id
    )


def telemetry(session, number=1, spool_id=THIS, at=NOW) -> Telemetry:
    counters = ("captured", "rejected", "quarantined", "receipted", "refused")
    sizes = ("spool_frames", "spool_bytes", "spool_quota_bytes", "disk_free_bytes")
    return Telemetry(
        at=at,
        session=session,
        number=number,
        spool_id=spool_id,
        oldest_spooled_at=None,
        **dict.fromkeys((*counters, *sizes), 0),
    )


@pytest.mark.parametrize(
    ("before", "told", "newer"),
    [
        (known(), status(8), True),
        (known(), status(7), False),
        (known(), status(6, online=False), False),
        (known(), status(7, online=False), True),
        (known(ended_ago_s=9), status(7, online=False), False),
        (known(ended_ago_s=9), status(7), False),
        # The spool was emptied, and its sessions begin anew.
        (known(ended_ago_s=9), status(1, spool_id=NEW), True),
        (known(), status(99, spool_id=OLD), False),
        (known(), status(99, online=False, spool_id=OLD), False),
        # Of agents that do not name their spool, and of such that now do.
        (known(), status(8, spool_id=0), True),
        (known(), status(6, spool_id=0), False),
        (known(spool_id=0), status(1), True),
    ],
)
def test_a_status_is_news_where_it_tells_of_a_later_session_or_of_the_end(before, told, newer):
    assert is_newer_status(before, told) is newer


@pytest.mark.parametrize(
    ("before", "told", "newer"),
    [
        (None, telemetry(7), True),
        (telemetry(7, 4), telemetry(7, 5), True),
        (telemetry(7, 4), telemetry(7, 4), False),
        (telemetry(7, 4), telemetry(8, 1), True),
        (telemetry(7, 4), telemetry(6, 9), False),
        (telemetry(7, 0), telemetry(7, 0, at=NOW + timedelta(seconds=1)), True),
        (telemetry(7, 4, at=NOW + timedelta(days=3650)), telemetry(7, 5), True),
        (telemetry(99, 4, spool_id=OLD), telemetry(1, 1), True),
        (telemetry(7, 4), telemetry(99, 9, spool_id=OLD), False),
        (telemetry(7, 4), telemetry(1, 1, spool_id=NEW), True),
        (telemetry(7, 4, spool_id=0), telemetry(7, 5, spool_id=0), True),
    ],
)
def test_telemetry_is_news_by_its_place_in_the_session(before, told, newer):
    stored = before and before.model_dump(mode="json")
    assert is_newer_telemetry(known(), stored, told) is newer


@pytest.mark.parametrize(
    ("before", "told", "connected"),
    [
        (known(), telemetry(7), False),
        (known(), telemetry(8), True),
        (known(ended_ago_s=9), telemetry(8), True),
        (known(ended_ago_s=9), telemetry(7), False),
        (known(ended_ago_s=31), telemetry(7), True),
        (known(ended_ago_s=31), telemetry(6), False),
        (known(ended_ago_s=9), telemetry(1, spool_id=NEW), True),
    ],
)
def test_a_device_that_goes_on_telling_is_connected(before, told, connected):
    assert shows_connected(before, told, NOW) is connected


LATER, EARLIER = NOW + timedelta(seconds=3), NOW - timedelta(seconds=3)


@pytest.mark.parametrize(
    ("told", "another"),
    [
        (status(7, at=LATER), True),  # a copied spool counted the same session
        (status(4, at=LATER), True),
        (status(4, spool_id=OLD, at=LATER), True),
        (status(7), False),  # it came twice
        (status(6, at=EARLIER), False),  # a broker kept it
        (status(8, at=LATER), False),
        (status(1, spool_id=NEW, at=LATER), False),
        (status(7, online=False, at=LATER), False),
    ],
)
def test_a_birth_that_its_spool_cannot_have_counted_is_another_agents(told, another):
    assert is_of_another_agent(known(), told) is another


def test_where_no_birth_was_heard_nothing_is_said_of_another_agent():
    heard_nothing = KnownSession(THIS, [OLD], 7, None, stopped=False)
    assert not is_of_another_agent(heard_nothing, status(7, at=LATER))
