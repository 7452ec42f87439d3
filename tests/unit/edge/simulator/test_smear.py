"""Simulated fields are repeatable, rightly labelled, visibly marked and fit for the pipeline."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from hemaline_edge.simulator import (
    LEUKAEMIC,
    NORMAL,
    SPARSE,
    CellMix,
    SmearSettings,
    SmearSimulator,
)
from hemaline_edge.simulator.settings import CELL_KINDS
from hemaline_shared.pixels.leukocytes import ClassicalFinder
from hemaline_shared.pixels.scale import estimate_scale
from hemaline_shared.pixels.types import Box, Scale

SMALL = {"width": 768, "height": 576}  # a third of the time of a full field
FLAWLESS = {**SMALL, "blurred": 0.0, "over_exposed": 0.0, "empty": 0.0}
EVERY_KIND = CellMix("every kind", 700, tuple((kind, 1.0) for kind in CELL_KINDS))


def simulator(**settings) -> SmearSimulator:
    return SmearSimulator(SmearSettings(**{**FLAWLESS, **settings}))


def sharpness(image) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def inside(box: Box, x: float, y: float) -> bool:
    return box.left <= x < box.right and box.top <= y < box.bottom


def is_whole(box: Box, image) -> bool:
    height, width = image.shape[:2]
    return box.left > 0 and box.top > 0 and box.right < width and box.bottom < height


@pytest.fixture(scope="module")
def varied_fields():
    """Sharp fields of several slides in which every kind is as frequent as any other."""
    microscope = simulator(seed=11, mixes=(EVERY_KIND,))
    return [microscope.field(slide, number) for slide in range(4) for number in range(4)]


def test_the_same_numbers_give_the_same_field_in_any_order():
    forwards, backwards = simulator(seed=5), simulator(seed=5)
    first = {place: forwards.field(*place) for place in [(0, 0), (0, 1), (1, 0)]}
    for place in [(1, 0), (0, 1), (0, 0)]:
        again = backwards.field(*place)
        assert np.array_equal(again.image, first[place].image)
        assert again.cells == first[place].cells


def test_seeds_slides_and_fields_all_differ():
    one, other = simulator(seed=5), simulator(seed=6)
    images = [one.field(0, 0).image, one.field(0, 1).image, one.field(3, 0).image]
    images.append(other.field(0, 0).image)
    for number, image in enumerate(images):
        assert not any(np.array_equal(image, later) for later in images[number + 1 :])


def test_a_field_has_the_size_that_was_asked_for():
    image = simulator(width=700, height=500).field(0, 0).image
    assert image.shape == (500, 700, 3)
    assert image.dtype == np.uint8


def test_every_kind_is_drawn(varied_fields):
    drawn = {cell.kind for field in varied_fields for cell in field.cells}
    assert drawn == set(CELL_KINDS)


def test_labels_lie_inside_the_field_and_on_stained_cells(varied_fields):
    for field in varied_fields:
        green = field.image[:, :, 1].astype(int)
        glass = np.percentile(green, 90)
        height, width = green.shape
        for cell in field.cells:
            box = cell.box
            assert 0 <= box.left < box.right <= width
            assert 0 <= box.top < box.bottom <= height
            if is_whole(box, field.image):
                # Nuclei are the darkest things on a slide: far below any red cell.
                assert (
                    np.percentile(green[box.top : box.bottom, box.left : box.right], 5) < glass / 2
                )


def test_boxes_fit_their_cells_tightly():
    lone = CellMix("lone", 60, (("blast", 1.0),))
    microscope = simulator(seed=3, mixes=(lone,))
    cells = [
        (field.image, cell.box)
        for field in (microscope.field(0, number) for number in range(12))
        for cell in field.cells
        if is_whole(cell.box, field.image)
    ]
    assert cells
    for image, box in cells:
        tile = image[box.top : box.bottom, box.left : box.right].astype(int)
        blue = tile[:, :, 2] - tile[:, :, 0] > 30  # basophilic rim and nucleus, no red cell
        rows, columns = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
        assert max(rows[0], columns[0]) <= 4
        assert min(rows[-1] - box.height, columns[-1] - box.width) >= -5


def test_leukaemic_slides_hold_blasts_and_normal_ones_none():
    microscope = simulator(seed=2, mixes=(NORMAL, LEUKAEMIC, SPARSE))
    kinds = [
        [cell.kind for number in range(8) for cell in microscope.field(slide, number).cells]
        for slide in range(3)
    ]
    assert "blast" not in kinds[0]
    assert kinds[1].count("blast") > len(kinds[1]) / 3
    assert len(kinds[2]) < len(kinds[0]) < len(kinds[1])


def test_neighbouring_fields_overlap_and_show_the_same_smear():
    microscope = simulator(seed=4, fields_per_slide=9)
    left, right = microscope.field(0, 0).image, microscope.field(0, 1).image
    # A strip of the second field, taken near its left edge, lies near the first one's right edge.
    strip = cv2.cvtColor(right[200:760, 5:35], cv2.COLOR_RGB2GRAY)
    edge = cv2.cvtColor(left[:, -200:], cv2.COLOR_RGB2GRAY)
    assert cv2.matchTemplate(edge, strip, cv2.TM_CCOEFF_NORMED).max() > 0.9


def test_stain_is_constant_within_a_slide_and_varies_between_slides():
    microscope = simulator(seed=8, fields_per_slide=4)
    glass = np.array(
        [
            [np.percentile(microscope.field(slide, n).image, 90, axis=(0, 1)) for n in range(3)]
            for slide in range(6)
        ]
    )
    within = glass.std(axis=1).max()
    between = glass.mean(axis=1).std(axis=0).max()
    assert within < 4 < between


def test_dust_stays_on_the_sensor_while_the_slide_moves():
    microscope = simulator(seed=9, empty=1.0)
    fields = [microscope.field(slide, 0).image.astype(float) for slide in range(3)]
    specks = [
        cv2.GaussianBlur(f, (0, 0), 30) - cv2.GaussianBlur(f, (0, 0), 1.5) > 5 for f in fields
    ]
    assert specks[0][:-30].any()
    shared = specks[0] & specks[1] & specks[2]
    assert shared.sum() > 0.7 * specks[0].sum()


def test_a_blurred_field_is_named_and_less_sharp():
    sharp, blurred = simulator(seed=7), simulator(seed=7, blurred=1.0)
    for number in range(3):
        defective = blurred.field(0, number)
        assert defective.defects == ("blurred",)
        assert sharpness(defective.image) < 0.5 * sharpness(sharp.field(0, number).image)


def test_an_over_exposed_field_is_named_and_burnt_out():
    normal, exposed = simulator(seed=7), simulator(seed=7, over_exposed=1.0)
    defective = exposed.field(0, 0)
    assert defective.defects == ("over-exposed",)
    assert (defective.image >= 254).mean() > 0.3
    assert (normal.field(0, 0).image >= 254).mean() < 0.05


def test_an_empty_field_is_named_and_holds_no_cell():
    bare = simulator(seed=7, empty=1.0).field(0, 0)
    assert bare.defects == ("empty",)
    assert bare.cells == ()
    assert ClassicalFinder().find(bare.image, Scale(0.125, "configured")) == []


def test_defects_come_as_often_as_asked():
    microscope = SmearSimulator(
        SmearSettings(
            width=256,
            height=256,
            fields_per_slide=100,
            blurred=0.3,
            over_exposed=0.2,
            empty=0.1,
        )
    )
    defects = [microscope.field(0, number).defects for number in range(100)]
    assert 20 <= defects.count(("blurred",)) <= 40
    assert 10 <= defects.count(("over-exposed",)) <= 30
    assert 3 <= defects.count(("empty",)) <= 18
    assert defects.count(()) > 25


@pytest.mark.parametrize("defect", ["blurred", "over_exposed", "empty", None])
def test_every_field_says_that_it_is_simulated(defect):
    image = simulator(**({defect: 1.0} if defect else {})).field(0, 0).image
    plate = image[-20:, :118].astype(int)
    letters = np.percentile(plate, 3)
    assert np.median(plate) > letters + 35  # legible on their plate


def test_the_finder_finds_the_cells_and_little_else(varied_fields):
    hits = misses = extra = 0
    for field in varied_fields:
        centres = [
            found.box.centre
            for found in ClassicalFinder().find(field.image, Scale(0.125, "configured"))
        ]
        for cell in field.cells:
            if is_whole(cell.box, field.image):
                seen = any(inside(cell.box, *centre) for centre in centres)
                hits, misses = hits + seen, misses + (not seen)
        extra += sum(
            not any(inside(cell.box, *centre) for cell in field.cells) for centre in centres
        )
    assert hits / (hits + misses) > 0.95
    assert hits / (hits + extra) > 0.95


def test_the_scale_can_be_read_from_the_red_cells():
    for um_per_px in (0.1, 0.16):
        image = simulator(seed=3, um_per_px=um_per_px).field(0, 0).image
        scale = estimate_scale(image)
        assert scale.source == "red-cells"
        assert scale.um_per_px == pytest.approx(um_per_px, rel=0.12)


def test_the_stage_goes_row_by_row_there_and_back():
    # Each field touches the one before it: no jump across the slide.
    microscope = simulator(fields_per_slide=9)
    places = [microscope._stage(0, number) for number in range(9)]
    for (x, y), (next_x, next_y) in pairwise(places):
        assert np.hypot(next_x - x, next_y - y) < 160


@pytest.mark.parametrize("place", [(-1, 0), (0, -1), (0, 24)])
def test_a_field_that_does_not_exist_is_refused(place):
    with pytest.raises(ValueError, match="there is no field"):
        simulator(width=256, height=256).field(*place)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"width": 200},
        {"um_per_px": 1.0},
        {"fields_per_slide": 0},
        {"mixes": ()},
        {"blurred": -0.1},
        {"blurred": 0.6, "empty": 0.6},
    ],
)
def test_senseless_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=r"seed|field|um_per_px|defects"):
        SmearSettings(**wrong)


@pytest.mark.parametrize(
    ("per_mm2", "weights"),
    [(-1, (("blast", 1),)), (5000, (("blast", 1),)), (9, ()), (9, (("blast", 0),))],
)
def test_a_senseless_mix_is_refused(per_mm2, weights):
    with pytest.raises(ValueError, match=r"per_mm2|weights"):
        CellMix("wrong", per_mm2, weights)
