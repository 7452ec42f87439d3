"""What a device's timeline tells."""

from datetime import UTC, datetime, timedelta

import pytest

from hemaline_cloud.fleet.changes import Change, changes_of_status, changes_of_telemetry
from hemaline_shared.messages import Status, Telemetry

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "version", "has_new_spool", "kinds"),
    [
        ({"online": True}, None, False, ["connected"]),
        ({"online": True}, "1", False, ["connected"]),
        ({"online": True}, "0", True, ["new-spool", "new-version", "connected"]),
        ({"online": False}, "1", False, ["lost"]),
        ({"online": False, "stopped": True}, "1", False, ["stopped"]),
    ],
)
def test_a_status_tells_how_the_connection_stands(told, version, has_new_spool, kinds):
    status = Status(session=1, edge_version="1", at=NOW, **told)
    changes = changes_of_status(status, version, has_new_spool=has_new_spool)
    assert [change.kind for change in changes] == kinds


@pytest.mark.parametrize(
    ("problems", "before", "silence_s", "changes"),
    [
        ((), (), 30, []),
        ((), (), 60, [Change("heard-again", "60")]),
        (("capture",), (), 1, [Change("problem-began", "capture")]),
        (("capture",), ("capture",), 1, []),
        (
            ("spool",),
            ("capture",),
            1,
            [Change("problem-began", "spool"), Change("problem-ended", "capture")],
        ),
    ],
)
def test_telemetry_tells_of_silence_and_of_problems(problems, before, silence_s, changes):
    counters = ("captured", "rejected", "quarantined", "receipted", "refused", "session")
    sizes = ("spool_frames", "spool_bytes", "spool_quota_bytes", "disk_free_bytes")
    numbers = dict.fromkeys((*counters, *sizes), 0)
    told = Telemetry(at=NOW, oldest_spooled_at=None, problems=problems, **numbers)
    heard_at = NOW - timedelta(seconds=silence_s)
    assert list(changes_of_telemetry(told, frozenset(before), heard_at, NOW)) == changes
