"""What each role may do."""

from collections.abc import Set as AbstractSet
from enum import Enum


class Right(Enum):
    """Something that some roles may do, with the sentence for those who may not."""

    REVIEW = "review", "Only technologists and haematologists review slides."
    SIGN = "sign", "Only haematologists sign."
    IDENTIFY = "identify", "Only technologists and haematologists know whose blood it is."
    OPERATE = "operate", "Only operators and administrators see and do this."
    ADMINISTER = "administer", "Only administrators see and do this."

    @property
    def sentence(self) -> str:
        """Who may."""
        return self.value[1]


ROLES_WITH = {
    Right.REVIEW: frozenset({"technologist", "haematologist"}),
    Right.SIGN: frozenset({"haematologist"}),
    Right.IDENTIFY: frozenset({"technologist", "haematologist"}),
    Right.OPERATE: frozenset({"operator", "admin"}),
    Right.ADMINISTER: frozenset({"admin"}),
}


def has_right(roles: AbstractSet[str], right: Right) -> bool:
    """Whether one of the roles may."""
    return not ROLES_WITH[right].isdisjoint(roles)
