"""Measure everything that a bundle's card says; write the card, its pictures and figures."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hemaline_shared.errors import PermanentError
from hemaline_shared.model_manifest import MANIFEST_FILE, Manifest
from hemaline_train.bundles.bundle import Bundle, read_bundle
from hemaline_train.data.manifest import MANIFEST_NAME
from hemaline_train.judging.cross_laboratory import Laboratory, data_sets_of
from hemaline_train.reports.card import CardFacts, render_card
from hemaline_train.reports.evaluate import ALL, Answered, answer
from hemaline_train.reports.evaluation_files import draw, write_json

BUNDLE_CARD = "README.md"
"""The card's name within a bundle."""

_UNSEEN = "val"


@dataclass(frozen=True, slots=True)
class CardRequest:
    """What to measure, and what only people know.

    Attributes:
        data: Holds one folder a data set.
        machine: On which the networks were trained, and how long.
        remarks: What the card must say of missed figures and what was tried.
    """

    bundle: Path
    data: Path
    cache: Path
    machine: str = ""
    remarks: Sequence[str] = ()
    resamples: int = 1000


def make_card(request: CardRequest, folder: Path) -> Path:
    """Write `<bundle id>.md` and a folder of that name with pictures and figures.

    The bundle gets the card as well, without the pictures.

    Sets that training used are judged on their unseen part, all others as a whole.

    Raises:
        PermanentError: The bundle or the data cannot be read, or `no-samples`: the directory has no
            data set that the bundle could be judged on.
    """
    bundle = read_bundle(request.bundle)
    own, others = _answers(bundle, request)
    if not own and not others:
        raise PermanentError(
            "no-samples", f"{request.data} holds no data set of the bundle's tasks."
        )
    evaluations = [one.evaluation(request.resamples) for one in own]
    beside = folder / bundle.bundle_id
    write_json(evaluations, beside / "evaluations.json")
    pictures = {
        caption: f"{bundle.bundle_id}/{file}"
        for one in own
        for caption, file in draw(one, beside).items()
    }
    laboratories = _laboratories([*own, *others], request.resamples)
    rows = {task: [row.as_json() for row in rows] for task, rows in laboratories.items()}
    (beside / "laboratories.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    manifest = Manifest.model_validate_json((request.bundle / MANIFEST_FILE).read_text("utf-8"))
    facts = CardFacts(
        evaluations,
        laboratories,
        pictures,
        request.machine,
        request.remarks,
        _commands(bundle, own, request),
    )
    card = folder / f"{bundle.bundle_id}.md"
    card.write_text(render_card(manifest, facts), encoding="utf-8")
    beside_graphs = render_card(manifest, replace(facts, pictures={}))
    (request.bundle / BUNDLE_CARD).write_text(beside_graphs, encoding="utf-8")
    return card


def _answers(bundle: Bundle, request: CardRequest) -> tuple[list[Answered], list[Answered]]:
    """Return the answers on unseen parts of sets that training used, and on all other sets."""
    trained_on = dict.fromkeys(name for config in bundle.configs for name in config["data_sets"])
    names = dict.fromkeys(
        name for task in bundle.tasks for name in data_sets_of(task.name, request.data)
    )
    names |= {name: None for name in trained_on if (request.data / name / MANIFEST_NAME).is_file()}
    own: list[Answered] = []
    others: list[Answered] = []
    for name in names:
        split = _UNSEEN if name in trained_on else ALL
        try:
            given = answer(bundle, request.data / name, split, request.cache)
        except PermanentError as error:
            if error.reason != "no-samples":
                raise
            continue  # trained on as a whole: nothing of it can judge
        (own if name in trained_on else others).extend(given)
    return own, others


def _laboratories(answered: Sequence[Answered], resamples: int) -> dict[str, list[Laboratory]]:
    """Return task -> a row for each data set, for tasks that several sets answer."""
    tasks = [one.task.name for one in answered]
    return {
        task: [one.laboratory(resamples) for one in answered if one.task.name == task]
        for task in dict.fromkeys(tasks)
        if tasks.count(task) > 1
    }


def _commands(bundle: Bundle, own: Sequence[Answered], request: CardRequest) -> list[str]:
    runs = bundle.configs
    configs = [str(run["name"]) for run in runs]
    earlier = [str(name) for run in runs for name in run.get("teachers", ())]
    earlier += [str(run["starts_from"]) for run in runs if run.get("starts_from")]
    sets = dict.fromkeys(one.samples[0].data_set.name for one in own)
    model = f"models/{bundle.bundle_id}"
    return [
        *(
            f"hemaline-train train cloud/hemaline_train/configs/{name}.toml"
            for name in dict.fromkeys([*earlier, *configs])
        ),
        f"hemaline-train export {model} "
        + " ".join(f"build/runs/{name}/checkpoint.pt" for name in configs)
        + "".join(f" --views {views}" for views in _views(bundle)),
        *(f"hemaline-train evaluate {model} $HEMALINE_DATA/{name} --split val" for name in sets),
        shlex.join(["hemaline-train", "card", model, *_told(request)]),
    ]


def _views(bundle: Bundle) -> set[int]:
    """Return how often the graphs look at each crop, where that was recorded."""
    return {int(run["views"]) for run in bundle.provenance.get("runs", ()) if "views" in run}


def _told(request: CardRequest) -> list[str]:
    """Return the options without which a new card would not say what people told this one."""
    machine = ["--machine", request.machine] if request.machine else []
    return [*machine, *(part for remark in request.remarks for part in ("--remark", remark))]
