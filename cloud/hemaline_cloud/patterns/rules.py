"""The rules of patterns: a TOML file that people read and change, checked when it is loaded. Pure.

`rules.toml` beside this module is the shipped one; a site may have its own.
"""

import hashlib
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hemaline_cloud.cell_classes import COARSER, CellClass
from hemaline_cloud.patterns.result import RulesUsed, Unit
from hemaline_shared.errors import PermanentError

SHIPPED = Path(__file__).with_name("rules.toml")
LONGEST = 100_000
"""Characters of a rule file; the shipped one has a tenth of that."""

_Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=400)]
_Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Measure(_Part):
    """Something that is counted: a share of cells, cells in a volume, or the analyser's count.

    Attributes:
        classes: The cells; a class stands for its finer ones, too.
        of: Of which cells the share is; empty: of the leukocytes.
        in_volume: Times the order's white cells: 10⁹/L in place of a share.
        analyser: What of the order's blood count it is, in the place of `classes`.
    """

    name: _Words
    classes: tuple[CellClass, ...] = ()
    of: tuple[CellClass, ...] = ()
    in_volume: bool = False
    analyser: Literal["wbc", "hb", "plt"] | None = None

    @property
    def cells(self) -> frozenset[str]:
        """The classes with their finer ones."""
        return _with_finer(self.classes)

    @property
    def whole(self) -> frozenset[str]:
        """The classes that it is a share of; empty: all leukocytes."""
        return _with_finer(self.of)

    @property
    def unit(self) -> Unit:
        """Of its thresholds: a share of one, 10⁹/L, or g/L of haemoglobin."""
        if self.analyser == "hb":
            return "g/L"
        return "10*9/L" if self.analyser or self.in_volume else "share"

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if bool(self.classes) == bool(self.analyser):
            raise ValueError("a measure has either classes or analyser")
        if self.analyser and (self.of or self.in_volume):
            raise ValueError("analyser stands alone")
        if self.of and (self.in_volume or not self.cells < self.whole):
            raise ValueError("of names the classes and others, and goes without in_volume")
        return self


class Criterion(_Part):
    """A threshold with its source, or a question.

    Attributes:
        at_least: It holds where the whole interval lies at or over this.
        below: It holds where the whole interval lies below this.
        open_from: From here on to `at_least` it is open and does not fail; by `open_source`.
        flag: It holds where the model's result bears this flag; people's counts never do.
        ask: A question that no differential answers: always open.
        source: By which publication; see `sources`.
    """

    measure: _Name | None = None
    at_least: float | None = Field(default=None, gt=0)
    below: float | None = Field(default=None, gt=0)
    open_from: float | None = Field(default=None, gt=0)
    open_source: _Name | None = None
    flag: _Name | None = None
    ask: _Words | None = None
    source: _Name

    @property
    def sources(self) -> tuple[str, ...]:
        """Of its thresholds."""
        return (self.source, *([self.open_source] if self.open_source else ()))

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if sum(part is not None for part in (self.measure, self.flag, self.ask)) != 1:
            raise ValueError("a criterion has one of measure, flag and ask")
        limits = (self.at_least, self.below)
        if (self.measure is not None) != any(limit is not None for limit in limits):
            raise ValueError("a measure, and only that, has at_least or below")
        if self.at_least and self.below and self.at_least >= self.below:
            raise ValueError("at_least lies under below")
        if self.open_from and not (self.at_least and self.open_from < self.at_least):
            raise ValueError("open_from lies under at_least")
        if (self.open_from is None) != (self.open_source is None):
            raise ValueError("open_from has its open_source")
        return self


class Need(_Part):
    """What must hold of a differential: one of several criteria."""

    any_of: tuple[Criterion, ...] = Field(min_length=1, max_length=10)


class Pattern(_Part):
    """A pattern as a haematologist knows it.

    Attributes:
        needs: All must hold for it to fit; it may fit while none fails.
        supports: What speaks for it where it holds.
        against: What speaks against it where it holds: then it may fit at best.
        missing: What a haematologist would ask for besides.
    """

    name: _Words
    needs: tuple[Need, ...] = Field(min_length=1, max_length=20)
    supports: tuple[Criterion, ...] = Field(default=(), max_length=20)
    against: tuple[Criterion, ...] = Field(default=(), max_length=20)
    missing: tuple[_Words, ...] = Field(default=(), max_length=20)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """All of them."""
        needs = (criterion for need in self.needs for criterion in need.any_of)
        return (*needs, *self.supports, *self.against)


class Rules(_Part):
    """The patterns with all that they rest on.

    Attributes:
        version: Of the file, as its writers count.
        least_cells: With fewer nothing is said.
        provisional_below: With fewer all is provisional.
    """

    title: _Words
    version: str = Field(min_length=1, max_length=40)
    least_cells: int = Field(ge=1, le=1000)
    provisional_below: int = Field(ge=1, le=1000)
    sources: dict[_Name, _Words]
    measures: dict[_Name, Measure]
    patterns: dict[_Name, Pattern] = Field(min_length=1, max_length=40)

    @model_validator(mode="after")
    def _names_what_it_uses(self) -> Self:
        for name, pattern in self.patterns.items():
            for criterion in pattern.criteria:
                for source in set(criterion.sources) - self.sources.keys():
                    raise ValueError(f"{name}: there is no source {source}")
                if criterion.measure and criterion.measure not in self.measures:
                    raise ValueError(f"{name}: there is no measure {criterion.measure}")
                if criterion.measure and self.measures[criterion.measure].unit == "share":
                    _check_share(name, criterion)
        return self


class LoadedRules(_Part):
    """Rules with the file that they come from."""

    rules: Rules
    used: RulesUsed


@lru_cache(maxsize=32)
def read_rules(text: str) -> LoadedRules:
    """Read a rule file.

    Args:
        text: TOML, as `rules.toml` beside this module.

    Raises:
        PermanentError: `rules-unreadable`: what is wrong with it, and where.
    """
    if len(text) > LONGEST:
        raise _unreadable(f"it has more than {LONGEST:,} characters")
    try:
        rules = Rules.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}." for part in first["loc"]).removesuffix(".")
        said = first["msg"].removeprefix("Value error, ")
        raise _unreadable(f"{where}: {said}" if where else said) from error
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    used = RulesUsed(title=rules.title, version=rules.version, sha256=sha256)
    return LoadedRules(rules=rules, used=used)


def shipped_rules() -> LoadedRules:
    """Return the rules that hold where a site has none of its own."""
    return read_rules(_shipped_text())


@lru_cache(maxsize=1)
def _shipped_text() -> str:
    return SHIPPED.read_text("utf-8")


def _unreadable(why: str) -> PermanentError:
    return PermanentError("rules-unreadable", f"These are no rules of patterns: {why}.")


def _check_share(pattern: str, criterion: Criterion) -> None:
    limits = (criterion.at_least, criterion.below, criterion.open_from)
    if any(limit is not None and limit > 1 for limit in limits):
        raise ValueError(f"{pattern}: {criterion.measure} is a share of one: write 0.2 for 20 %")


def _with_finer(classes: tuple[CellClass, ...]) -> frozenset[str]:
    finer = {name for name, coarser in COARSER.items() if coarser in classes}
    return frozenset({*classes, *finer})
