"""Which devices want a look, and why."""

from datetime import timedelta

import pytest

from hemaline_cloud.fleet.attention import Condition, attention_of
from hemaline_cloud.fleet.baseline import Baseline

GB = 1_000_000_000


def condition(**other: object) -> Condition:
    """A device that wants none, with something changed."""
    well = {
        "connection": "connected",
        "capture_age": timedelta(hours=2),
        "spool_bytes": 0,
        "quota_bytes": 20 * GB,
        "disk_free_bytes": 80 * GB,
        "clock_ahead": timedelta(seconds=-1),
        "temperature_c": 61.0,
        "baselines": {"blur": Baseline(1000, 2.0, 0.04, 2.1)},
    }
    return Condition(**{**well, **other})


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (condition(), set()),
        (Condition("lost"), set()),
        (condition(capture_age=timedelta(hours=24)), {"unused"}),
        (condition(capture_age=None), {"unused"}),
        (condition(capture_age=None, connection="stopped"), set()),
        (condition(waiting_age=timedelta(minutes=9)), set()),
        (condition(waiting_age=timedelta(minutes=10)), {"behind"}),
        (condition(waiting_age=timedelta(days=2), connection="lost"), {"behind"}),
        (condition(baselines={"density": Baseline(1000, 2.0, 0.04, 2.5)}), {"drifting"}),
        (condition(baselines={"density": Baseline(100, 2.0, 0.04, 2.5)}), set()),
        (condition(spool_bytes=16 * GB), {"filling-up"}),
        (condition(disk_free_bytes=GB), {"filling-up"}),
        (condition(disk_free_bytes=None, quota_bytes=0, spool_bytes=5), set()),
        (condition(clock_ahead=timedelta(seconds=60)), {"clock-off"}),
        (condition(clock_ahead=timedelta(days=-20_000)), {"clock-off"}),
        (condition(temperature_c=85.0), {"hot"}),
        (condition(temperature_c=None), set()),
    ],
)
def test_a_device_wants_a_look_for_what_will_hurt_soon(known, wanted):
    assert attention_of(known) == wanted
