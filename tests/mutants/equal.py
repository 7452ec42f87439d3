"""The small changes that no test can notice, because nobody could: each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equal:
    """A change of one line, both without their indentation, and why it changes nothing."""

    module: str
    line: str
    change: str
    why: str


EQUAL: tuple[Equal, ...] = ()
