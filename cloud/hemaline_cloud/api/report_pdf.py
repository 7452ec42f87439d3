"""A report on paper: PDF/A-3a and PDF/UA-1 by Typst, the same bytes each time."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import typst

from hemaline_cloud.api.words import amount, humanise, pattern_lines, side_of
from hemaline_cloud.database.summary import (
    MACHINE_HIDDEN,
    BlastShare,
    ClassShare,
    SlideSummary,
)
from hemaline_cloud.review.morphology import NOT_ASSESSED, Morphology, found
from hemaline_cloud.review.reader_counts import ReadShare, summary_by_reader
from hemaline_cloud.review.report import (
    NO_CLASS,
    RESEARCH_USE_ONLY,
    MachineWhileRead,
    SignedReport,
    count_by_class,
)
from hemaline_shared.packing import sha256_hex

_TEMPLATE = Path(__file__).parent / "templates" / "report.typ"
_TITLE = "Peripheral blood smear: differential of the white cells"
_COLUMNS = ("Class", "Model", "Reader", "Share", "95 % interval")
_NOT_ASSESSED = "Not assessed: the whole slide beyond the captured fields."
_COUNTED = {"wbc": "white cells", "hb": "haemoglobin", "plt": "platelets"}
_REASONS = {
    "class": "of a class that must be seen",
    "doubt": "of little probability",
    "disagreement": "that networks name differently",
    "lot": "drawn by lot",
    "machine-hidden": "of all, for the model's answers were hidden",
}
_NO_GLYPH = re.compile(
    r"[^\t\n\x20-\u024f\u0370-\u03ff\u0400-\u04ff\u2010-\u2027\u2030-\u205e\u2260-\u2265]"
)


def signed_pdf(written: str) -> bytes:
    """Return a signed report on paper.

    Args:
        written: The report as it was signed: all that the page shows is in it, so that what comes
            later never changes it.
    """
    report = SignedReport.model_validate_json(written)
    amends = report.amends is not None
    when = _utc(report.signed_at)
    detail = f"Signed by {report.signed_by_name}, {when}."
    if amends:
        detail = (
            f"Amended by {report.signed_by_name}, {when}, in the place of signature "
            f"{report.amends}. Why: {report.reason}"
        )
    sha256 = sha256_hex(written.encode())
    page = _page(report.model_dump(), summary_by_reader(report), report.cells_by_reader) | {
        "author": report.signed_by_name,
        "signed": True,
        "state": "Amended report" if amends else "Signed report",
        "state_detail": detail,
        "footer": f"{report.accession} · signature {report.signature_id} · SHA-256 {sha256}",
        "pattern": _pattern(report),
        "morphology": _morphology(report.morphology),
        "looked_at": [*_looked_at(report), _NOT_ASSESSED],
    }
    return _compiled(page, report.signed_at)


def unreviewed_pdf(facts: Mapping[str, Any], summary: SlideSummary) -> bytes:
    """Return what the model counted, before any person stands behind it.

    Args:
        facts: `accession`, `slide_name`, `site`, `device`, `simulated`, `revision`, `computed_at`,
            `bundle_id`, `bundle_sha256` and `order`, as in a `SignedReport`.
        summary: What the model counted.
    """
    page = _page(facts, summary, None) | {
        "author": "Hemaline",
        "signed": False,
        "state": "Not reviewed by a person",
        "state_detail": "A model counted these cells. Nobody has confirmed them; do not pass on.",
        "footer": f"{facts['accession']} · revision {facts['revision']} · not reviewed",
        "pattern": [],
        "morphology": _morphology(None),
        "looked_at": ["No person has looked at these cells yet.", _NOT_ASSESSED],
    }
    return _compiled(page, facts["computed_at"])


def _page(
    facts: Mapping[str, Any], summary: SlideSummary, by_reader: Mapping[str, int] | None
) -> dict[str, Any]:
    by_model = facts.get("cells_by_model") or {
        share.label: share.cells for share in summary.differential or ()
    }
    slide = facts["slide_name"] or "without a name of its own"
    if facts["simulated"]:
        slide += " (simulated: drawn, not photographed)"
    return {
        "title": _TITLE,
        "notice": RESEARCH_USE_ONLY,
        "columns": _COLUMNS,
        "facts": [
            ["Accession", facts["accession"]],
            ["Slide", slide],
            *_order(facts["order"]),
            ["Microscope", f"{facts['site']} / {facts['device']}"],
            ["Counted", f"{_utc(facts['computed_at'])}, revision {facts['revision']}"],
        ],
        "flags": [flag.text for flag in summary.flags],
        "no_differential": "There is none before a person has named the cells."
        if MACHINE_HIDDEN in summary.flags
        else "No counted cell has a class that was learned: there is none.",
        "differential": _differential(summary, by_model, by_reader),
        "below": _below(summary, by_reader),
        "blasts": _blasts(summary.blasts),
        "counting": _counting(summary),
        "made_by": [
            ["Model bundle", f"{facts['bundle_id']}, SHA-256 {facts['bundle_sha256']}"],
            ["Pixel pipeline", ", ".join(summary.made_by.pixel_pipelines) or "unknown"],
            ["Edge software", ", ".join(summary.made_by.edge_versions) or "unknown"],
        ],
    }


def _order(order: Mapping[str, Any] | None) -> list[list[str]]:
    """Return what the slide was made for: its code, for a name stands in no file."""
    if order is None:
        return []
    counted = {name: count for name, count in order["blood_count"].items() if count}
    said = [
        f"{_COUNTED[name]} {count['value']:g} {count['unit']}" for name, count in counted.items()
    ]
    return [["Order", order["barcode"]], *([["Blood count", ", ".join(said)]] if said else [])]


def _differential(
    summary: SlideSummary, by_model: Mapping[str, int], by_reader: Mapping[str, int] | None
) -> list[list[str]]:
    """Return a row for each class that the model or the reader named, as `_COLUMNS` say."""
    shares = {share.label: share for share in summary.differential or ()}
    beside = {share.label for share in summary.beside} | {NO_CLASS}
    within = {name for share in shares.values() for name in _of_which(share)}
    others = [label for label in by_model if label not in (*shares, *beside, *within)]
    rows = []
    for label in (*shares, *others):
        share = shares.get(label)
        rows.append(
            [
                _line(label, _of_which(share)),
                str(sum(by_model.get(name, 0) for name in (label, *_of_which(share)))),
                "" if by_reader is None else str(share.cells if share else by_reader.get(label, 0)),
                _percent(share.fraction) if share else "",
                f"{_percent(share.low)} to {_percent(share.high)}" if share else "",
            ]
        )
    return rows if shares else []


def _of_which(share: ClassShare | None) -> Mapping[str, int]:
    return share.of_which if isinstance(share, ReadShare) else {}


def _line(label: str, of_which: Mapping[str, int]) -> str:
    finer = ", ".join(f"{humanise(name).lower()} {cells}" for name, cells in of_which.items())
    return f"{humanise(label)} (of which {finer})" if finer else humanise(label)


def _below(summary: SlideSummary, by_reader: Mapping[str, int] | None) -> list[str]:
    counts = by_reader if by_reader is not None else summary.cells_by_class
    lines = [
        f"{humanise(beside.label)}: {beside.per_100:.1f} per 100 white cells ({beside.cells})."
        for beside in summary.beside
    ]
    if unclassified := counts.get(NO_CLASS, 0):
        lines.append(f"Without a class: {unclassified} cells; the intervals allow for them.")
    return lines


def _blasts(blasts: BlastShare | None) -> list[str]:
    if blasts is None:
        return ["No share can be told."]
    low, high = _percent(blasts.low), _percent(blasts.high)
    said = (
        f"{low} to {high} of the white cells (95 % interval; estimate {_percent(blasts.fraction)}; "
        f"{blasts.cells} of {blasts.leukocytes} named cells are called so)."
    )
    lines = [said]
    lines += [
        f"{side_of(threshold)} {threshold.name}'s {100 * threshold.fraction:.0f} %."
        for threshold in blasts.thresholds
    ]
    if blasts.provisional:
        lines.append("Provisional: fewer than 100 cells have a class.")
    return lines


def _pattern(report: SignedReport) -> list[str]:
    """Say which patterns the reader let the report tell of; none: nothing is said of any."""
    kept = report.kept_patterns
    if kept is None or report.patterns is None:
        return []
    rules = report.patterns.rules
    return [
        *pattern_lines(kept),
        f"{report.patterns.notice} By rules {rules.version} (SHA-256 {rules.sha256}).",
    ]


def _morphology(said: Morphology | None) -> list[str]:
    if said is None or said == NOT_ASSESSED:
        return ["Not assessed."]
    platelets = [f"{said.platelet_estimate} by eye"] if said.platelet_estimate else []
    return [
        f"Red cells: {', '.join(_graded(said.red_cells)) or 'not assessed'}.",
        f"Platelets: {', '.join([*platelets, *_graded(said.platelets)]) or 'not assessed'}.",
        "Graded by a person: 0 none, 1+ few, 2+ moderate, 3+ many (ICSH 2015).",
        "What is not named was not assessed.",
    ]


def _graded(grades: Mapping[Any, int]) -> list[str]:
    """Return each finding with its grade, what was seen first; then all that was looked for."""
    seen = [f"{humanise(name).lower()} {grade}+" for name, grade in found(grades)]
    none = [humanise(name).lower() for name, grade in grades.items() if not grade]
    return [*seen, *([f"none of {', '.join(none)}"] if none else [])]


def _counting(summary: SlideSummary) -> list[list[str]]:
    counting = summary.counting
    if counting is None:
        return [["White cells found", f"{summary.cells} in {summary.fields} fields"]]
    return [
        ["White cells found", f"{counting.found} in {summary.fields} fields"],
        *([humanise(why), f"{cells} not counted"] for why, cells in counting.excluded.items()),
        ["Counted", f"{counting.counted}, of which {counting.unclassified} without a class"],
    ]


def _looked_at(report: SignedReport) -> list[str]:
    asked = ", ".join(
        f"{cells} {_REASONS.get(why, humanise(why).lower())}"
        for why, cells in report.cells_to_see.items()
    )
    lines = [f"The site's rules (version {report.policy_version}) asked for: {asked or 'no cell'}."]
    if report.machine:
        lines.append(_machine(report.machine))
    if report.labels:
        who = sorted({label.by_name for label in report.labels})
        lines.append(
            f"Named by a person: {amount(len(report.labels), 'cell')}, by {', '.join(who)}."
        )
    else:
        lines.append(
            "The reader named no cell."
            if report.alone
            else "The reader named no cell otherwise than the model."
        )
    if report.added:
        counts = count_by_class(cell.label for cell in report.added)
        named = ", ".join(f"{humanise(label).lower()} {cells}" for label, cells in counts.items())
        lines.append(
            f"Added by hand, where the finder missed them: {named}; counted by the reader."
        )
    return [*lines, *_two_readings(report)]


def _machine(read: MachineWhileRead) -> str:
    """Say whether the reader knew the model's answers."""
    if read.order == "by-lot":
        drawn = "was drawn" if read.hidden else "was not drawn"
        why = (
            f" By lot: this slide {drawn}, {read.hidden_share:.0%} of all are (seed: {read.seed})."
        )
    elif read.order == "after-own" and not read.hidden:
        why = f" They were shown once {amount(read.named, 'cell')} had been named."
    else:
        why = ""
    if read.hidden:
        return f"Read without knowing the model's answers; cells not named have no class.{why}"
    return f"Read with the model's answers in view.{why}"


def _two_readings(report: SignedReport) -> list[str]:
    if report.agreement is None:
        return []
    first, second = report.readings
    blind = "without knowing what the first reader said"
    if second.looked_before:
        blind += "; the audit shows that they had opened it before, with labels on it"
    kappa = ", ".join(
        f"{humanise(label).lower()} {'undefined' if value is None else f'{value:.2f}'}"
        for label, value in report.agreement.kappa.items()
    )
    differing = amount(len(report.agreement.cells_differing), "cell")
    outcome = (
        "They agree about each blast and each threshold: what the first reader said holds."
        if report.agreement.holds
        else f"Their readings differ: {report.signed_by_name} has decided."
    )
    return [
        f"First reader: {first.reader_name}, {_utc(first.finished_at)}.",
        f"Second reader: {second.reader_name}, {_utc(second.finished_at)}, {blind}.",
        f"Named differently by the two: {differing}. Cohen's kappa: {kappa}.",
        outcome,
    ]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def _utc(at: datetime) -> str:
    return at.strftime("%d %B %Y %H:%M UTC")


def _compiled(page: Mapping[str, Any], at: datetime) -> bytes:
    try:
        return _compile(page, at)
    except typst.TypstError:
        # The fonts of the wheel lack Chinese, emoji and more, and the standards allow no gaps.
        return _compile(_spelled(page), at)


def _compile(page: Mapping[str, Any], at: datetime) -> bytes:
    return typst.compile(
        _TEMPLATE,
        root=_TEMPLATE.parent,
        format="pdf",
        # Of this machine's fonts nothing may depend.
        ignore_system_fonts=True,
        sys_inputs={"report": json.dumps(page)},
        pdf_standards=["a-3a", "ua-1"],
        timestamp=int(at.timestamp()),
    )


def _spelled(value: Any) -> Any:  # noqa: ANN401  # any part of the page's JSON
    """Spell what no font has by its number in Unicode: nothing is lost in silence."""
    if isinstance(value, str):
        return _NO_GLYPH.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)
    if isinstance(value, Mapping):
        return {key: _spelled(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(part) for part in value]
    return value
