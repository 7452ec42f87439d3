"""Who works with the data: a person or a service, what they may do, and of which sites."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias

from hemaline_shared.topics import is_site_name

Role: TypeAlias = Literal["technologist", "haematologist", "operator", "admin"]


class AllSites(Enum):
    """Every site, also those that come later."""

    ALL_SITES = "*"


ALL_SITES = AllSites.ALL_SITES


@dataclass(frozen=True, slots=True)
class Principal:
    """One person or service.

    Attributes:
        id: Unique, and the same for good; audit rows name it. It identifies no patient.
        name: As others read it.
        kind: Whether somebody answers for it in person.
        roles: What they may do; a service has none, for its code is its right.
        sites: Whose data they see, by the names that topics begin with.
    """

    id: str
    name: str
    kind: Literal["person", "service"]
    roles: frozenset[Role] = field(default=frozenset())
    sites: frozenset[str] | AllSites = field(default=frozenset())

    def __post_init__(self) -> None:
        if self.sites is not ALL_SITES and not all(map(is_site_name, self.sites)):
            raise ValueError(f"{sorted(self.sites)} are no names of sites")

    def may_see(self, site: str) -> bool:
        """Whether a site's data is theirs to see."""
        return self.sites is ALL_SITES or site in self.sites

    def has_any_role(self, *roles: Role) -> bool:
        """Whether they have at least one of the roles."""
        return not self.roles.isdisjoint(roles)


def service(name: str) -> Principal:
    """Return the principal of one of Hemaline's own processes, which work for every site."""
    return Principal(id=f"service:{name}", name=name, kind="service", sites=ALL_SITES)


def operator(name: str) -> Principal:
    """Return the principal of a person who uses commands on the server, known by `user@host`."""
    roles = frozenset[Role]({"operator"})
    return Principal(f"operator:{name}", name, kind="person", roles=roles, sites=ALL_SITES)
