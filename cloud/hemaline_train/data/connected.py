"""Which things hang together, given pairs of them that do: union by the earliest, halving paths."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

Thing = TypeVar("Thing", bound=Hashable)


def first_connected(
    things: Iterable[Thing], pairs: Iterable[tuple[Thing, Thing]]
) -> dict[Thing, Thing]:
    """Return each thing -> the first of the things that it is connected with, be it itself.

    Args:
        things: All of them; their order says which is first.
        pairs: Of connected things.
    """
    leader = {thing: thing for thing in things}
    places = {thing: place for place, thing in enumerate(leader)}

    def find(thing: Thing) -> Thing:
        while leader[thing] != thing:
            leader[thing] = leader[leader[thing]]
            thing = leader[thing]
        return thing

    for a, b in pairs:
        first, later = sorted((find(a), find(b)), key=places.__getitem__)
        leader[later] = first
    return {thing: find(thing) for thing in leader}
