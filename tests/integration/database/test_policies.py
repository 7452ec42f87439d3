"""A site's policy is shown, changed and versioned by the operator's verbs."""

import pytest
from pydantic import SecretStr

from hemaline_cloud.pattern_verbs import check_rules, put_rules, show_rules
from hemaline_cloud.patterns.rules import SHIPPED
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
        ('{"pattern_rules": "title = 1"}', "no rules of patterns"),
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


def test_a_sites_rules_of_patterns_are_shown_as_they_were_set(settings, tmp_path):
    told: list[str] = []
    show_rules(settings, "north", told.append)
    shipped = SHIPPED.read_text("utf-8")
    assert told.pop() + "\n" == shipped
    file = tmp_path / "rules.toml"
    file.write_text(shipped.replace('version = "1"', 'version = "north 7"'), "utf-8")
    check_rules(file, told.append)
    assert "version north 7: 8 patterns" in told.pop()
    put_rules(settings, "north", file, told.append)
    assert told.pop().endswith("They hold at north from now on, by version 1 of its policy.")
    show_rules(settings, "north", told.append)
    assert told.pop() + "\n" == file.read_text("utf-8")
    show_rules(settings, "south", told.append)
    assert told.pop() + "\n" == shipped


def test_a_site_that_sets_the_shipped_rules_has_none_of_its_own(settings, shown):
    put_rules(settings, "north", SHIPPED, lambda _: None)
    assert '"pattern_rules": null' in "\n".join(shown("north"))


def test_a_file_that_holds_no_rules_changes_nothing(settings, shown, tmp_path):
    file = tmp_path / "rules.toml"
    file.write_text("title = 1", "utf-8")
    for wrong, fault in ((file, "no rules of patterns"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(PermanentError, match=fault):
            put_rules(settings, "north", wrong, print)
        with pytest.raises(PermanentError, match=fault):
            check_rules(wrong, print)
    assert shown("north")[0].endswith("the site has none")
