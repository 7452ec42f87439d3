"""What a bundle answers for, and at which sites."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

Purpose: TypeAlias = Literal["active", "trial"]
"""`active`: its answers count. `trial`: they are kept, and no result reads them."""


@dataclass(frozen=True, slots=True)
class Sites:
    """Some sites: those with these names, or, where `others`, all but those."""

    names: frozenset[str] = frozenset()
    others: bool = False

    @property
    def none(self) -> bool:
        """Whether there is no such site."""
        return not self.others and not self.names

    def hold(self, site: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """Return the condition that a column names one of them."""
        return site.not_in(self.names) if self.others else site.in_(self.names)

    def __str__(self) -> str:
        named = ", ".join(sorted(self.names))
        if not self.others:
            return named or "no site"
        return f"all sites but {named}" if named else "all sites"


EVERYWHERE = Sites(others=True)
