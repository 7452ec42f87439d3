"""Build the table of all systems and networks; what was measured before is not measured again."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import MANIFEST_FILE
from hemaline_shared.packing import sha256_hex
from hemaline_train.classical.bench import HOME, OTHER_LABORATORIES, Bench
from hemaline_train.classical.leaderboard_page import page
from hemaline_train.classical.network_rows import report_of_bundle
from hemaline_train.classical.report import Report, read_report
from hemaline_train.classical.system import System, run_system

PAGE, FIGURES = "leaderboard.md", "leaderboard.json"

_NOT_THERE = ("finder-weights",)
"""Why a system may be left out: its shipped network is not there."""

_log = logging.getLogger(__name__)


def build_leaderboard(
    systems: Mapping[str, System],
    bundles: Sequence[Path],
    bench: Bench,
    kept: Path,
    out: Path,
    resamples: int = 500,
) -> list[Report]:
    """Measure what is not yet measured, and write the table.

    Args:
        systems: All of them, by name.
        bundles: Folders of networks to stand beside them.
        bench: The data, the cache, the weights.
        kept: A directory; each system's report is a file in it, so a kill loses one system.
        out: A directory for `PAGE` and `FIGURES`.
        resamples: For the intervals.

    Raises:
        PermanentError: The data, the weights or a bundle cannot be read.
    """
    kept.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Callable[[], Report]] = {
        system.name: partial(run_system, system, bench, resamples) for system in systems.values()
    }
    measured |= {
        f"bundle-{bundle.name}-{_digest(bundle)}": partial(
            report_of_bundle, bundle, bench, resamples
        )
        for bundle in bundles
    }
    reports = []
    for name, measure in measured.items():
        file = kept / f"{name}.json"
        if file.exists() or _measured(name, measure, file):
            reports.append(read_report(file))
    write_leaderboard(reports, out)
    return reports


def _measured(name: str, measure: Callable[[], Report], file: Path) -> bool:
    """Write a report; False if it needs a shipped network that is not there."""
    _log.info("%s …", name)
    try:
        measure().write(file)
    except PermanentError as error:
        if error.reason not in _NOT_THERE:
            raise
        _log.warning("%s is left out: %s", name, error)
        return False
    return True


def _digest(bundle: Path) -> str:
    """Return what tells a bundle from an earlier one of its name."""
    manifest = bundle / MANIFEST_FILE
    return sha256_hex(manifest.read_bytes())[:8] if manifest.is_file() else "missing"


def write_leaderboard(reports: Sequence[Report], out: Path) -> None:
    """Write the table for people and for machines."""
    out.mkdir(parents=True, exist_ok=True)
    (out / PAGE).write_text(page(reports), encoding="utf-8")
    plain = {"tasks": HOME, "other_laboratories": OTHER_LABORATORIES}
    figures = plain | {"systems": [asdict(report) for report in reports]}
    (out / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
