"""A principal sees the sites it was given, and no others."""

import pytest

from hemaline_cloud.principal import ALL_SITES, Principal, operator, service

TECHNOLOGIST = Principal(
    "p-1", "Ada", "person", roles=frozenset({"technologist"}), sites=frozenset({"north"})
)


def test_a_person_sees_the_named_sites_alone():
    assert TECHNOLOGIST.may_see("north")
    assert not TECHNOLOGIST.may_see("south")


def test_a_person_of_no_site_sees_none():
    assert not Principal("p-2", "Bo", "person").may_see("north")


def test_services_and_operators_see_every_site():
    assert service("ingest").may_see("anywhere")
    assert service("ingest").id == "service:ingest"
    assert operator("root@host").sites is ALL_SITES
    assert operator("root@host").has_any_role("operator", "admin")
    assert not TECHNOLOGIST.has_any_role("operator", "admin")


@pytest.mark.parametrize("name", ["", "*", "north,south", "North", "-north"])
def test_a_site_is_named_as_topics_name_it(name):
    """The database gets the names parted by commas: none may pass for two, or for all."""
    with pytest.raises(ValueError, match="sites"):
        Principal("p-3", "Cy", "person", sites=frozenset({name}))
