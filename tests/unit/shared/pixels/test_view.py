"""What the learned finder's network sees: one scale, a margin of glass, no lamp."""

import numpy as np
import pytest

from drawn_fields import draw_field
from hemaline_shared.pixels.leukocytes.view import CHANNELS, MARGIN_PX, view_of_field
from hemaline_shared.pixels.types import Scale

SCALE = Scale(0.15, "configured")


@pytest.mark.parametrize("shape", [(480, 640), (1, 1), (33, 700)])
def test_a_view_has_whole_steps_and_a_margin_of_glass(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)

    view, _ = view_of_field(image, SCALE)

    assert view.shape[0] == CHANNELS
    assert all(length % 16 == 0 for length in view.shape[1:])
    for edge in (
        view[:, :MARGIN_PX],
        view[:, -MARGIN_PX:],
        view[..., :MARGIN_PX],
        view[..., -MARGIN_PX:],
    ):
        assert not edge.any()


def test_the_zoom_leads_from_the_image_to_the_view():
    _, zoom = view_of_field(draw_field().image, SCALE)

    assert zoom == pytest.approx((0.5, 0.5))


def test_a_darker_and_redder_lamp_changes_little():
    image = draw_field().image
    lit = (image * np.array([0.9, 0.7, 0.75])).round().astype(np.uint8)

    plain, tinted = (view_of_field(one, SCALE)[0] for one in (image, lit))

    assert np.abs(plain - tinted).mean() < 0.02 < np.abs(plain).mean() / 3
