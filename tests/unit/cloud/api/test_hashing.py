"""Few passwords are looked at at once, and nobody waits for long."""

import anyio
import pytest

from hemaline_cloud.api.hashing import HashingSlots
from hemaline_cloud.api.problems import ProblemError


def test_few_at_once_some_wait_and_more_are_sent_away_with_a_time_to_come_again():
    async def crowd() -> tuple[int, list[ProblemError]]:
        slots = HashingSlots(at_once=2, waiting=3)
        inside = most = 0
        sent_away = []
        leave = anyio.Event()

        async def one() -> None:
            nonlocal inside, most
            try:
                async with slots.slot():
                    inside += 1
                    most = max(most, inside)
                    await leave.wait()
                    inside -= 1
            except ProblemError as problem:
                sent_away.append(problem)

        async with anyio.create_task_group() as group:
            for _ in range(9):
                group.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            leave.set()
        return most, sent_away

    most, sent_away = anyio.run(crowd)
    assert (most, len(sent_away)) == (2, 4)
    assert {problem.reason for problem in sent_away} == {"too-many-log-ins"}
    assert all(problem.headers == {"Retry-After": "3"} for problem in sent_away)


def test_a_log_in_that_fails_gives_its_slot_back():
    async def fail_thrice() -> None:
        slots = HashingSlots(at_once=1, waiting=0)
        for _ in range(3):
            with pytest.raises(ValueError, match="wrong"):
                async with slots.slot():
                    raise ValueError("wrong")

    anyio.run(fail_thrice)
