"""The page about model bundles shows a manifest that is one."""

import re
from pathlib import Path

from hemaline_shared.model_manifest import Manifest, NetworkEntry, TaskEntry
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION

_PAGE = Path(__file__).parents[4] / "docs" / "model-bundle.md"


def test_the_shown_manifest_is_valid_and_shows_every_field():
    (shown,) = re.findall(r"```json\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    manifest = Manifest.model_validate_json(shown)
    assert manifest.model_fields_set == set(Manifest.model_fields)
    assert manifest.networks[0].model_fields_set == set(NetworkEntry.model_fields)
    of_tasks = [task.model_fields_set for task in manifest.tasks]
    assert set().union(*of_tasks) == set(TaskEntry.model_fields)
    assert manifest.pixel_pipeline == PIXEL_PIPELINE_VERSION
