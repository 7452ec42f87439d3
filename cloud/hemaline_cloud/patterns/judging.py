"""Holds a count against the rules of patterns: what it fits, may fit, does not fit, and why. Pure.

The one rule for a threshold: it holds, or fails, where the whole interval lies on one side of it,
else it is open. A pattern fits where all that it needs holds and nothing speaks against it; one
open threshold makes it "may fit".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hemaline_cloud.orders.order import BloodCount, CellCount, Haemoglobin
from hemaline_cloud.patterns.counted import Counted, Interval
from hemaline_cloud.patterns.result import (
    CountPatterns,
    FittedPattern,
    Reason,
    State,
    Unit,
    Verdict,
)
from hemaline_cloud.patterns.rules import Criterion, Measure, Need, Pattern, Rules

_ORDER: tuple[Verdict, ...] = ("fits", "may-fit", "does-not-fit")
_TO_1E9_L = {"10*9/L": 1.0, "10*3/uL": 1.0, "/uL": 0.001}
_TO_G_L = {"g/L": 1.0, "g/dL": 10.0, "mmol/L": 16.114}
"""Haemoglobin's monomer weighs 16,114 g a mole (ICSH 1996)."""


def judge(rules: Rules, counted: Counted | None, blood_count: BloodCount) -> CountPatterns:
    """Return which patterns a count fits.

    Args:
        rules: The site's.
        counted: The model's count, or the reader's; None: no cell has a class.
        blood_count: Of the slide's order; empty where it has none.
    """
    if counted is None or not counted.cells:
        source = counted.source if counted else "model"
        return CountPatterns(source=source, cells=0, silent="not-classified")
    told = CountPatterns(
        source=counted.source,
        cells=counted.cells,
        named_by_people=counted.named_by_people,
        provisional=_is_provisional(rules, counted),
    )
    if counted.cells < rules.least_cells:
        return told.model_copy(update={"silent": "too-few-cells"})
    judging = _Judging(rules, counted, blood_count)
    fitted = [judging.fitted(name, pattern) for name, pattern in rules.patterns.items()]
    fitted.sort(key=lambda one: (_ORDER.index(one.verdict), -len(one.speaks_for)))
    return told.model_copy(update={"patterns": tuple(fitted)})


def _is_provisional(rules: Rules, counted: Counted) -> bool:
    """Whether a differential's worth of cells is still to be counted, or to be named by people."""
    people = counted.named_by_people
    few_by_people = people is not None and people < min(rules.provisional_below, counted.cells)
    return counted.cells < rules.provisional_below or few_by_people


@dataclass(frozen=True, slots=True)
class _Judging:
    rules: Rules
    counted: Counted
    blood_count: BloodCount

    def fitted(self, name: str, pattern: Pattern) -> FittedPattern:
        """Return how one pattern fits."""
        needs = [(need, self._reasons(need.any_of)) for need in pattern.needs]
        needed = [reason for need, reasons in needs for reason in _telling(need, reasons)]
        supports, against = self._reasons(pattern.supports), self._reasons(pattern.against)
        every = (*needed, *supports, *against)
        verdict = _verdict([_any(reasons) for _, reasons in needs], against)
        speaks_against = (*_of_state("fails", needed), *_of_state("holds", against))
        if verdict == "does-not-fit":
            return FittedPattern(
                pattern=name, name=pattern.name, verdict=verdict, speaks_against=speaks_against
            )
        return FittedPattern(
            pattern=name,
            name=pattern.name,
            verdict=verdict,
            speaks_for=_of_state("holds", (*needed, *supports)),
            speaks_against=speaks_against,
            undecided=_of_state("open", (*needed, *against)),
            missing=(*_unknown(every), *pattern.missing),
        )

    def _reasons(self, criteria: Iterable[Criterion]) -> tuple[Reason, ...]:
        return tuple(self._reason(criterion) for criterion in criteria)

    def _reason(self, criterion: Criterion) -> Reason:
        source = "; ".join(self.rules.sources[name] for name in criterion.sources)
        if criterion.ask:
            return Reason(name=criterion.ask, wanted="", state="open", unit="none", source=source)
        if criterion.flag:
            state: State = "holds" if criterion.flag in self.counted.flags else "fails"
            return Reason(
                name=f"The model's flag {criterion.flag}",
                wanted="",
                state=state,
                unit="none",
                source=source,
            )
        assert criterion.measure
        measure = self.rules.measures[criterion.measure]
        found = self._measured(measure)
        return Reason(
            name=measure.name,
            wanted=_wanted(criterion, measure.unit),
            state=_state(criterion, found) if found else "unknown",
            low=round(found.low, 4) if found else None,
            high=round(found.high, 4) if found else None,
            unit=measure.unit,
            source=source,
        )

    def _measured(self, measure: Measure) -> Interval | None:
        if measure.analyser:
            told = getattr(self.blood_count, measure.analyser)
            return Interval(_in_unit(told), _in_unit(told)) if told else None
        share = self.counted.share(measure.cells, measure.whole)
        if share is None or not measure.in_volume:
            return share
        if self.blood_count.wbc is None:
            return None
        white = _in_unit(self.blood_count.wbc)
        return Interval(share.low * white, share.high * white)


def _telling(need: Need, reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Return of a need's criteria those that made it hold, left it open, or made it fail."""
    state = _any(reasons)
    if state in {"open", "unknown"} and len(need.any_of) > 1:
        return tuple(reason for reason in reasons if reason.state in {"open", "unknown"})
    return tuple(reason for reason in reasons if reason.state == state)


def _any(reasons: Sequence[Reason]) -> State:
    states = {reason.state for reason in reasons}
    order: tuple[State, ...] = ("holds", "open", "unknown", "fails")
    return next(state for state in order if state in states)


def _verdict(needs: Sequence[State], against: Sequence[Reason]) -> Verdict:
    if "fails" in needs:
        return "does-not-fit"
    sure = set(needs) == {"holds"} and all(reason.state == "fails" for reason in against)
    return "fits" if sure else "may-fit"


def _of_state(state: State, reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(reason for reason in reasons if reason.state == state)


def _unknown(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Name what was not counted, each thing once."""
    names = (reason.name for reason in _of_state("unknown", reasons))
    return tuple(dict.fromkeys(f"{name}: not known" for name in names))


def _state(criterion: Criterion, found: Interval) -> State:
    states = []
    if criterion.at_least is not None:
        fails = found.high < (criterion.open_from or criterion.at_least)
        states.append(_side(holds=found.low >= criterion.at_least, fails=fails))
    if criterion.below is not None:
        states.append(_side(holds=found.high < criterion.below, fails=found.low >= criterion.below))
    if "fails" in states:
        return "fails"
    return "open" if "open" in states else "holds"


def _side(*, holds: bool, fails: bool) -> State:
    if holds:
        return "holds"
    return "fails" if fails else "open"


def _wanted(criterion: Criterion, unit: Unit) -> str:
    if criterion.at_least is not None and criterion.below is not None:
        return f"{_amount(criterion.at_least, unit)} to {_amount(criterion.below, unit)}"
    if criterion.below is not None:
        return f"below {_amount(criterion.below, unit)}"
    assert criterion.at_least is not None
    from_here = f", open from {_amount(criterion.open_from, unit)}" if criterion.open_from else ""
    return f"{_amount(criterion.at_least, unit)} or more{from_here}"


def _amount(limit: float, unit: Unit) -> str:
    if unit == "share":
        return f"{100 * limit:g}%"
    return f"{limit:g}·10⁹/L" if unit == "10*9/L" else f"{limit:g} {unit}"


def _in_unit(count: CellCount | Haemoglobin) -> float:
    """Return a count in the unit of the rules: 10⁹/L, or g/L of haemoglobin."""
    factors = _TO_1E9_L if isinstance(count, CellCount) else _TO_G_L
    return count.value * factors[count.unit]
