"""A site's policy is shown, changed and versioned by the operator's verbs."""

import pytest
from pydantic import SecretStr

from hemaline_cloud.policy_verbs import put_policy, show_policy
from hemaline_cloud.settings import MigrateSettings
from hemaline_shared.errors import PermanentError


@pytest.fixture
def settings(database_url):
    return MigrateSettings(database_url=SecretStr(database_url))


@pytest.fixture
def shown(settings):
    def show(site):
        printed: list[str] = []
        show_policy(settings, site, printed.append)
        return printed

    return show


def test_what_is_shown_can_be_changed_and_set(settings, shown, tmp_path):
    before = shown("north")
    assert before[0] == "# north: the default: the site has none"
    file = tmp_path / "policy.json"
    file.write_text("\n".join(before).replace('"others": 10', '"others": 3'), "utf-8")
    told: list[str] = []
    put_policy(settings, "north", file, told.append)
    put_policy(settings, "north", file, told.append)
    assert told[-1] == "Version 2 holds at north from now on."
    after = shown("north")
    assert after[0] == "# north: version 2"
    assert '"others": 3' in after[1]
    assert shown("south")[0].endswith("the site has none")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("not json", "no review policy"),
        ('{"classes": ["blasts"]}', "classes.0"),
        ('{"doubt_below": 7}', "doubt_below"),
        ('{"skip": true}', "skip"),
    ],
)
def test_what_is_no_policy_changes_nothing(settings, shown, tmp_path, text, fault):
    file = tmp_path / "policy.json"
    file.write_text(text, "utf-8")
    with pytest.raises(PermanentError, match=fault):
        put_policy(settings, "north", file, print)
    with pytest.raises(PermanentError, match="cannot be read"):
        put_policy(settings, "north", tmp_path / "none.json", print)
    assert shown("north")[0].endswith("the site has none")
