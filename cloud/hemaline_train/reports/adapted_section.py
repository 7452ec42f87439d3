"""What a card says of a bundle whose heads a laboratory's own cells taught."""

from collections.abc import Iterator, Mapping
from typing import Any

from hemaline_train.judging.markdown import table
from hemaline_train.judging.metrics import Interval


def adapted_section(adapted: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the section, from `adapted` of a manifest's provenance."""
    verdict = adapted["verdict"]
    counts = ", ".join(f"{n} of {label}" for label, n in adapted["cells"].items())
    yield "## Adapted to a laboratory"
    yield ""
    yield (
        f"The networks are those of {adapted['from']} (manifest "
        f"{adapted['from_manifest_sha256'][:12]}), as the runs below trained them. Their heads "
        f"learned anew from cells of {adapted['data_set']} (manifest "
        f"{adapted['manifest_sha256'][:12]}): {counts}, of {adapted['groups']} patients (slides or "
        f"clusters){_beside(adapted)}. How well they answer, temperatures, operating points and "
        "confusion are by patients who were kept back, each once."
    )
    yield ""
    yield from table(
        ["cells of each class", "balanced accuracy there"],
        (
            [_about(point["count"]), str(Interval(**point["accuracy"]))]
            for point in adapted["learning_curve"]
        ),
    )
    yield ""
    yield f"Gained, patient by patient: {Interval(**verdict['gain'])}."
    if verdict["kept"]:
        yield ""
        yield "Of classes that the laboratory did not label, judged on others' cells:"
        yield ""
        yield from table(
            ["class", "cells", "found as it shipped", "found adapted"],
            (
                [label, str(one["cells"]), f"{one['before']:.2f}", f"{one['after']:.2f}"]
                for label, one in verdict["kept"].items()
            ),
        )
    if verdict["unguarded"]:
        yield ""
        yield (
            f"**Not judged: {', '.join(verdict['unguarded'])}.** Nobody gave a cell of these, so "
            "nothing says whether they are still found as before."
        )


def _beside(adapted: Mapping[str, Any]) -> str:
    names = ", ".join(adapted["beside"])
    return f", and from cells of classes that it lacks out of {names}" if names else ""


def _about(count: int | None) -> str:
    return "all" if count is None else "0, as it shipped" if not count else str(count)
