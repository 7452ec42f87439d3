"""The hottest place that the kernel tells of."""

import pytest

from hemaline_edge.temperature import hottest_c


@pytest.mark.parametrize(
    ("told", "hottest"),
    [
        ([], None),
        (["41000\n", "63500\n"], 63.5),
        (["41000\n", "-274000\n", "999000\n", "no number\n"], 41.0),
    ],
)
def test_the_hottest_place_that_can_be_true(tmp_path, told, hottest):
    for number, text in enumerate(told):
        zone = tmp_path / f"thermal_zone{number}"
        zone.mkdir()
        (zone / "temp").write_text(text)
    assert hottest_c(tmp_path) == hottest


def test_a_computer_that_tells_nothing(tmp_path):
    assert hottest_c(tmp_path / "absent") is None
