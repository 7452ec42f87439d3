"""What a run learned from, by content: teachers, first weights, manifests, verdicts on labels."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.data.reviewed import FILE as REVIEW_FILE
from hemaline_train.learning.checkpoint import FILE, trained_run
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.run import Places

logger = logging.getLogger(__name__)


def origin_of(config: RunConfig, places: Places) -> dict[str, Any]:
    """Return, for a bundle's provenance, the hash of all that decides a run beside its settings.

    Returns:
        `teachers` and `starts_from`: run -> `epochs` and `sha256` of its checkpoint;
        `initial_weights`, `manifests` and `label_reviews`: file -> sha256.
    """
    names = {"teachers": config.teachers, "starts_from": filter(None, [config.starts_from])}
    runs = {
        kind: {name: _run(places.runs / name / FILE) for name in chosen}
        for kind, chosen in names.items()
    }
    weights = [places.weights / config.initial_weights] if places.weights else []
    own = [places.data / name / REVIEW_FILE.name for name in config.data_sets]
    return {
        **runs,
        "initial_weights": _hashes(weights, places.weights),
        "manifests": _hashes(
            [places.data / name / MANIFEST_NAME for name in config.data_sets], places.data
        ),
        "label_reviews": {
            **_hashes([REVIEW_FILE], REVIEW_FILE.parent),
            **_hashes(own, places.data),
        }
        if config.reviewed
        else {},
    }


def gone_on(before: Mapping[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the origin of a run that goes on: what it learns from now, and `earlier` what before.

    Args:
        before: As it was kept; empty for a run that begins.
        now: As `origin_of` finds it.
    """
    kept = {name: value for name, value in before.items() if name != "earlier"}
    if not kept:
        return now
    if kept == now:
        return dict(before)
    logger.warning("what this run learns from has changed since it was kept")
    return {**now, "earlier": [*before.get("earlier", ()), kept]}


def sha256_of(file: Path) -> str:
    """Return a file's hash in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _run(checkpoint: Path) -> dict[str, Any]:
    return {"epochs": trained_run(checkpoint).epoch, "sha256": sha256_of(checkpoint)}


def _hashes(files: list[Path], home: Path | None) -> dict[str, str]:
    return {
        (file.relative_to(home) if home else file).as_posix(): sha256_of(file)
        for file in files
        if file.is_file()
    }
