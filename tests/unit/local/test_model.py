"""The one-machine system runs the bundle that is named, else the one that ships."""

import pytest

from conftest import missing
from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_local import model
from hemaline_local.model import model_bundle
from hemaline_shared.errors import PermanentError
from parts.bundles import tiny_trained


@pytest.fixture
def unnamed(monkeypatch):
    monkeypatch.delenv("HEMALINE_BUNDLE", raising=False)


def test_the_bundle_that_the_environment_names_goes_first(tmp_path, monkeypatch):
    named = tiny_trained(tmp_path / "own")
    monkeypatch.setenv("HEMALINE_BUNDLE", str(named))
    assert model_bundle() == named


def test_the_bundle_that_ships_is_run_where_none_is_named(tmp_path, monkeypatch, unnamed):
    shipped = tiny_trained(tmp_path / "models" / "cells-1")
    monkeypatch.setattr(model, "shipped_bundle", lambda: shipped)
    assert model_bundle() == shipped


def test_where_none_ships_one_must_be_named(monkeypatch, unnamed):
    monkeypatch.setattr(model, "shipped_bundle", lambda: None)
    with pytest.raises(PermanentError, match="HEMALINE_BUNDLE") as refused:
        model_bundle()
    assert refused.value.reason == "no-bundle"


def test_a_directory_without_a_manifest_is_no_bundle(tmp_path):
    (tmp_path / "draft").mkdir()
    assert shipped_bundle(tmp_path) is None
    assert shipped_bundle(tmp_path / "nowhere") is None
    assert shipped_bundle(tiny_trained(tmp_path / "cells-1").parent) == tmp_path / "cells-1"


def test_what_ships_is_trained_verified_and_no_larger_than_agreed():
    """It names its data, and answers with a model card beside it."""
    shipped = shipped_bundle()
    if shipped is None:
        missing("no model bundle ships in this checkout")
    manifest = load_bundle(shipped).manifest
    assert manifest.trained
    assert manifest.cell_task is not None
    assert manifest.cell_task.blasts
    assert manifest.provenance
    assert (shipped / "README.md").read_text().startswith("# ")
    assert sum(file.stat().st_size for file in shipped.iterdir()) <= 40 * 1024 * 1024


def test_of_several_that_ship_the_highest_number_is_the_newest(tmp_path):
    for name in ("cells-2", "cells-10", "cells-9"):
        tiny_trained(tmp_path / name)
    assert shipped_bundle(tmp_path) == tmp_path / "cells-10"
