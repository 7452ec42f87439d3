"""The network's shapes, and what its answers cost."""

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")

from hemaline_train.detector.losses import box_loss, heat_loss, whole_loss
from hemaline_train.detector.network import Detector, ServedDetector


@pytest.mark.parametrize("size", [(64, 64), (32, 80)])
def test_a_view_of_any_whole_steps_is_answered(size):
    heat, extents = Detector(8).eval()(torch.zeros(2, 4, *size))

    assert heat.shape == (2, 3, size[0] // 4, size[1] // 4)
    assert extents.shape == (2, 4, size[0] // 4, size[1] // 4)
    assert (extents > 0).all()


def test_an_untrained_network_sees_no_cell():
    answer = ServedDetector(Detector(8)).eval()(torch.randn(1, 4, 32, 32))

    assert answer.shape == (1, 5, 8, 8)
    assert answer[:, 0].max() < 0.3


def maps(*values: float) -> "torch.Tensor":
    return torch.tensor(values).reshape(1, 1, 1, -1)


def test_heat_at_a_centre_is_right_and_elsewhere_wrong():
    wanted, known = maps(1.0, 0.0), torch.ones(1, 1, 2)
    right = heat_loss(maps(5.0, -5.0), wanted, known)
    wrong = heat_loss(maps(-5.0, 5.0), wanted, known)

    assert right < 0.01 < wrong


def test_what_nobody_knows_costs_nothing():
    assert heat_loss(maps(5.0), maps(0.0), torch.zeros(1, 1, 1)) == 0


def test_heat_beside_a_centre_costs_less_than_far_away():
    beside, away = (heat_loss(maps(2.0), maps(heat), torch.ones(1, 1, 1)) for heat in (0.8, 0.0))

    assert beside < away


def boxes(*sides: float) -> "torch.Tensor":
    return torch.tensor(sides).reshape(1, 4, 1, 1)


def test_the_right_box_costs_nothing_and_a_smaller_one_something():
    near = torch.ones(1, 1, 1)

    assert box_loss(boxes(3, 3, 3, 3), boxes(3, 3, 3, 3), near) == pytest.approx(0, abs=1e-6)
    assert box_loss(boxes(2, 2, 2, 2), boxes(3, 3, 3, 3), near) > 0.5


def test_places_far_from_centres_answer_for_no_box():
    assert box_loss(boxes(2, 2, 2, 2), boxes(9, 9, 9, 9), torch.zeros(1, 1, 1)) == 0


def test_other_cells_count_as_much_as_asked():
    heat, box = torch.tensor([1.0, 2.0, 4.0]), torch.tensor(3.0)

    assert whole_loss(heat, box, box_weight=2.0, others_weight=0.5) == 1 + 3 + 6
