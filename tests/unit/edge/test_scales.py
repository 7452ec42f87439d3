"""One slide has one scale, from what the red cells of the device's fields say together."""

import logging
from uuid import UUID

import numpy as np
import pytest

from hemaline_edge.scales import OTHER_OPTICS, SCALES_FILE, DeviceScales
from hemaline_shared.pixels.types import Scale

_IMAGE = np.zeros((48, 64, 3), np.uint8)
_SMALL = np.zeros((24, 32, 3), np.uint8)


class Device:
    """Good fields of a device, each of which says a scale of itself."""

    def __init__(self, directory, configured=None):
        self.directory = directory
        self.says = Scale(0.1, "assumed")
        self.scales = DeviceScales(directory, configured, lambda _: self.says)

    def field(self, slide, um_per_px, *, source="red-cells", good=True, image=_IMAGE):
        self.says = Scale(um_per_px, source)
        scale, own = self.scales.scale_of(image, UUID(int=slide))
        if good:
            self.scales.keep(image, UUID(int=slide), scale, own)
        return scale

    def restarted(self):
        return Device(self.directory)


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def test_a_slide_keeps_the_scale_of_its_first_field(device):
    scales = {device.field(1, um).um_per_px for um in (0.1, 0.12, 0.09, 0.115)}
    assert scales == {0.1}


def test_a_restart_in_the_middle_of_a_slide_changes_nothing(device):
    before = device.field(1, 0.1)
    device.field(2, 0.11)
    again = device.restarted()
    assert again.field(1, 0.12) == before
    assert again.field(3, 0.105) == Scale(0.1075, "red-cells", 4, pytest.approx(0.069, abs=1e-3))


def test_the_next_slide_takes_what_all_fields_said(device):
    for um in (0.1, 0.12, 0.09, 0.11):
        device.field(1, um)
    scale = device.field(2, 0.1)
    assert (scale.um_per_px, scale.source, scale.fields) == (0.1, "red-cells", 5)
    assert scale.spread == pytest.approx(1.4826 * 0.1, abs=1e-4)


def test_a_field_alone_has_no_spread(device):
    assert device.field(1, 0.1) == Scale(0.1, "red-cells", 1, None)


def test_only_the_latest_fields_are_remembered(device):
    for number in range(200):
        device.field(1, 0.09 if number < 100 else 0.11)
    scale = device.field(2, 0.11)
    assert (scale.um_per_px, scale.fields) == (0.11, 65)


def test_a_rejected_field_teaches_nothing(device):
    device.field(1, 0.1)
    device.field(2, 0.13, good=False)
    assert device.field(3, 0.1).fields == 2
    assert device.field(2, 0.1).um_per_px == 0.1


def test_a_field_without_red_cells_takes_the_objective_that_was_used_last(device):
    assert device.field(1, 0.1, source="assumed") == Scale(0.1, "assumed")
    device.field(2, 0.07)
    taken = device.field(3, 0.1, source="assumed")
    assert (taken.um_per_px, taken.source, taken.fields) == (0.07, "red-cells", 1)


def test_another_objective_is_recognised_and_known_again(device, caplog):
    caplog.set_level(logging.INFO)
    for um in (0.1, 0.102, 0.098):
        device.field(1, um)
    other = device.field(2, 0.25)
    assert (other.um_per_px, other.fields) == (0.25, 1)
    assert "another objective: 0.25 µm a pixel after 0.1" in caplog.text
    assert device.field(3, 0.26).um_per_px == pytest.approx(0.255)
    assert device.field(4, 0.101) == Scale(
        pytest.approx(0.1005), "red-cells", 4, pytest.approx(0.0148, abs=1e-3)
    )


@pytest.mark.parametrize(
    ("apart", "same"), [(0.99 * OTHER_OPTICS, True), (1.01 * OTHER_OPTICS, False)]
)
def test_fields_through_one_objective_lie_so_far_apart_and_no_further(device, apart, same):
    device.field(1, 0.1)
    assert (device.field(2, 0.1 * apart).fields == 2) is same


def test_an_objective_changed_within_a_slide_is_told_once_and_mixes_nothing(device, caplog):
    device.field(1, 0.1)
    for _ in range(3):
        assert device.field(1, 0.25).um_per_px == 0.1
    assert caplog.text.count("begin a new slide") == 1
    assert device.field(2, 0.1).fields == 2


def test_pictures_of_another_size_have_a_scale_of_their_own(device):
    device.field(1, 0.1)
    assert device.field(1, 0.2, image=_SMALL).um_per_px == 0.2
    assert device.field(1, 0.11).um_per_px == 0.1


def test_configured_optics_are_taken_as_they_are(tmp_path):
    device = Device(tmp_path, configured=0.2)
    assert device.field(1, 0.1) == Scale(0.2, "configured")
    assert not (tmp_path / SCALES_FILE).exists()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pools": {"64x48": [[]]}}', '{"slides": {"a": 1}}', '{"x": 1}']
)
def test_a_damaged_file_is_begun_anew(tmp_path, content, caplog):
    (tmp_path / SCALES_FILE).write_text(content)
    assert Device(tmp_path).field(1, 0.1).um_per_px == 0.1
    assert "scales are learned anew" in caplog.text
    assert Device(tmp_path).field(1, 0.13).um_per_px == 0.1


def test_a_directory_that_cannot_be_written_costs_no_field(tmp_path, caplog):
    device = Device(tmp_path / "gone")
    assert device.field(1, 0.1) == device.field(1, 0.12)
    assert "cannot be written" in caplog.text


def test_old_slides_are_forgotten_not_the_newest(device):
    for slide in range(100):
        device.field(slide, 0.1 + slide / 10_000)
    kept = device.field(99, 0.12)
    assert kept == device.restarted().field(99, 0.09)
