"""A detector is not judged by what it was trained on."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn_fields import draw_field
from hemaline_shared.errors import PermanentError
from hemaline_train.data.manifest import LabelledImage
from hemaline_train.detector.leaks import refuse_leaking_fields


@pytest.fixture
def drawn(tmp_path):
    """Return a maker of fields: of a seed, a group, a size and a brightness."""

    def draw(seed: int, group: str, size=(320, 240), light: float = 1.0) -> LabelledImage:
        pixels = draw_field(320, 240, cells=1, seed=seed).image[..., ::-1]
        path: Path = tmp_path / f"{seed}-{size[0]}-{light}.png"
        cv2.imwrite(str(path), cv2.resize((pixels * light).astype(np.uint8), size))
        return LabelledImage(path, "train", (), group=group)

    return draw


def leak(trained, judged):
    with pytest.raises(PermanentError) as refused:
        refuse_leaking_fields(trained, judged)
    assert refused.value.reason == "leak"
    return str(refused.value)


def test_a_group_on_both_sides_is_refused_by_name(drawn):
    assert "bccd/group=P1" in leak({"bccd": [drawn(0, "P1")]}, {"bccd": [drawn(1, "P1")]})


def test_groups_of_two_data_sets_may_share_a_name(drawn):
    refuse_leaking_fields({"bccd": [drawn(0, "1")]}, {"txl-pbc": [drawn(1, "1")]})


def test_images_of_which_nobody_says_the_group_share_none(drawn):
    refuse_leaking_fields({"bccd": [drawn(0, "")]}, {"bccd": [drawn(1, "")]})


def test_a_picture_kept_darker_and_larger_on_the_other_side_is_refused_by_file(drawn):
    copy = drawn(0, "P2", size=(480, 360), light=0.9)
    message = leak({"bccd": [drawn(0, "P1")]}, {"txl-pbc": [drawn(3, "P3"), copy]})
    assert "1 fields judged by look the same" in message
    assert "0-480-0.9.png and" in message


def test_without_a_judging_field_nothing_leaks(drawn):
    refuse_leaking_fields({"bccd": [drawn(0, "P1")]}, {"bccd": []})
