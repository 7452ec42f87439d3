"""`hemaline-cloud frames`: what lies in quarantine is seen, tried again, or laid aside; audited."""

import os
import subprocess
import sys
from uuid import uuid4

import pytest

from hemaline_cloud import frame_verbs
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from parts.queued import PREDICTIONS, STATES, object_file, queue_field, smooth_crops


@pytest.fixture
def frames(settings):
    """Use a verb; return the lines that it prints."""
    database = MigrateSettings(database_url=settings.database_url)

    def use(verb, *arguments, **options):
        lines = []
        getattr(frame_verbs, verb)(database, *arguments, lines.append, **options)
        return lines

    return use


@pytest.fixture
def listed(frames):
    def ids(reason=None, limit=10, *, discarded=False):
        lines = frames("list_frames", reason, limit, discarded=discarded)
        return [line.split("\t")[0] for line in lines]

    return ids


@pytest.fixture
def lost(engine, store, settings, running, query, drained):
    """Two fields in quarantine whose objects were lost, one with a result; and how to restore."""
    made = [queue_field(engine, store, smooth_crops(2, seed)) for seed in range(3)]
    kept = {}
    for frame_id in made[:2]:
        file = object_file(settings.objects.path, frame_id)
        kept[file] = file.read_bytes()
        file.unlink()
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "object-missing", 2), ("result", None, 1)]

    def restore():
        for file, content in kept.items():
            file.write_bytes(content)

    return *made, restore


def test_quarantined_frames_are_listed_newest_first(frames, listed, lost):
    first, second, *_ = lost
    assert listed() == [str(second), str(first)]
    (line, more) = frames("list_frames", None, 1, discarded=False)
    assert line.split("\t")[2] == "lab/scope-1"
    assert line.endswith("object-missing")
    assert "--limit" in more
    assert listed("truncated") == []


def test_a_quarantined_frame_is_shown_with_its_reason_and_where_its_images_lie(frames, lost):
    first, _, sound, _ = lost
    shown = "\n".join(frames("show_frame", first))
    assert "object-missing: " in shown
    assert f"images     fields/lab/scope-1/{first}" in shown
    with pytest.raises(PermanentError) as refused:
        frames("show_frame", sound)
    assert refused.value.reason == "not-quarantined"


def test_what_was_mended_is_judged_again_and_counts_once(
    frames, lost, settings, running, query, drained
):
    first, _, _, restore = lost
    restore()
    assert frames("retry_frames", [], "object-missing") == ["2 frames are queued again."]
    assert query(STATES) == [("pending", None, 2), ("result", None, 1)]
    with running(settings):
        drained()
    assert query(STATES) == [("result", None, 3)]
    assert query(PREDICTIONS) == [(6, 6)]
    actions = query(f"select actor, action, detail from audit_events where subject_id = '{first}'")
    assert actions == [(f"operator:{operator_name()}", "retry", "was object-missing")]
    with pytest.raises(PermanentError, match="is in quarantine"):
        frames("retry_frames", [first], None)


def test_what_fails_again_is_listed_again(frames, listed, lost, settings, running, query, drained):
    first, second, *_ = lost
    frames("discard_frames", [first], "the disk is gone")
    frames("retry_frames", [first], None)
    with running(settings):
        drained()
    assert query(STATES) == [("quarantined", "object-missing", 2), ("result", None, 1)]
    assert listed() == [str(second), str(first)]
    shown = frames("show_frame", first)
    assert [line.split()[0] for line in shown][-2:] == ["discard", "retry"]


def test_a_discarded_frame_is_off_the_list_and_kept_in_the_ledger(frames, listed, lost, query):
    first, second, *_ = lost
    frames("discard_frames", [first], "the disk is gone")
    frames("discard_frames", [first], "once more")
    assert listed() == [str(second)]
    assert listed(discarded=True) == [str(second), str(first)]
    assert query("select action, detail from audit_events where subject = 'frame'") == [
        ("discard", "the disk is gone")
    ]
    assert query(STATES) == [("quarantined", "object-missing", 2), ("result", None, 1)]


def test_nothing_is_discarded_without_a_reason_or_beside_an_unknown_frame(frames, lost, query):
    first, *_ = lost
    for named, why in (([first], " "), ([first, uuid4()], "gone")):
        with pytest.raises(PermanentError):
            frames("discard_frames", named, why)
    assert query("select count(*) from audit_events where subject = 'frame'") == [(0,)]


def test_a_frame_whose_images_never_came_is_sent_to_its_device(frames, lost, engine):
    first, *_ = lost
    with engine.begin() as connection:
        connection.exec_driver_sql(f"delete from cells where frame_id = '{first}'")
        connection.exec_driver_sql(f"delete from fields where frame_id = '{first}'")
    with pytest.raises(PermanentError, match="lab/scope-1"):
        frames("retry_frames", [first], None)
    assert any("never came" in line for line in frames("show_frame", first))
    # Of all with a reason, those that can be tried are.
    assert frames("retry_frames", [], "object-missing") == ["1 frames are queued again."]


def test_the_verbs_are_commands(lost, settings, query):
    first, second, sound, _ = lost
    url = settings.database_url.get_secret_value()

    def frames(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "hemaline_cloud", "frames", *map(str, arguments)],
            env={**os.environ, "HEMALINE_DATABASE_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    assert str(second) in frames("list")[1]
    assert frames("retry", first)[:2] == (0, "1 frames are queued again.\n")
    assert frames("discard", second, "--why", "gone")[0] == 0
    assert frames("show", second)[0] == 0
    status, _, error = frames("retry", sound)
    assert (status, "quarantine" in error) == (2, True)
    assert frames("retry")[0] == 2
    assert query("select count(*) from audit_events where subject = 'frame'") == [(2,)]
