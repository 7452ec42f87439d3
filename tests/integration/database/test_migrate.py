"""Migrations on a real server: they make the schema that the code expects, once."""

import io
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import inspect

from hemaline_cloud.database import migrate as migrate_module
from hemaline_cloud.database.appointments import appointed_sites
from hemaline_cloud.database.bundles import layouts_of
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.heat import pack_heats
from hemaline_cloud.database.migrate import alembic_config, migrate
from hemaline_cloud.database.schema import Base
from hemaline_cloud.database.slides import miscounted_slides
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import TransientError


def settings(url):
    return MigrateSettings(database_url=SecretStr(url))


@pytest.fixture
def engine(empty_database_url):
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_migrations_make_exactly_the_schema_of_the_code(engine, empty_database_url):
    migrate(settings(empty_database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_what_was_stored_as_json_is_packed_while_a_worker_writes_more(engine, empty_database_url):
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0002")
        connection.exec_driver_sql(_TWO_CELLS)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0011")
    with unit_of_work(engine) as connection:  # as a worker of the version before does
        connection.exec_driver_sql(_LATER_ANSWERS)
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        stored = connection.exec_driver_sql(
            "select labels, probabilities, disagreements, answers from cell_predictions"
            " order by bundle"
        )
        layouts = layouts_of(connection, [1], "cell")
        said, later = stored.all()
        (field,) = connection.exec_driver_sql(
            "select probabilities from field_predictions"
        ).scalars()
        fields = layouts_of(connection, [1], "field")
    assert tuple(said[:3]) == ("blast,unclassified", [0.75, None], None)
    blast, nothing = layouts[1].split(said.answers)
    assert layouts[1].unpack(blast) == {
        "cell-class": {
            "one": {"blast": 0.9, "other": 0.1},
            "two": {"blast": 0.7, "other": 0.3},
            "average": {"blast": 0.75, "other": 0.25},
        }
    }
    assert layouts[1].unpack(nothing) == {}
    assert tuple(later) == ("unclassified,unclassified", None, None, None)
    assert fields[1].unpack(field)["all-subtype"]["two"] == {"pro-b": 0.4, "benign": 0.6}


_TWO_CELLS = """
insert into slides values (gen_random_uuid(), gen_random_uuid(), 's', 'd', now(), null);
insert into frames (frame_id, slide_id, site, device, sequence, source, edge_version,
                    captured_at, received_at, state)
  select gen_random_uuid(), slide_id, 's', 'd', 0, 'folder', '0.1.0', now(), now(), 'result'
  from slides;
insert into fields select frame_id, 1, 1, 0.1, 'assumed', '1', 'c', 'k', 1, 'h' from frames;
insert into cells select gen_random_uuid(), frame_id, place, 0, 0, 1, 1, 0.9
  from frames, generate_series(0, 1) place;
insert into bundles values ('1', 'b', true, '{
  "tasks": [{"name": "all-subtype", "view": "field", "labels": ["pro-b", "benign"]},
            {"name": "cell-class", "view": "cell", "labels": ["blast", "other"]}],
  "networks": [{"name": "one", "calibration": {"cell-class": {"weight": 1}}},
               {"name": "two", "calibration": {"cell-class": {"weight": 3}}}]}', now());
insert into cell_predictions
  select cell_id, '1', 'blast', 0.75, '{"one": {"blast": 0.9, "other": 0.1},
    "two": {"blast": 0.7, "other": 0.3}, "average": {"blast": 0.75, "other": 0.25}}'
  from cells where index = 0;
insert into cell_predictions
  select cell_id, '1', 'unclassified', null, null from cells where index = 1;
"""


_LATER_ANSWERS = """
insert into bundles values ('2', 'untrained', false, '{}', now());
insert into cell_predictions (cell_id, bundle_sha256, label)
  select cell_id, '2', 'unclassified' from cells where index = 0;
insert into field_predictions
  select frame_id, '1', '{"all-subtype": {"average": {"pro-b": 0.4, "benign": 0.6}}}' from fields;
"""


def test_slides_that_were_there_are_counted(engine, empty_database_url):
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0003")
        connection.exec_driver_sql(_TWO_CELLS)
        connection.exec_driver_sql("update slides set frames_expected = 1")
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        counts = connection.exec_driver_sql(
            "select state, captured, with_result, simulated from slides"
        )
        assert counts.all() == [("complete", 1, 1, False)]
        assert miscounted_slides(connection) == []


def test_looks_of_open_slides_are_kept_while_a_worker_writes_more(engine, empty_database_url):
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0002")
        for _ in range(3):
            connection.exec_driver_sql(_ONE_MORE_SLIDE)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0021")
    with unit_of_work(engine) as connection:
        frames = "select frame_id from frames order by frame_id"
        opened, closed, later = connection.exec_driver_sql(frames).scalars()
        connection.exec_driver_sql("update fields set look = '1' where frame_id <> %s", (later,))
        connection.exec_driver_sql(
            "update slides set frames_expected = 1"
            " where slide_id = (select slide_id from frames where frame_id = %s)",
            (closed,),
        )
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0023")
    with unit_of_work(engine) as connection:  # as a worker of the version before does
        connection.exec_driver_sql("update fields set look = '2' where frame_id = %s", (later,))
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        looks = connection.exec_driver_sql("select frame_id, look from field_looks order by look")
        assert looks.all() == [(opened, b"1"), (later, b"2")]


_ONE_MORE_SLIDE = """
with slide as (
  insert into slides values (gen_random_uuid(), gen_random_uuid(), 's', 'd', now(), null)
  returning slide_id
), frame as (
  insert into frames (frame_id, slide_id, site, device, sequence, source, edge_version,
                      captured_at, received_at, state)
  select gen_random_uuid(), slide_id, 's', 'd', 0, 'folder', '0.1.0', now(), now(), 'result'
  from slide returning frame_id
)
insert into fields select frame_id, 1, 1, 0.1, 'assumed', '1', 'c', 'k', 1, 'h' from frame
"""


def test_heat_maps_are_packed_while_a_worker_writes_more(engine, empty_database_url):
    first_map, second_map = bytes(range(0, 245, 5)), bytes(range(245, 0, -5))
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0002")
        connection.exec_driver_sql(_TWO_CELLS)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0025")
    write = "update cell_predictions set heat_map = %s, heat_map_width = %s where cell_id = %s"
    with unit_of_work(engine) as connection:
        cells = connection.exec_driver_sql("select cell_id from cells order by index").scalars()
        first, second = cells
        connection.exec_driver_sql(write, (first_map, 7, first))
        connection.exec_driver_sql(write, (second_map, 7, second))
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0027")
    with unit_of_work(engine) as connection:  # as a worker of the version before does
        connection.exec_driver_sql("insert into bundles values ('2', 'b', false, '{}', now())")
        connection.exec_driver_sql(
            "insert into cell_predictions (cell_id, bundle, label, heat_map, heat_map_width)"
            " select %s, number, 'blast', %s, %s from bundles where sha256 = '2'",
            (second, b"\xff\x00\x11\x80", 2),
        )
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        stored = connection.exec_driver_sql(
            "select heats, heat_map_width from cell_predictions order by bundle"
        )
        assert stored.all() == [
            (pack_heats([first_map, second_map]), 7),
            (pack_heats([None, b"\xff\x00\x11\x80"]), 2),
        ]


def test_predictions_of_cells_are_joined_to_those_of_fields_while_a_worker_writes_more(
    engine, empty_database_url
):
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0003")
        connection.exec_driver_sql(_TWO_CELLS)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0047")
    with unit_of_work(engine) as connection:  # as a worker of the version before does
        connection.exec_driver_sql(_NEXT_BUNDLES_ANSWERS)
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        joined = "select bundle, site, labels, probabilities, disagreements from cell_predictions"
        assert connection.exec_driver_sql(f"{joined} order by bundle").all() == [
            (1, "s", "blast,unclassified", [0.75, None], None),
            (2, "s", "blast,other", [0.5, 0.75], [0.25, 0.125]),
        ]
        sizes = "select length(answers), length(heats) from cell_predictions where bundle = 2"
        assert connection.exec_driver_sql(sizes).all() == [(12, None)]


_NEXT_BUNDLES_ANSWERS = """
insert into bundles values ('2', 'next', true, '{}', now());
insert into cell_predictions (cell_id, bundle, label, probability, disagreement, probabilities)
  select cell_id, 2, label, probability, disagreement, '\\x00010000ffff'
  from (values (1, 'other', 0.75, 0.125), (0, 'blast', 0.5, 0.25))
    said (index, label, probability, disagreement)
  join cells using (index);
"""


def test_results_that_were_there_become_revisions_while_a_worker_writes_more(
    engine, empty_database_url
):
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0003")
        connection.exec_driver_sql(_TWO_CELLS)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0035")
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(_RESULT)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0037")
    with unit_of_work(engine) as connection:  # as a worker of the version before does
        connection.exec_driver_sql(_LATER_RESULT)
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        kept = connection.exec_driver_sql(
            "select slide_name, result_revisions.revision, bundle, reason, inputs,"
            " content->'cells', cells, urgency"
            " from slides join result_revisions using (slide_id, revision) order by slide_name"
        )
        assert kept.all() == [
            ("changed", 4, 1, "new-frames", None, 7, 7, 2),
            ("new", 1, 1, "new-frames", None, 1, 1, 0),
            (None, 5, 1, "new-frames", None, 2, 2, 1),
        ]
        assert connection.exec_driver_sql("select judged_by from frames").all() == [(1,)]
        assert str(appointed_sites(connection, "1", "active")) == "all sites"
        assert connection.exec_driver_sql("select count(*) from result_revisions").all() == [(3,)]
        assert miscounted_slides(connection) == []


_RESULT = """
insert into slides (slide_id, specimen_id, site, device, opened_at, slide_name)
  select gen_random_uuid(), gen_random_uuid(), 's', 'd', now(), name
  from unnest(array['changed', 'new']) name;
insert into slide_results
  select slide_id, case when slide_name is null then 5 else 3 end, now(), '1',
    '{"cells": 2, "urgency": 1}'
  from slides where slide_name is distinct from 'new';
"""
_LATER_RESULT = """
update slide_results set revision = 4, content = '{"cells": 7, "urgency": 2}'
  where slide_id = (select slide_id from slides where slide_name = 'changed');
insert into slide_results
  select slide_id, 1, now(), '1', '{"cells": 1, "urgency": 0}' from slides
  where slide_name = 'new';
"""


def test_a_migration_that_was_broken_off_is_done_again(engine, empty_database_url):
    """An index that was being built when its migrator died is there, and useless."""
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0007")
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0006'")
        connection.exec_driver_sql(
            "update pg_index set indisvalid = false"
            " where indexrelid = 'ix_slides_complete'::regclass"
        )
    migrate(settings(empty_database_url))
    with unit_of_work(engine) as connection:
        unfinished = "select indexrelid::regclass::text from pg_index where not indisvalid"
        assert connection.exec_driver_sql(unfinished).all() == []


def test_a_table_in_use_is_not_waited_for_with_everybody_behind(
    engine, empty_database_url, monkeypatch
):
    """Readers pass while a migration waits for a long transaction to end."""
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT_S", 0.2)
    with unit_of_work(engine) as connection:
        command.upgrade(alembic_config(connection), "0003")
    with ThreadPoolExecutor(1) as pool, engine.connect() as other:
        with unit_of_work(engine) as connection:
            connection.exec_driver_sql("select 1 from slides")  # its lock is held to the end
            migrating = pool.submit(migrate, settings(empty_database_url))
            for _ in range(20):
                other.exec_driver_sql("set statement_timeout = '10s'")
                other.exec_driver_sql("select 1 from slides")
                other.rollback()
                time.sleep(0.1)
            assert not migrating.done()
        migrating.result()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("select state from slides").all() == []


_NO_MATTER_OF_LOCKS = "prefer-bigint-over-int,prefer-bigint-over-smallint"
REVISIONS = [
    script.revision
    for script in ScriptDirectory.from_config(alembic_config(None)).walk_revisions()
    if script.revision > "0003"  # before that, every table was new and empty
]


@pytest.mark.parametrize("revision", sorted(REVISIONS))
def test_a_migration_takes_no_long_lock(revision, tmp_path):
    """As squawk knows them: no statement that makes readers and writers wait."""
    config = alembic_config(None)
    config.output_buffer = io.StringIO()
    before = ScriptDirectory.from_config(config).get_revision(revision).down_revision
    command.upgrade(config, f"{before}:{revision}", sql=True)
    file = tmp_path / f"{revision}.sql"
    file.write_text(config.output_buffer.getvalue())
    squawk = Path(sys.executable).with_name("squawk")
    told = subprocess.run(
        [squawk, "--pg-version", "14", "--reporter", "Gcc", "--exclude", _NO_MATTER_OF_LOCKS, file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout


def test_migrating_twice_changes_nothing(engine, empty_database_url):
    migrate(settings(empty_database_url))
    migrate(settings(empty_database_url))
    assert "slides" in inspect(engine).get_table_names()


def test_migrators_at_once_do_not_race(engine, empty_database_url):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(migrate, [settings(empty_database_url)] * 4))
    assert "work" in inspect(engine).get_table_names()


def test_migrate_gives_up_on_a_server_that_never_comes(monkeypatch):
    monkeypatch.setattr(migrate_module, "_SERVER_WAIT_S", 0.1)
    with pytest.raises(TransientError, match="PostgreSQL") as caught:
        migrate(settings("postgresql://nobody@127.0.0.1:1/none"))
    assert caught.value.reason == "database-unavailable"


def test_a_database_without_the_schema_is_trouble_that_passes(engine):
    with pytest.raises(TransientError, match="hemaline-cloud migrate"), unit_of_work(engine) as c:
        c.exec_driver_sql("select 1 from slides")
