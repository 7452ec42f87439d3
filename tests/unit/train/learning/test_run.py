"""Which earlier runs a run may learn from."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")
pytest.importorskip("monai", reason="make setup-train brings monai")
pytest.importorskip("sklearn", reason="make setup-train brings sklearn")

from hemaline_shared.errors import PermanentError
from hemaline_train.judging.ranks import Rank
from hemaline_train.learning.checkpoint import new_network, save_checkpoint
from hemaline_train.learning.config import RunConfig
from hemaline_train.learning.run import Places, start_run

pytestmark = pytest.mark.xdist_group("torch")

OWN = {"tasks": {"ours": 1.0}, "own_task": "ours", "own_labels": ("yes", "no")}
EARLIER = [{"teachers": ("before",)}, {"starts_from": "before"}]


def config(**changes):
    settings = {
        "name": "now",
        "architecture": "resnet34",
        "tasks": {"apl": 1.0},
        "data_sets": {"aml-deepapl": 1.0},
        "input_px": 32,
        "epochs": 12,
    }
    return RunConfig.model_validate(settings | changes)


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path, tmp_path, tmp_path)


def trained_before(places, epoch=12, **changes):
    before = config(name="before", **changes)
    state = {"config": before.model_dump_json(), "epoch": epoch}
    (places.runs / "before").mkdir()
    save_checkpoint(places.runs / "before", state | {"average": new_network(before).state_dict()})


def no_crops():
    raise AssertionError("nothing comes out of a bundle here")


def refused(config, places):
    with pytest.raises(PermanentError) as error:
        start_run(config, places, Rank(0, 1, torch.device("cpu")), no_crops)
    assert error.value.reason in {"teacher", "starts-from"}
    return str(error.value)


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_run_that_is_not_finished_does_not_teach(places, earlier):
    trained_before(places, epoch=7)
    message = refused(config(**earlier), places)
    assert "before is at epoch 7 of 12: finish it" in message


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_finished_run_teaches(places, earlier):
    trained_before(places)
    assert (
        start_run(config(**earlier), places, Rank(0, 1, torch.device("cpu")), no_crops).epoch == 0
    )


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_run_whose_labels_stand_in_another_order_does_not_teach(places, earlier):
    trained_before(places, **OWN | {"own_labels": ("no", "yes")})
    message = refused(config(**OWN, **earlier), places)
    assert "before answers ours (no, yes); now answers ours (yes, no)" in message
