"""What people found of single labels, looking at the pictures: `label_review.tsv`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from hemaline_shared.errors import PermanentError
from hemaline_train.data.manifest_rows import read_rows

FILE = Path(__file__).with_name("label_review.tsv")
COLUMNS = ("data_set", "file", "label", "verdict", "other", "why", "by")

Verdict = Literal["keep", "drop", "other", "unsure"]
"""The label is right; it is wrong, and no other is plainly right; another one is plainly right;
nobody can say. What is unsure stays as it came."""


@dataclass(frozen=True, slots=True)
class Review:
    """What was found of one picture's label.

    Attributes:
        label: The finest, as it came: a verdict on another label says nothing.
        other: The right label where the verdict is "other", else empty.
    """

    label: str
    verdict: Verdict
    other: str
    why: str
    by: str


def read_reviews(file: Path) -> dict[str, dict[str, Review]]:
    """Read a table of verdicts; return data set -> file in it -> verdict.

    Rows without a verdict are passed over: nobody has looked yet.

    Raises:
        PermanentError: `manifest-missing`, `manifest-text`, `manifest-column`, or `review`: a
            verdict is none of those, lacks the other label, or speaks of a file a second time.
    """
    found: dict[str, dict[str, Review]] = {}
    for where, row in read_rows(file, COLUMNS):
        if not row["verdict"]:
            continue
        here = found.setdefault(row["data_set"], {})
        if row["file"] in here:
            raise PermanentError("review", f"{where}: {row['file']} has a verdict already.")
        here[row["file"]] = _review(where, row)
    return found


@cache
def _shipped() -> Mapping[str, Mapping[str, Review]]:
    return read_reviews(FILE)


def verdicts_on(name: str, folder: Path) -> Mapping[str, Review]:
    """Return file -> verdict for one data set: those that come with Hemaline, and its folder's own.

    Args:
        name: Of the data set.
        folder: Where a laboratory may keep a table of its own, of the same name.

    Raises:
        PermanentError: As `read_reviews`.
    """
    own = folder / FILE.name
    added = read_reviews(own).get(name, {}) if own.exists() else {}
    return {**_shipped().get(name, {}), **added}


def _review(where: str, row: Mapping[str, str]) -> Review:
    verdicts = {name: name for name in get_args(Verdict)}
    verdict: Verdict | None = verdicts.get(row["verdict"])
    if verdict is None:
        raise PermanentError(
            "review",
            f"{where}: the verdict is {row['verdict']!r}, and not one of {', '.join(verdicts)}.",
        )
    if (verdict == "other") != bool(row["other"]):
        raise PermanentError(
            "review", f"{where}: another label stands there if, and only if, the verdict is other."
        )
    return Review(row["label"], verdict, row["other"], row["why"], row["by"])
