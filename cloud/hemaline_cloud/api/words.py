"""Reasons, classes, times and sizes in plain words, for the pages and the explanations."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hemaline_cloud.api.command_models import CommandView
from hemaline_cloud.database.summary import ThresholdVerdict
from hemaline_cloud.patterns.result import CountPatterns, Reason
from hemaline_shared.frame_reasons import explain_frame

_EXPLANATIONS = {
    # Stored fields that a worker could not use.
    "object-changed": "The stored images are not what was received. Restore them from a backup.",
    "inference-failed": "The model fails on this field alone, time after time. Report it.",
    "no-finite-logits": "The model gives no number for this field, time after time. Report it.",
    "too-many-attempts": "The worker ended each time that it judged this field. Report it.",
    "object-missing": "The stored images are gone from the image store. Restore them.",
    # Cells that are shown and not counted.
    "cut-by-border": "The field's border cuts the cell: the next field would count it again.",
    "seen-before": "The same cell lies in another field of this slide, where it counts.",
}
_DEVICE_REASONS = {
    "captures": "It captures, and tells so.",
    "nothing-captured": "It is well, and nothing was captured for a quarter of an hour or more.",
    "capture-fails": "Its camera or watched folder fails, or hangs: its log says how.",
    "useless-pictures": "Its pictures are of no use: the same one again and again, or damaged ones."
    " Restart the camera.",
    "spool-full": "Its spool or disk is full: nothing is captured until there is room.",
    "no-receipts": "Its messages leave it, and no receipt reaches it: look at the broker.",
    "no-telemetry": "Nobody said that it ended, and it tells nothing any more: look at the agent,"
    " the network and the broker.",
    "ended-by-itself": "Somebody stopped the agent in good order.",
    "connection-broke": "Its connection broke off without a word: power, network, or the agent.",
    "never-connected": "It was set up, and has not called yet.",
}
"""Why a device's word is what it is."""
_ATTENTION = {
    "unused": ("Nothing captured today", "Connected, and captured nothing for 24 hours."),
    "behind": ("Behind", "Something has waited in its spool for ten minutes or more."),
    "drifting": ("Drifting", "Focus or stain differ from what this device's own used to be."),
    "filling-up": ("Filling up", "Its spool is four fifths full, or its disk has under 2 GB free."),
    "clock-off": ("Clock off", "Its clock is wrong by a minute or more: set it, best by NTP."),
    "twice": (
        "There twice",
        "Two agents have its name and key, and cut each other off. Its page names both addresses.",
    ),
    "hot": ("Hot", "Its computer is at 85 °C or more: it will slow down or stop."),
}
"""Why a device wants a look, in two or three words, and in a sentence."""
_CHECKS = {
    "clock": "its clock cannot be right",
    "spool": "its spool or disk is full",
    "capture": "capturing fails or hangs",
    "pictures": "the same picture comes again and again, or damaged ones",
    "source": "something at its folder is to be seen to",
    "publisher": "what it captured does not leave it",
    "broker": "it cannot reach the broker",
}
"""The agent's readiness checks."""
VERB_WORDS = (
    ("flush", "send at once what waits"),
    ("collect-logs", "send the last lines of its log"),
    ("restart", "start its agent anew"),
    ("start-slide", "start a slide"),
    ("name-slide", "give the started slide another name"),
    ("end-slide", "end the started slide"),
    ("discard-kept", "delete the images of quarantined frames"),
    ("decommission", "be emptied and go out of use"),
)
"""What an operator can ask of a device."""
REQUEST_REASONS = (
    ("few-cells", "too few white cells"),
    ("out-of-focus", "pictures are out of focus"),
    ("thick-smear", "the smear is too thick there"),
    ("poor-stain", "the stain is poor"),
    ("edge-of-smear", "these places lie at the edge of the smear"),
)
_COMMAND_STATES = {
    "awaiting-approval": "Waits for another operator",
    "open": "Waits for the device",
    "received": "Under way",
    "seen": "Seen at the microscope",
}
_CHANGES = {
    "connected": "Connected",
    "stopped": "Stopped in good order",
    "lost": "Connection lost",
    "new-spool": "Another spool: it was emptied or replaced",
}
_NAMES = {
    "cut-by-border": "Cut by the border",
    "seen-before": "Seen before",
    "howell-jolly-bodies": "Howell-Jolly bodies",
    "early-pre-b": "Early pre-B",
    "pre-b": "Pre-B",
    "pro-b": "Pro-B",
    "AML-nonAPL": "Other AML",
    "resnet34": "ResNet-34",
    "efficientnet-lite0": "EfficientNet-Lite0",
    "efficientnet-lite2": "EfficientNet-Lite2",
    "densenet121": "DenseNet-121",
    "average": "Together",
    "cell-class": "Class",
    "cell-fine": "Finer class",
    "apl": "If AML",
    "all-subtype": "If B-ALL",
}
"""Names that are no plain words: networks, tasks, and labels as the field spells them."""

_CHIPS = {
    "apl-suspected": "APL?",
    "blasts-over-who-threshold": "Blasts ≥ 20 %",
    "blasts-near-who-threshold": "Blasts perhaps ≥ 20 %",
    "blasts-over-icc-threshold": "Blasts ≥ 10 %",
    "blasts-near-icc-threshold": "Blasts perhaps ≥ 10 %",
    "blasts-provisional": "Blasts, provisional",
    "blasts-present": "Blasts",
    "few-cells": "Few cells",
    "many-rejected": "Many rejected",
    "many-unclassified": "Many unclassified",
    "errors-unknown": "Model not judged",
    "urgency-kept": "Was more urgent",
    "changed-since-signing": "Changed since signing",
    "fields-quarantined": "Quarantined",
    "untrained-model": "Untrained",
    "machine-hidden": "Model hidden",
}
"""A flag in a list, where its sentence has no room."""

_SHORT = {
    "promyelocyte": "Promyelo",
    "metamyelocyte": "Metamyelo",
    "immature-granulocyte": "Immature gr.",
    "neutrophil-band": "Band",
    "neutrophil-segmented": "Segmented",
    "lymphocyte-variant": "Variant ly.",
}
"""Classes in a caption, where a question mark and a number follow."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


_WHY_TWO = {
    "blasts": "blasts are counted",
    "undecided": "the count leaves a threshold open",
    "flag": "the result bears a flag",
}


def explain(reason: str) -> str:
    """Return a reason in plain words with what to do; an unknown one as it is spelt."""
    return explain_frame(reason) or _EXPLANATIONS.get(reason) or f"{humanise(reason)}."


def device_reason(reason: str) -> str:
    """Say why a device is in the state that it is in."""
    return _DEVICE_REASONS[reason]


def attention(name: str) -> tuple[str, str]:
    """Return why a device wants a look, in two or three words, and in a sentence."""
    return _ATTENTION[name]


def device_check(name: str) -> str:
    """Say what a device's readiness check found; an unknown one as it is spelt."""
    return _CHECKS.get(name) or humanise(name)


def device_change(kind: str, detail: str) -> str:
    """Say what changed of a device."""
    if kind == "new-version":
        return f"Software {detail}"
    if kind == "heard-again":
        return f"Heard again after {duration(int(detail))} of silence"
    if kind == "another-agent":
        return f"Another agent under its name: {detail}"
    if kind in {"problem-began", "problem-ended"}:
        check = device_check(detail)
        return f"Problem: {check}" if kind == "problem-began" else f"Over: {check}"
    return _CHANGES[kind]


def command_state(command: CommandView) -> str:
    """Say how a command stands; of a request, `received` is that nobody there has seen it."""
    if command.slide_id and command.state == "received":
        return "Shown at the microscope"
    if command.state == "open" and command.sent_at:
        return "Sent, no answer yet"
    return _COMMAND_STATES.get(command.state) or humanise(command.state)


def humanise(word: str) -> str:
    """Return a kebab-case word as people write it: `Immature granulocyte`, `Pre-B`."""
    if word in _NAMES:
        return _NAMES[word]
    spaced = word.replace("-", " ").replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def short_class(label: str) -> str:
    """Return a class as a caption under a small picture has room for it."""
    return _SHORT.get(label) or humanise(label)


def chip(code: str, found: Mapping[str, Any] | None = None) -> str:
    """Return a flag in two or three words, with the number that it is about.

    Args:
        code: Of the flag.
        found: A slide's summary as it is stored, without what is hidden from whoever asks.
    """
    parts = found or {}
    blasts, apl, counting = (parts.get(name) for name in ("blasts", "apl", "counting"))
    if code.startswith("blasts-") and blasts:
        said = f"Blasts {blasts['fraction']:.0%} ({blasts['low']:.0%} to {blasts['high']:.0%})"
        return f"{said}, provisional" if blasts.get("provisional") else said
    if code == "apl-suspected" and apl:
        return f"APL? {apl['probability']:.0%}"
    if code == "many-unclassified" and counting:
        return f"{counting['unclassified']} unclassified"
    return _CHIPS.get(code) or humanise(code)


def ago(moment: datetime) -> str:
    """Return how long ago a moment was, in one unit."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < _MINUTE:
        return "just now"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"


def clock_off(ahead_s: float | None) -> str | None:
    """Say by how much a device's clock is wrong; None where it is right to a minute."""
    if ahead_s is None or abs(ahead_s) < _MINUTE:
        return None
    side = "ahead" if ahead_s > 0 else "behind"
    units = ((365 * _DAY, "year"), (_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"))
    size, noun = next(unit for unit in units if abs(ahead_s) >= unit[0])
    return f"its clock is {amount(int(abs(ahead_s) // size), noun)} {side}"


def amount(number: int, noun: str) -> str:
    """Return a number with its noun: `1 cell`, `1,204 cells`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def at_most(number: int, bound: int) -> str:
    """Return a number that was not counted beyond a bound: `37`, `1,000+`."""
    return f"{bound:,}+" if number >= bound else f"{number:,}"


def percent(fraction: float) -> str:
    """Return a share of one to a tenth of a percent below ten, else to a whole one."""
    return f"{fraction:.1%}" if 0 < fraction < 0.1 else f"{fraction:.0%}"


def share(fraction: float) -> str:
    """Return a share that is held against a threshold: 19.5% must not read as 20%."""
    return f"{fraction:.1%}"


def unit(ucum: str) -> str:
    """Return a unit of a blood count as people write it."""
    return {"10*9/L": "10⁹/L", "10*3/uL": "10³/µL", "/uL": "/µL"}.get(ucum, ucum)


def second_reader_words(reason: str) -> str:
    """Return why a second person must read a slide."""
    return _WHY_TWO[reason]


def verdict_words(threshold: ThresholdVerdict) -> str:
    """Say on which side of a threshold the blasts are."""
    return f"{side_of(threshold)} {threshold.name}'s {threshold.fraction:.0%}"


def measured(reason: Reason) -> str:
    """Return the interval that a threshold was held against; empty where nothing was counted."""
    if reason.low is None or reason.high is None:
        return ""
    if reason.unit == "share":
        return f"{share(reason.low)} to {share(reason.high)}"
    ends = dict.fromkeys(f"{end:.3g}" for end in (reason.low, reason.high))
    return f"{' to '.join(ends)}{'·' if reason.unit == '10*9/L' else ' '}{unit(reason.unit)}"


def why_provisional(found: CountPatterns) -> str:
    """Say what is wanted before the patterns of a count are more than provisional."""
    named = found.named_by_people
    if named is None or named >= found.cells:
        return f"only {amount(found.cells, 'cell')}"
    return f"people have named {named} of {found.cells} cells, the others are the model's"


def pattern_lines(found: CountPatterns) -> list[str]:
    """Return a line for each pattern that a count fits or may fit, with what speaks for it."""
    lines = [
        f"{humanise(one.verdict)}: {one.name}{_because(one.speaks_for)}." for one in found.fitting
    ]
    if found.provisional:
        lines.append(f"Provisional: {why_provisional(found)}.")
    return lines or ["It fits none of the patterns."]


def _because(reasons: Sequence[Reason]) -> str:
    said = [
        f"{reason.name} {measured(reason)} ({reason.wanted}; {reason.source})"
        if reason.wanted
        else reason.name
        for reason in reasons
    ]
    return f" ({'; '.join(said)})" if said else ""


def side_of(threshold: ThresholdVerdict) -> str:
    """Return the side alone."""
    return {"above": "Over", "undecided": "Perhaps over", "below": "Below"}[threshold.verdict]


def in_bytes(number: int) -> str:
    """Return a size in the unit that people would say."""
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def duration(seconds: int) -> str:
    """Return a time to wait: `40 seconds`, `5 minutes`."""
    if seconds < 60:
        return amount(seconds, "second")
    return amount(-(-seconds // 60), "minute")


def initials(full_name: str) -> str:
    """Return up to two letters that stand for somebody where there is little room."""
    parts = full_name.split()
    return "".join(part[0] for part in (parts[:1] + parts[1:][-1:])).upper()
