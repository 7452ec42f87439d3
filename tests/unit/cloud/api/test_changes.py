import asyncio

import pytest
from sqlalchemy import create_engine

from hemaline_cloud.api import changes
from hemaline_cloud.api.changes import EVERYTHING, ChangeFeed, Listener


def test_a_burst_of_one_change_is_told_once():
    async def scenario() -> set[str]:
        listener = Listener()
        for _ in range(50):
            listener.tell("slide:a")
        await asyncio.sleep(0)
        return await listener.wait(1)

    assert asyncio.run(scenario()) == {"slide:a"}


def test_a_reader_that_never_reads_costs_a_bounded_memory_and_learns_to_read_everything():
    async def scenario() -> set[str]:
        listener = Listener()
        for number in range(10_000):
            listener.tell(f"slide:{number}")
        await asyncio.sleep(0)
        return await listener.wait(1)

    told = asyncio.run(scenario())
    assert EVERYTHING in told
    assert len(told) <= 256


def test_nothing_new_ends_the_wait_with_nothing():
    async def scenario() -> set[str]:
        return await Listener().wait(0.01)

    assert asyncio.run(scenario()) == set()


def test_the_end_wakes_who_waits():
    async def scenario() -> bool:
        listener = Listener()
        waiting = asyncio.create_task(listener.wait(30))
        await asyncio.sleep(0)
        listener.end()
        assert await waiting == set()
        return listener.ended

    assert asyncio.run(scenario())


def test_a_feed_is_full_only_while_its_listeners_listen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changes, "_MOST_LISTENERS", 1)
    feed = ChangeFeed(create_engine("postgresql://"))

    async def scenario() -> list[bool]:
        before = feed.is_full
        with feed.listening():
            during = feed.is_full
        return [before, during, feed.is_full]

    assert asyncio.run(scenario()) == [False, True, False]
