"""Which bundle's answers count is said by a person, for a site or for all; the last word holds."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.exc import IntegrityError

from hemaline_cloud.database.appointments import (
    appoint,
    appointed_sites,
    appointments_of,
    end_trial,
    holders,
)
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.purposes import EVERYWHERE, Sites
from hemaline_cloud.database.results import BundleRecord, register_bundle
from hemaline_cloud.principal import operator, service
from hemaline_shared.errors import PermanentError

ONE, TWO = "1" * 64, "2" * 64
ANN = operator("ann")


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    with unit_of_work(engine) as connection:
        for sha256 in (ONE, TWO):
            register_bundle(connection, BundleRecord(sha256, f"cells-{sha256[0]}", True, {}))
    yield engine
    engine.dispose()


@pytest.fixture
def does(engine):
    """Do something in a transaction of its own."""

    def do(verb, *values):
        with unit_of_work(engine) as connection:
            return verb(connection, *values)

    return do


def test_a_known_bundle_holds_nothing_until_it_is_appointed(does):
    assert does(appointed_sites, ONE, "active").none
    assert does(appoint, ANN, ONE, "active")
    assert does(appointed_sites, ONE, "active") == EVERYWHERE
    assert does(appointed_sites, ONE, "trial").none


def test_the_last_word_that_covers_a_site_holds_there(does):
    does(appoint, ANN, ONE, "active")
    does(appoint, ANN, TWO, "active", "north")
    assert does(appointed_sites, ONE, "active") == Sites(frozenset({"north"}), others=True)
    assert does(appointed_sites, TWO, "active") == Sites(frozenset({"north"}))
    does(appoint, ANN, ONE, "active")
    assert does(appointed_sites, ONE, "active") == EVERYWHERE
    assert does(appointed_sites, TWO, "active").none
    does(appoint, ANN, TWO, "active")
    does(appoint, ANN, ONE, "active", "south")
    assert str(does(appointed_sites, TWO, "active")) == "all sites but south"


def test_saying_it_again_changes_nothing(does):
    assert does(appoint, ANN, ONE, "active")
    assert not does(appoint, ANN, ONE, "active")
    assert not does(appoint, ANN, ONE, "active", "north")
    assert len(does(appointments_of, ONE)) == 1


def test_what_is_active_needs_no_trial(does):
    does(appoint, ANN, ONE, "active")
    for site in (None, "north"):
        with pytest.raises(PermanentError, match="active for all sites") as refused:
            does(appoint, ANN, ONE, "trial", site)
        assert refused.value.reason == "bundle-is-active"


def test_a_trial_ends_and_another_may_follow(does):
    does(appoint, ANN, TWO, "trial", "north")
    assert not does(end_trial, ANN, "south")
    assert does(end_trial, ANN, "north")
    assert does(appointed_sites, TWO, "trial").none
    does(appoint, ANN, ONE, "trial")
    assert does(end_trial, ANN)
    assert [row.bundle_sha256 for row in does(holders, "trial")] == [None]


def test_each_appointment_is_told_with_who_and_when(does, engine):
    does(appoint, operator("ann@lab"), ONE, "active")
    with unit_of_work(engine) as connection:
        told = connection.exec_driver_sql(
            "select actor_name, action, detail from audit_events"
            " join bundle_appointments on appointment_id = subject_id"
        ).all()
    assert told == [("ann@lab", "appoint", f"active for all sites: {ONE}")]
    for statement in (
        "update bundle_appointments set for_site = 'x'",
        "delete from bundle_appointments",
    ):
        with pytest.raises(IntegrityError, match="only ever added"), engine.begin() as connection:
            connection.exec_driver_sql(statement)


def test_of_two_who_appoint_at_once_the_later_one_holds(does):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda sha: does(appoint, ANN, sha, "active"), (ONE, TWO) * 4))
    newest = max(does(appointments_of, ONE) + does(appointments_of, TWO), key=lambda row: row.since)
    assert does(appointed_sites, newest.bundle_sha256, "active") == EVERYWHERE
