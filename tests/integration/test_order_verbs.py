"""`hemaline-cloud orders import` takes a file in whole or not at all; `patients reseal`."""

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from hemaline_cloud import order_verbs as verbs
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.orders import find_order
from hemaline_cloud.database.patients import patients_named, read_patients
from hemaline_cloud.database.policies import set_policy
from hemaline_cloud.orders.identity import identity_keys
from hemaline_cloud.principal import service
from hemaline_cloud.review.policy import ReviewPolicy
from hemaline_cloud.settings import IdentitySettings
from hemaline_shared.errors import PermanentError
from parts.ordering import SERVICE_REQUEST

OLD, NEW = "o" * 32, "n" * 32
HEAD = "barcode,identifier,name,birth_date\n"


@pytest.fixture
def settings(database_url) -> IdentitySettings:
    return keyed(database_url, OLD)


def keyed(database_url: str, key: str | None, former: str | None = None) -> IdentitySettings:
    return IdentitySettings(
        database_url=SecretStr(database_url),
        identity_key=SecretStr(key) if key else None,
        identity_former_keys=SecretStr(former) if former else None,
    )


@pytest.fixture
def engine(database_url):
    engine = make_engine(database_url, principal=service("tests"))
    yield engine
    engine.dispose()


@pytest.fixture
def said() -> list[str]:
    return []


def written(folder: Path, text: str, name: str = "orders.csv") -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def count(engine, table: str) -> int:
    with unit_of_work(engine) as connection:
        return connection.exec_driver_sql(f"select count(*) from {table}").scalar_one()


def test_a_file_is_taken_in_and_again_it_changes_nothing(settings, engine, said, tmp_path):
    file = written(
        tmp_path, HEAD + "24-1,1,Alder Ann,1980-01-01\n24-2,1,Alder Ann,1980-01-01\n24-3,,,\n"
    )
    verbs.import_orders(settings, file, "north", said.append)
    verbs.import_orders(settings, file, "north", said.append)
    assert said == [
        "Orders taken in at north: 3; known already: 0.",
        "Orders taken in at north: 0; known already: 3.",
    ]
    assert (count(engine, "orders"), count(engine, "patients")) == (3, 1)
    with unit_of_work(engine) as connection:
        events = connection.exec_driver_sql(
            "select action, subject, site from audit_events"
        ).fetchall()
    assert [tuple(event) for event in events] == [("add", "order", "north")] * 3


def test_one_wrong_line_and_nothing_is_taken_in_and_every_fault_is_told(
    settings, engine, said, tmp_path
):
    with unit_of_work(engine) as connection:
        set_policy(connection, service("tests"), "north", ReviewPolicy(check_digit="luhn"))
    lines = [
        "79927398713,1,Alder Ann,1980-01-01",
        "79927398710,2,Secret,1980-01-01",
        "18,3,Secret,yesterday",
        "26,1,Alder Ann,1981-01-01",
        "79927398713,4,Secret,1980-01-01",
    ]
    file = written(tmp_path, HEAD + "\n".join(lines))
    with pytest.raises(PermanentError) as refused:
        verbs.import_orders(settings, file, "north", said.append)
    told = str(refused.value).splitlines()
    assert told[0] == f"Nothing of {file} was taken in:"
    for line, words in (
        ("line 3", "check digit"),
        ("line 4", "birth_date"),
        ("line 5", "another birth date"),
        ("line 6", "known already, and its order says something else"),
    ):
        assert [one for one in told if one.startswith(line) and words in one], told
    assert len(told) == 5
    assert "Secret" not in str(refused.value)
    assert said == []
    assert (count(engine, "orders"), count(engine, "patients")) == (0, 0)


def test_many_faults_are_not_told_one_by_one(settings, said, tmp_path):
    file = written(tmp_path, HEAD + "24-1,1\n" * 50)
    with pytest.raises(PermanentError, match="and 30 more"):
        verbs.import_orders(settings, file, "north", said.append)


def test_fhir_is_taken_in_from_a_file(settings, engine, said, tmp_path):
    file = written(tmp_path, json.dumps(SERVICE_REQUEST), "order.json")
    verbs.import_orders(settings, file, "north", said.append)
    with unit_of_work(engine) as connection:
        found = find_order(connection, "north", "24-00031")
        assert found
        assert found.patient_id
        known = read_patients(connection, identity_keys(settings), [found.patient_id])
    assert known[found.patient_id].name == "Example, Erin Eve"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.csv", None, "cannot be read"),
        ("orders.json", "[]", "is no JSON object"),
        ("orders.json", "{", "is no JSON object"),
        ("orders.json", "[" * 100_000, "is no JSON object"),
        ("orders.csv", "a,b", "must name the columns"),
    ],
)
def test_a_file_that_is_none_is_told_in_a_sentence(settings, said, tmp_path, name, text, words):
    file = written(tmp_path, text, name) if text else tmp_path / name
    with pytest.raises(PermanentError, match=words):
        verbs.import_orders(settings, file, "north", said.append)


def test_without_a_key_and_for_no_site_nothing_is_taken_in(database_url, said, tmp_path):
    file = written(tmp_path, HEAD + "24-1,1,Ann,1980-01-01\n")
    with pytest.raises(PermanentError, match="HEMALINE_IDENTITY_KEY is not set"):
        verbs.import_orders(keyed(database_url, None), file, "north", said.append)
    with pytest.raises(PermanentError, match="cannot be the name of a site"):
        verbs.import_orders(keyed(database_url, OLD), file, "No rth", said.append)


def test_a_new_key_takes_over_while_both_are_read(settings, database_url, engine, said, tmp_path):
    file = written(tmp_path, HEAD + "24-1,1,Alder Ann,1980-01-01\n")
    verbs.import_orders(settings, file, "north", said.append)
    both, new = keyed(database_url, NEW, OLD), keyed(database_url, NEW)

    def found(by: IdentitySettings) -> list[str]:
        with unit_of_work(engine) as connection:
            keys = identity_keys(by)
            ids = patients_named(connection, keys, "ann", sites=None)
            return [one.name for one in read_patients(connection, keys, ids).values()]

    assert found(both) == ["Alder Ann"]
    verbs.import_orders(both, file, "north", said.append)
    assert count(engine, "patients") == 1, "known by the former key's fingerprint"
    with pytest.raises(PermanentError, match="is not among"):
        verbs.reseal(new, said.append)
    said.clear()
    verbs.reseal(both, said.append)
    verbs.reseal(both, said.append)
    in_use = identity_keys(new).in_use
    assert said == [
        "Patients sealed anew: 1.",
        f"Under {in_use}, the key in use: 1.",
        "Patients sealed anew: 0.",
        f"Under {in_use}, the key in use: 1.",
    ]
    assert found(new) == ["Alder Ann"]
