"""Training scenes: whole, repeatable, with boxes where the cells are."""

import numpy as np
import pytest

from hemaline_shared.pixels.leukocytes.view import CHANNELS
from hemaline_train.detector.config import DetectorConfig
from hemaline_train.detector.fields import RED, WHITE, LearnedField
from hemaline_train.detector.scenes import DOUBTFUL, SceneMaker


def config(**changes) -> DetectorConfig:
    return DetectorConfig(name="tiny", data_sets={"drawn": 1.0}, scene_px=96, **changes)


PLAIN = {"zoom": 0, "stain": 0, "light": 0, "blur": 0, "noise": 0, "paste": 0, "mosaic": 0}


def field(dark: float = 1.5) -> LearnedField:
    """A field with one white cell, much darker than its red one."""
    density = np.zeros((120, 140, 3), np.float32)
    density[40:80, 50:90, :2] = dark
    density[90:110, 100:130] = 0.4
    boxes = np.array([[50, 40, 90, 80], [100, 90, 130, 110]], np.float32)
    return LearnedField(density, boxes, np.array([WHITE, RED]))


def scenes(count: int, **changes):
    maker = SceneMaker({"drawn": [field()]}, config(**changes))
    dice = np.random.default_rng(1)
    return [maker.scene(dice) for _ in range(count)]


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_a_scene_has_its_shape_and_boxes_inside_it(mosaic):
    for scene in scenes(20, mosaic=mosaic):
        assert scene.pixels.shape == (96, 96, CHANNELS)
        assert len(scene.boxes) == len(scene.kinds)
        assert ((scene.boxes >= 0) & (scene.boxes <= 96)).all()


def test_a_box_stays_on_its_cell_however_the_field_is_turned():
    seen = 0
    for scene in scenes(30, **PLAIN):
        for box in scene.boxes[scene.kinds == WHITE]:
            left, top, right, bottom = box.round().astype(int)
            inside = scene.pixels[top:bottom, left:right, 0]
            assert inside.mean() > 1.2
            seen += 1
    assert seen > 15


def test_nothing_dark_lies_outside_the_boxes_of_a_mosaic_with_pasted_cells():
    still = {**PLAIN, "mosaic": 1.0, "paste": 1.0}
    for scene in scenes(20, **still):
        dark = scene.pixels[..., 0] > 1.0
        for left, top, right, bottom in scene.boxes.round().astype(int):
            dark[max(top - 2, 0) : bottom + 2, max(left - 2, 0) : right + 2] = False
        assert dark.mean() < 0.005  # what is left of a cell that the border cuts off


def test_pasted_cells_add_white_cells():
    without, with_pasted = (
        sum(int((scene.kinds == WHITE).sum()) for scene in scenes(20, **{**PLAIN, "paste": paste}))
        for paste in (0.0, 1.0)
    )
    assert with_pasted > 1.5 * without


def test_a_sliver_is_doubtful():
    kinds = np.concatenate([scene.kinds for scene in scenes(30, **{**PLAIN, "mosaic": 1.0})])

    assert (kinds == DOUBTFUL).any()


def test_the_same_dice_draw_the_same_scenes():
    for one, other in zip(scenes(5), scenes(5), strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.boxes, other.boxes)


def test_a_field_without_a_white_cell_can_be_drawn():
    bare = LearnedField(
        np.zeros((50, 50, 3), np.float32), np.zeros((0, 4), np.float32), np.array([], np.intp)
    )
    maker = SceneMaker({"drawn": [bare]}, config(paste=1.0))

    assert len(maker.scene(np.random.default_rng(0)).boxes) == 0
