"""What the rules say of a slide, as the page shows it and a signature freezes it. Pure."""

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

NO_DIAGNOSIS = "Which patterns the differential fits. For research use only; no diagnosis."

Unit: TypeAlias = Literal["share", "10*9/L", "g/L", "none"]
State: TypeAlias = Literal["holds", "open", "fails", "unknown"]
Verdict: TypeAlias = Literal["fits", "may-fit", "does-not-fit"]
Source: TypeAlias = Literal["model", "read"]
Silence: TypeAlias = Literal["not-classified", "too-few-cells"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Reason(_Frozen):
    """One threshold, and where the interval of what was counted lies.

    Attributes:
        name: What was counted.
        wanted: The threshold in words; empty of what no smear can answer.
        state: `open`: the threshold lies within the interval. `unknown`: it was not counted.
        low: Of the 95 % interval. None: not known.
        high: None: not known, or without bound.
        source: The publication that the threshold comes from.
    """

    name: str
    wanted: str
    state: State
    low: float | None = None
    high: float | None = None
    unit: Unit = "share"
    source: str = ""


class FittedPattern(_Frozen):
    """How a pattern fits a differential, and why.

    Attributes:
        verdict: `fits`: all that it needs holds, and nothing speaks against it. `may-fit`: nothing
            that it needs fails. `does-not-fit`: something does, named in `against`.
        speaks_for: What holds of what it needs, and of what supports it.
        speaks_against: What fails of what it needs, and what holds that speaks against it.
        undecided: Thresholds that lie within their interval.
        missing: What a haematologist would ask for and the differential does not tell. Of a pattern
            that does not fit, only what speaks against it is kept.
    """

    pattern: str
    name: str
    verdict: Verdict
    speaks_for: tuple[Reason, ...] = ()
    speaks_against: tuple[Reason, ...] = ()
    undecided: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()


class CountPatterns(_Frozen):
    """The patterns that one count fits: the model's, or the reader's; never of both together.

    Attributes:
        cells: How many leukocytes of the count have a class.
        named_by_people: Of the reader's count: how many cells people have named; the others carry
            the model's names, whose errors the reader's intervals do not hold. None: the model's.
        provisional: Fewer cells, or fewer that people named, than a differential counts.
        silent: Why nothing is said.
        patterns: All of the rules, those that fit first.
    """

    source: Source
    cells: int
    named_by_people: int | None = None
    provisional: bool = False
    silent: Silence | None = None
    patterns: tuple[FittedPattern, ...] = ()

    @property
    def fitting(self) -> tuple[FittedPattern, ...]:
        """Those that fit or may fit, the fitting ones first."""
        return tuple(one for one in self.patterns if one.verdict != "does-not-fit")


class RulesUsed(_Frozen):
    """By which rules: their title, version and hash."""

    title: str
    version: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class SlidePatterns(_Frozen):
    """What the rules say of a slide's counts, each by itself.

    Attributes:
        model: Of the model's count. None: it is hidden, or there is none.
        read: Of the count as people read it. None: they have named no cell.
    """

    notice: str = NO_DIAGNOSIS
    rules: RulesUsed
    model: CountPatterns | None = None
    read: CountPatterns | None = None

    @property
    def of_signed_count(self) -> CountPatterns | None:
        """What a report may tell of: of the count that a signature stands for, if it says any."""
        counted = self.read or self.model
        return counted if counted and not counted.silent else None
