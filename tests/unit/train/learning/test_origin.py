"""What a run learned from, when it goes on with other data than before."""

import pytest

pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.origin import gone_on, origin_of
from hemaline_train.learning.run import Places

FIRST, SECOND = ({"manifests": {"ours/manifest.tsv": digest}} for digest in ("a", "b"))


def test_a_run_that_begins_has_no_earlier_origin():
    assert gone_on({}, FIRST) == FIRST


def test_a_run_that_goes_on_unchanged_keeps_its_origin():
    before = {**FIRST, "earlier": [SECOND]}
    assert gone_on(before, FIRST) == before


def test_what_was_learned_from_before_is_kept_when_it_changes(caplog):
    once = gone_on(FIRST, SECOND)
    assert once == {**SECOND, "earlier": [FIRST]}
    assert gone_on(once, FIRST) == {**FIRST, "earlier": [FIRST, SECOND]}
    assert "has changed since it was kept" in caplog.text


def config(**changes):
    settings = {
        "name": "now",
        "architecture": "efficientnet-lite0",
        "tasks": {"cell-class": 1.0},
        "data_sets": {"ours": 1.0},
        "initial_weights": "weights.pth",
    }
    return RunConfig.model_validate(settings | changes)


@pytest.fixture
def places(tmp_path):
    (tmp_path / "ours").mkdir()
    for name in ("ours/manifest.tsv", "ours/label_review.tsv", "weights.pth"):
        (tmp_path / name).write_text(name)
    return Places(tmp_path, tmp_path, tmp_path, tmp_path)


def test_manifests_verdicts_and_first_weights_are_known_by_their_hashes(places):
    found = origin_of(config(), places)
    assert set(found["manifests"]) == {"ours/manifest.tsv"}
    assert set(found["label_reviews"]) == {"label_review.tsv", "ours/label_review.tsv"}
    assert set(found["initial_weights"]) == {"weights.pth"}
    (places.data / "ours" / "manifest.tsv").write_text("otherwise")
    assert origin_of(config(), places)["manifests"] != found["manifests"]


def test_a_run_that_takes_labels_as_they_come_learned_from_no_verdict(places):
    assert origin_of(config(reviewed=False), places)["label_reviews"] == {}
