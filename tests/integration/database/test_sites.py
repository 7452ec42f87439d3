"""Sites are tenants: each row belongs to one, and PostgreSQL itself keeps the others from it."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from alembic import command
from pydantic import SecretStr
from sqlalchemy import insert, text, update

from factories import DEVICE, TRAINED, Factory
from hemaline_cloud.audit.sealing import seal_block
from hemaline_cloud.database.appointments import appoint
from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.checks import check_at_start
from hemaline_cloud.database.configuration import add_document, record_report
from hemaline_cloud.database.device_commands import NewCommand, add_command
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.enrolment import add_certificate, add_token
from hemaline_cloud.database.idempotency import claim_key
from hemaline_cloud.database.labels import NewLabel, add_labels, placed_cells
from hemaline_cloud.database.migrate import alembic_config, migrate
from hemaline_cloud.database.oidc_log_ins import remember_log_in
from hemaline_cloud.database.order_links import link_scanned
from hemaline_cloud.database.orders import add_order
from hemaline_cloud.database.people import add_identity
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.database.reading.slides import get_slide
from hemaline_cloud.database.schema import Base, Cell, Device, Slide
from hemaline_cloud.database.seen import add_seen
from hemaline_cloud.database.sessions import begin_attempt, open_session
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.orders.identity import IdentityKeys
from hemaline_cloud.orders.order import NewOrder, PatientIdentity
from hemaline_cloud.people.accounts import give_token, named
from hemaline_cloud.principal import Principal, service
from hemaline_cloud.review.policy import DEFAULT_POLICY
from hemaline_cloud.settings import DirectoryObjects, MigrateSettings
from hemaline_shared.device_commands import NoArguments
from hemaline_shared.device_configuration import DeviceConfiguration, ReportedConfiguration
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.ids import new_id
from hemaline_shared.topics import DeviceName
from parts.people import TESTS, local_account
from parts.postgres import as_owner

TABLES = sorted(Base.metadata.tables)
OF_PEOPLE = {
    "people",
    "local_accounts",
    "identities",
    "grants",
    "log_in_failures",
    "sessions",
    "api_tokens",
    "oidc_log_ins",
}
WITHOUT_SITE = {"bundles", "bundle_appointments", "audit_seals", "idempotency_keys"} | OF_PEOPLE
"""What the whole system shares; every principal sees it, and nobody else."""
HISTORY = {
    "device_changes": {"kind": "'lost'", "detail": "''"},
    "device_hours": {"hour": "now()"},
    "device_frames": {"hour": "now()", "outcome": "'accepted'", "reason": "''", "frames": "1"},
    "device_baselines": {
        "measure": "'blur'",
        "frames": "1",
        "mean": "1",
        "variance": "1",
        "recent": "1",
    },
}
"""What is kept of devices: columns and values of a row."""
ERASURES = (
    (
        "insert into erased_slides (slide_id, specimen_id, site, fields, by, by_name)"
        " select gen_random_uuid(), specimen_id, site, 1, 'p', 'p' from slides"
    ),
    (
        "insert into object_deletions (object_key, specimen_id, site, sha256)"
        " select 'k', specimen_id, site, '' from slides"
    ),
    (
        "insert into legal_holds (hold_id, specimen_id, site, reason, by, by_name)"
        " select gen_random_uuid(), specimen_id, site, 'a', 'p', 'p' from slides"
    ),
)
ALEMBICS_OWN = "alembic_version"
HOW = "call `restrict_to_sites` or `restrict_to_principals` in the migration that makes it"

NORTH, SOUTH, NOWHERE = (
    Principal(f"p-{number}", "a reader", "person", sites=frozenset(sites))
    for number, sites in enumerate((["north"], ["south"], []))
)
BOTH = Principal("p-9", "a reader", "person", sites=frozenset({"north", "south"}))
COMMAND = NewCommand(DeviceName("north", "d"), "flush", NoArguments(), "a test")


@pytest.fixture(scope="module")
def database_url(postgres):
    """One database for all tests here: they read it, or are refused."""
    url = postgres.create_migrated()
    yield url
    postgres.drop(url)


@pytest.fixture(scope="module")
def factory(database_url, tmp_path_factory):
    """Rows of the site `north` in every table."""
    store = open_store(DirectoryObjects(path=tmp_path_factory.mktemp("objects")))
    factory = Factory(database_url, store)
    slide = factory.slide()
    field = factory.field(slide)
    factory.field_answers(field, {})
    factory.trained_result(slide)
    factory.device()
    letter = factory.dead_letter()
    with unit_of_work(factory.engine) as connection:
        connection.execute(
            text(
                "insert into work (frame_id, priority, enqueued_at, attempts)"
                " select frame_id, 0, now(), 0 from fields"
            )
        )
        connection.execute(
            text("insert into field_looks (frame_id, look) select frame_id, 'a' from fields")
        )
        cells = placed_cells(connection, list(slide.labels)[:1])
        label = NewLabel(cells[0].cell_id, "blast", 0)
        add_labels(connection, service("tests"), cells, [label])
        connection.execute(
            text(
                "insert into comments (comment_id, slide_id, site, text, by, by_name)"
                " select gen_random_uuid(), slide_id, site, 'a', 'p', 'p' from slides"
            )
        )
        connection.execute(
            text(
                "insert into morphology_assessments"
                " (assessment_id, slide_id, site, version, content, by, by_name)"
                " select gen_random_uuid(), slide_id, site, 1, '{}', 'p', 'p' from slides"
            )
        )
        connection.execute(
            text(
                "insert into added_cells (act_id, added_cell_id, frame_id, slide_id, site, reading,"
                ' "left", top, "right", bottom, label, by, by_name) select gen_random_uuid(),'
                " gen_random_uuid(), frame_id, slide_id, site, 1, 1, 1, 2, 2, 'blast', 'p', 'p'"
                " from frames"
            )
        )
        for statement in ERASURES:
            connection.execute(text(statement))
        claim_key(connection, "p", "key", "request")
        event = Event("retry", "dead-letter", letter, site="north")
        record_event(connection, service("tests"), event)
        appoint(connection, service("tests"), TRAINED, "active")
        connection.execute(
            text("insert into trial_judgements (frame_id, bundle) select frame_id, 1 from fields")
        )
        connection.execute(
            text(
                "insert into signatures (signature_id, slide_id, revision, signed_by,"
                " signed_by_name, policy_version, report, report_sha256)"
                " select gen_random_uuid(), slide_id, revision, 'ann', 'Ann', 0, '{}', ''"
                " from slides"
            )
        )
        connection.execute(
            text(
                "insert into signed_classes (signature_id, model_class, reader_class, site,"
                " device, bundle, machine_hidden, signed_at, cells)"
                " select signature_id, 'blast', 'blast', site, 'd', 1, false, now(), 1"
                " from signatures"
            )
        )
        connection.execute(
            text(
                "insert into readings (reading_id, slide_id, site, number, revision, reader,"
                " reader_name, report, looked_before)"
                " select gen_random_uuid(), slide_id, site, 1, revision, 'ann', 'Ann', '{}', false"
                " from slides"
            )
        )
        cells_seen = list(slide.labels)
        add_seen(
            connection, service("tests"), slide.slide_id, 1, cells=cells_seen, fields=slide.fields
        )
        for table, more in HISTORY.items():
            columns, values = ", ".join(more), ", ".join(more.values())
            connection.execute(
                text(
                    f"insert into {table} (site, device, {columns}) values ('north', 'd', {values})"
                )
            )
        add_document(
            connection,
            service("tests"),
            "north",
            None,
            DeviceConfiguration(telemetry_s=9),
            "a test",
        )
        report = ReportedConfiguration(version=1, sha256="0" * 64, outcome="applied", in_force=1)
        record_report(connection, DeviceName("north", "d"), report)
        add_command(connection, service("tests"), COMMAND)
        set_policy(connection, service("tests"), "north", DEFAULT_POLICY)
        keys = IdentityKeys(["a key of identities, of 32 letters"])
        who = PatientIdentity(identifier="1", name="Erin", birth_date=date(1980, 5, 17))
        new = NewOrder(barcode="24-1", patient=who)
        add_order(connection, service("tests"), keys, "north", new)
        row = get_slide(connection, slide.slide_id)
        assert row
        link_scanned(connection, service("tests"), row, "24-1")
        north = DeviceName("north", "scope-1")
        add_token(connection, b"a token's hash", north, "p", timedelta(days=1))
        add_certificate(connection, "1f", north, datetime.now(UTC))
    seal_block(factory.engine)
    add_people(database_url, factory)
    yield factory
    factory.close()


def add_people(database_url, factory):
    """Somebody who has logged in, by every way there is."""
    local_account(database_url, "ada")
    with unit_of_work(factory.engine) as connection:
        person = named(connection, "ada")
        begin_attempt(connection, b"a name's hash")
        open_session(connection, b"a cookie's hash", person.person_id, "password", 60)
        give_token(connection, TESTS, person, "tests", ["read"], timedelta(days=1))
        add_identity(connection, "https://provider.example", "ada", person.person_id)
        remember_log_in(connection, b"a state's hash", b"a browser's", "nonce", "verifier", "/")


@pytest.fixture(scope="module")
def engine(database_url, factory):
    """Connections of the processes' role that name no principal."""
    engine = make_engine(database_url, pool_size=1)
    yield engine
    engine.dispose()


def count(engine, table, principal=None):
    with unit_of_work(engine, principal) as connection:
        return connection.scalar(text(f"select count(*) from {table}"))


@pytest.mark.parametrize("table", TABLES)
def test_a_principal_sees_the_rows_of_its_sites_and_no_others(engine, table):
    assert count(engine, table, service("tests")) > 0
    assert count(engine, table, NORTH) > 0
    assert count(engine, table, BOTH) > 0
    if table not in WITHOUT_SITE:
        assert count(engine, table, SOUTH) == 0
        assert count(engine, table, NOWHERE) == 0


@pytest.mark.parametrize("table", TABLES)
def test_sql_without_a_principal_gives_no_row(database_url, factory, table):
    with psycopg.connect(database_url) as connection:
        assert connection.execute(f"select count(*) from {table}").fetchone() == (0,)


@pytest.mark.parametrize("table", TABLES)
def test_the_owner_of_the_tables_is_bound_as_well(database_url, factory, table):
    with psycopg.connect(as_owner(database_url)) as connection:
        forced = connection.execute(
            "select relrowsecurity, relforcerowsecurity from pg_class where oid = %s::regclass",
            [table],
        ).fetchone()
    assert forced == (True, True), f"{table} has no forced policy: {HOW}"


def test_every_table_has_the_policy_that_its_site_asks_for(database_url):
    with psycopg.connect(as_owner(database_url)) as connection:
        rules = connection.execute(
            "select tablename, qual, with_check, permissive, roles::text, cmd from pg_policies"
        ).fetchall()
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'public'"
            " and tablename not like 'procrastinate%%'"
        ).fetchall()
    of_sites, of_all, narrower = {}, {}, {}
    for table, *rule in rules:
        if "RESTRICTIVE" in rule:
            narrower[table] = rule[0]
            continue
        has_site = "site" in Base.metadata.tables[table].columns
        (of_sites if has_site else of_all).setdefault(tuple(rule), set()).add(table)
    known = {table for (table,) in tables} - {ALEMBICS_OWN}
    assert known == set(TABLES)
    assert set().union(*of_sites.values(), *of_all.values()) == known, HOW
    assert len(of_sites) == len(of_all) == 1, (
        "one rule for tables with a site, one for those without"
    )
    hidden = {narrower.pop(table) for table in ("cell_predictions", "field_predictions")}
    assert len(hidden) == 1
    assert "machine_hidden(slide_of_frame(frame_id))" in hidden.pop()
    of_a_slide = "OR may_know(slide_id, asked_by))"
    assert narrower.pop("device_commands").endswith(of_a_slide), "what readers ask"
    assert narrower == {
        "added_cells": "may_know(slide_id, by)",
        "cell_labels": "may_know(slide_id, by)",
        "comments": "may_know(slide_id, by)",
        "morphology_assessments": "may_know(slide_id, by)",
        "readings": "may_know(slide_id, reader)",
    }
    assert set().union(*of_all.values()) == WITHOUT_SITE, f"say there that it has no site; {HOW}"


def test_no_principal_writes_into_another_site(engine, factory):
    row = {
        "slide_id": new_id(),
        "specimen_id": new_id(),
        "device": DEVICE,
        "opened_at": "2026-01-01",
    }
    with unit_of_work(engine, NORTH) as connection:
        connection.execute(insert(Slide).values(site="north", **row))
    row["slide_id"] = new_id()
    with pytest.raises(TransientError) as refused, unit_of_work(engine, NORTH) as connection:
        connection.execute(insert(Slide).values(site="south", **row))
    assert refused.value.reason == "database-forbids"
    with unit_of_work(engine, SOUTH) as connection:
        changed = connection.execute(update(Slide).values(slide_name="mine"))
        assert changed.rowcount == 0
        assert connection.execute(text("delete from cells")).rowcount == 0
    with pytest.raises(TransientError), unit_of_work(engine, NORTH) as connection:
        connection.execute(update(Device).values(site="south"))


def test_a_row_without_a_site_gets_that_of_what_it_belongs_to(engine, factory):
    with unit_of_work(engine, NORTH) as connection:
        for table in set(TABLES) - WITHOUT_SITE:
            sites = connection.scalars(text(f"select distinct site from {table}")).all()
            assert sites == ["north"], table


def test_a_cell_of_another_sites_field_finds_no_site_to_get(engine, factory):
    (frame_id,) = fields_of(factory)
    with pytest.raises(PermanentError), unit_of_work(engine, SOUTH) as connection:
        connection.execute(
            insert(Cell).values(
                cell_id=new_id(),
                frame_id=frame_id,
                index=99,
                left=0,
                top=0,
                right=1,
                bottom=1,
                confidence=0.5,
            )
        )


def fields_of(factory):
    with unit_of_work(factory.engine) as connection:
        return connection.scalars(text("select frame_id from fields")).all()


def test_the_processes_role_may_change_no_table(database_url):
    for statement in (
        "create table mine (x int)",
        "truncate slides",
        "drop policy principals on slides",
        "alter table slides disable row level security",
        "update alembic_version set version_num = '0001'",
    ):
        with (
            psycopg.connect(database_url) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(statement)


def test_a_process_refuses_a_role_that_no_policy_binds(database_url):
    check_at_start(database_url)
    with pytest.raises(PermanentError) as refused:
        check_at_start(as_owner(database_url))
    assert refused.value.reason == "database-role-unrestricted"
    assert "hemaline_application" in str(refused.value)


def test_an_owner_who_is_no_superuser_migrates_and_sees_every_row_to_fill(postgres):
    url = postgres.create_owned()
    engine = make_engine(url)
    with engine.connect() as connection:
        command.upgrade(alembic_config(connection), "0019")
    with unit_of_work(engine) as connection:
        connection.exec_driver_sql(_ROWS_WITHOUT_A_SITE)
    engine.dispose()
    migrate(MigrateSettings(database_url=SecretStr(url)))
    with psycopg.connect(url) as connection:
        connection.execute("set hemaline.sites = 'north'")
        for table in ("fields", "cells", "work", "dead_letters"):
            found = connection.execute(f"select site from {table}").fetchall()
            assert found == [("north",)], table
        words = "select accession_digits, name_folded, name_backwards from slides"
        assert connection.execute(words).fetchall() == [("55667788", "lab-7", "7-bal")]


_ROWS_WITHOUT_A_SITE = """
insert into slides (slide_id, specimen_id, site, device, opened_at, slide_name)
values ('11111111-1111-7111-8111-111155667788', gen_random_uuid(), 'north', 'd', now(), 'Lab-7');
insert into frames (frame_id, slide_id, site, device, sequence, source, edge_version,
                    captured_at, received_at, state)
  select gen_random_uuid(), slide_id, site, 'd', 0, 'folder', '1', now(), now(), 'pending'
  from slides;
insert into fields (frame_id, width, height, um_per_px, scale_source, pixel_pipeline, finder,
                    object_key, object_size, object_sha256)
  select frame_id, 1, 1, 0.1, 'assumed', '1', 'c', 'k', 1, 'h' from frames;
insert into cells (cell_id, frame_id, index, "left", top, "right", bottom, confidence)
  select gen_random_uuid(), frame_id, 0, 0, 0, 1, 1, 0.9 from frames;
insert into work (frame_id, priority, enqueued_at, attempts)
  select frame_id, 0, now(), 0 from frames;
insert into dead_letters (dead_letter_id, topic, reason, detail, object_key, size, received_at)
  values (gen_random_uuid(), 'hemaline/v1/north/d/field', 'r', 'd', 'k', 1, now());
"""


def test_the_right_that_a_process_lacks_is_named(database_url):
    engine = make_engine(database_url)
    with pytest.raises(TransientError, match="permission denied") as refused:
        count(engine, "pg_authid")
    assert refused.value.reason == "database-forbids"
    engine.dispose()
