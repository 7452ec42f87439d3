"""`hemaline-cloud bundles`: whose answers count is seen and said, each word audited."""

import os
import subprocess
import sys

import pytest

from hemaline_cloud import bundle_verbs
from hemaline_cloud.bundle_verbs import appoint_first
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from parts.bundles import EVERY_TASK, tiny_trained


@pytest.fixture
def database(settings):
    return MigrateSettings(database_url=settings.database_url)


@pytest.fixture
def bundles(database):
    """Use a verb; return the lines that it prints."""

    def use(verb, *arguments):
        lines = []
        getattr(bundle_verbs, verb)(database, *arguments, lines.append)
        return lines

    return use


@pytest.fixture
def another(tmp_path):
    return tiny_trained(tmp_path / "another", EVERY_TASK)


def test_a_directory_is_appointed_and_then_known_by_its_hash(bundles, settings, another):
    first, second = (load_bundle(path).sha256 for path in (settings.bundle, another))
    assert bundles("list_bundles") == []
    assert (
        "is active for all sites."
        in bundles("appoint_bundle", str(settings.bundle), "active", None)[0]
    )
    (said,) = bundles("appoint_bundle", str(another), "trial", "north")
    assert said.endswith("is trial for north.")
    listed = [line.split("\t") for line in bundles("list_bundles")]
    assert {line[0]: line[4] for line in listed} == {
        first[:12]: "active: all sites",
        second[:12]: "trial: north",
    }
    (said,) = bundles("appoint_bundle", second[:8], "active", None)
    assert "in place of" in said
    shown = bundles("show_bundle", second[:12])
    assert shown[1] == f"sha-256    {second}"
    assert [line.split(f"by {operator_name()}: ")[1] for line in shown[4:]] == [
        "active for all sites",
        "trial for north",
    ]
    assert "its answers do not count" in bundles("show_bundle", first[:12])[3]
    assert bundles("end_trials", None) == ["No bundle is on trial at all sites."]
    assert bundles("end_trials", "north") == ["There was no trial at site north."]


def test_a_bundle_that_nobody_knows_is_refused_in_words(bundles, tmp_path):
    with pytest.raises(PermanentError, match="bundles list") as refused:
        bundles("appoint_bundle", "no-such", "active", None)
    assert refused.value.reason == "no-such-bundle"
    (tmp_path / "empty").mkdir()
    with pytest.raises(PermanentError, match=r"manifest\.json"):
        bundles("appoint_bundle", str(tmp_path / "empty"), "active", None)


def test_the_command_reaches_the_verb(settings, query):
    run = subprocess.run(
        [sys.executable, "-m", "hemaline_cloud", "bundles", "appoint", str(settings.bundle)],
        env={**os.environ, "HEMALINE_DATABASE_URL": settings.database_url.get_secret_value()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, "is active for all sites." in run.stdout) == (0, True), run.stderr
    assert query("select purpose, for_site from bundle_appointments") == [("active", None)]


def test_one_machine_appoints_the_first_bundle_and_says_so(database, settings, another):
    assert "is the first one here" in appoint_first(database, settings.bundle, replace=False)
    assert appoint_first(database, settings.bundle, replace=False) is None
    with pytest.raises(PermanentError, match="Add --appoint") as refused:
        appoint_first(database, another, replace=False)
    assert refused.value.reason == "bundle-not-active"
    assert "in place of" in appoint_first(database, another, replace=True)
    assert appoint_first(database, another, replace=False) is None
