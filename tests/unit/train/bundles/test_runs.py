"""Which runs make a bundle together."""

import pytest

pytest.importorskip("scipy", reason="make setup-train brings scipy")

from hemaline_shared.errors import PermanentError
from hemaline_train.bundles.runs import network_names, refuse_other, served_tasks
from hemaline_train.learning.config import RunConfig


def run(name="one", **changes):
    settings = {
        "name": name,
        "architecture": "resnet34",
        "tasks": {"apl": 0.3, "cell-class": 1.0},
        "data_sets": {"aml-deepapl": 1.0},
    }
    return RunConfig.model_validate(settings | changes)


def test_networks_are_called_by_their_architecture_and_where_that_is_not_enough_by_their_run():
    assert network_names([run("a"), run("b", architecture="densenet121")]) == [
        "resnet34",
        "densenet121",
    ]
    assert network_names([run("a"), run("b")]) == ["a", "b"]


def test_a_run_that_is_given_twice_is_refused():
    with pytest.raises(PermanentError, match="given twice"):
        network_names([run(), run()])


def test_the_question_that_names_cells_comes_first():
    assert [task.name for task in served_tasks(run(), [])] == ["cell-class", "apl"]


def test_apl_is_not_served_without_what_names_immature_cells():
    with pytest.raises(PermanentError, match="serve both"):
        served_tasks(run(), ["apl"])


def test_a_question_that_was_not_taught_is_refused_by_name():
    with pytest.raises(PermanentError, match="all-subtype"):
        served_tasks(run(), ["all-subtype"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": {"cell-class": 1.0}}, "does not answer apl"),
        ({"fold": 2}, "judged by other samples"),
        ({"own_um_per_px": 0.2}, "own_um_per_px"),
    ],
)
def test_a_run_that_does_not_fit_the_first_is_refused(changes, said):
    first = run()
    with pytest.raises(PermanentError, match=said) as refused:
        refuse_other(first, run("two", **changes), served_tasks(first, []))
    assert refused.value.reason == "other-run"


def test_a_run_of_another_architecture_on_the_same_samples_fits():
    first = run()
    refuse_other(first, run("two", architecture="densenet121"), served_tasks(first, []))
