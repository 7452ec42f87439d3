"""A heat map shows where a crop looks more like its class than like the others."""

import numpy as np

from hemaline_cloud.inference.heat_maps import heat_maps
from hemaline_shared.model_manifest import Calibration
from parts.bundles import EVERY_TASK, tiny_manifest

_ONE = tiny_manifest({"net.onnx": b""})
_TWO = tiny_manifest({"first.onnx": b"1", "second.onnx": b"2"})


def _maps(outputs=3, side=4, crops=1):
    return np.zeros((crops, outputs, side, side), np.float32)


def _grid(heat_map):
    values = np.frombuffer(heat_map.values, np.uint8)
    return values.reshape(-1, heat_map.width)


def test_the_square_that_speaks_most_for_the_class_is_255():
    maps = _maps()
    maps[0, 1, 2, 3] = 8
    maps[0, 1, 0, 0] = 4
    (heat_map,) = heat_maps(_ONE, {"net": maps}, ["lymphocyte"])
    grid = _grid(heat_map)
    assert grid.shape == (4, 4)
    assert (grid[2, 3], grid[0, 0], np.count_nonzero(grid)) == (255, 128, 2)


def test_what_speaks_for_every_class_alike_shows_nothing():
    maps = _maps() + 5
    maps[0, 0, 1, 1] = 6
    (heat_map,) = heat_maps(_ONE, {"net": maps}, ["blast"])
    assert np.count_nonzero(_grid(heat_map)) == 1


def test_no_square_for_the_class_is_no_heat_map():
    assert heat_maps(_ONE, {"net": _maps()}, ["blast"]) == [None]


def test_maps_that_are_no_numbers_are_no_heat_map():
    maps = _maps()
    maps[0, 0, 0, 0] = np.nan
    assert heat_maps(_ONE, {"net": maps}, ["blast"]) == [None]


def test_networks_are_averaged_also_where_their_maps_differ_in_size():
    coarse, fine = _maps(side=2), _maps(side=4)
    coarse[0, 0, 0, 0] = 1
    fine[0, 0, 3, 3] = 1
    (heat_map,) = heat_maps(_TWO, {"first": coarse, "second": fine}, ["blast"])
    grid = _grid(heat_map)
    assert grid.shape == (4, 4)
    assert (grid[0, 0], grid[3, 3], grid[0, 3]) == (255, 255, 0)


def test_a_network_that_shouts_is_heard_through_its_temperature():
    first, second = _TWO.networks
    calm = first.model_copy(update={"calibration": {"cell-class": Calibration(temperature=10.0)}})
    loud, soft = _maps(), _maps()
    loud[0, 0, 0, 0] = 10
    soft[0, 0, 1, 1] = 1
    manifest = tiny_manifest({}, networks=(calm, second))
    (heat_map,) = heat_maps(manifest, {"first": loud, "second": soft}, ["blast"])
    assert (_grid(heat_map)[0, 0], _grid(heat_map)[1, 1]) == (255, 255)


def test_a_networks_map_counts_as_much_as_its_weight_says():
    first, second = _TWO.networks
    light = first.model_copy(update={"calibration": {"cell-class": Calibration(weight=0.25)}})
    one, other = _maps(), _maps()
    one[0, 0, 0, 0] = 1
    other[0, 0, 1, 1] = 1
    manifest = tiny_manifest({}, networks=(light, second))
    (heat_map,) = heat_maps(manifest, {"first": one, "second": other}, ["blast"])
    assert (_grid(heat_map)[0, 0], _grid(heat_map)[1, 1]) == (64, 255)


def test_each_crop_shows_its_own_class_of_the_task_that_names_cells():
    cells, field, apl = EVERY_TASK
    manifest = tiny_manifest({"net.onnx": b""}, tasks=(field, cells, apl))
    maps = _maps(outputs=7, crops=2)
    maps[0, 2 + 0, 0, 1] = 1
    maps[1, 2 + 2, 1, 0] = 1
    maps[:, :2] = 99
    blast, smudge = map(_grid, heat_maps(manifest, {"net": maps}, ["blast", "smudge"]))
    assert (blast[0, 1], smudge[1, 0]) == (255, 255)
    assert (np.count_nonzero(blast), np.count_nonzero(smudge)) == (1, 1)
