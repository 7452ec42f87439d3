"""Augmentation: repeatable, in range, and off where it is switched off."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="make setup-train brings torch")

from hemaline_train.learning.augment import Strength, augment, blend

NONE = Strength(turn=False, scale=0, shift=0, stain=0, light=0, blur=0, noise=0, cutout=0)


def crops():
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_seed_repeats_every_choice():
    assert torch.equal(augment(crops(), Strength(), dice()), augment(crops(), Strength(), dice()))


def test_another_seed_makes_other_choices():
    assert not torch.equal(
        augment(crops(), Strength(), dice(1)), augment(crops(), Strength(), dice(2))
    )


def test_switched_off_it_changes_nothing():
    assert torch.allclose(augment(crops(), NONE, dice()), crops(), atol=1e-5)


def test_pixels_stay_in_range():
    strong = Strength(stain=2.0, light=0.9, noise=0.5)
    changed = augment(crops(), strong, dice())
    assert changed.min() >= 0
    assert changed.max() <= 1


@pytest.mark.parametrize("change", ["turn", "scale", "shift", "stain", "light", "blur", "noise"])
def test_each_change_alone_changes_every_crop_or_half_of_them(change):
    full = Strength()
    one = Strength(
        **{name: getattr(NONE, name) for name in NONE.__slots__} | {change: getattr(full, change)}
    )
    changed = augment(crops(), one, dice(3))
    moved = (changed - crops()).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert moved.sum() >= 1
    assert change == "blur" or moved.all()


def test_restaining_leaves_empty_glass_alone():
    glass = torch.ones(2, 3, 8, 8)
    only = Strength(turn=False, scale=0, shift=0, light=0, blur=0, noise=0, cutout=0, stain=1.0)
    assert torch.allclose(augment(glass, only, dice()), glass)


def test_pictures_are_blended_with_others_of_their_kind_only():
    kinds = torch.tensor([True, True, False, False])
    pixels, partners, kept = blend(crops(), kinds, 1.0, dice())
    assert torch.equal(kinds[partners][kept < 1], kinds[kept < 1])
    parts = kept[:, None, None, None]
    assert torch.allclose(pixels, crops() * parts + crops()[partners] * (1 - parts))


def test_without_a_share_no_picture_is_blended():
    pixels, _, kept = blend(crops(), torch.ones(4, dtype=torch.bool), 0.0, dice())
    assert torch.equal(pixels, crops())
    assert torch.equal(kept, torch.ones(4))


def test_a_crop_that_loses_its_rim_keeps_its_middle_and_shows_light_glass_round_it():
    light = torch.full((4, 3, 64, 64), 0.9)
    light[:, :, 20:44, 20:44] = 0.3
    light[:, :, :6] = 0.5
    shown = augment(light, replace(NONE, surround=1.0), dice())
    assert torch.allclose(shown[:, :, 26:38, 26:38], light[:, :, 26:38, 26:38], atol=1e-5)
    assert torch.allclose(shown[:, :, :4], torch.tensor(0.9), atol=1e-5)


def test_another_exposure_darkens_the_glass_and_scales_what_lies_on_it():
    cell = torch.full((4, 3, 64, 64), 0.9)
    cell[:, :, 26:38, 26:38] = 0.45
    shown = augment(cell, replace(NONE, exposure=0.4), dice())
    glass, density = shown[:, :, 0, 0], (shown[:, :, 0, 0] / shown[:, :, 32, 32]).log()
    assert (glass <= 1).all()
    assert len(glass[:, 0].unique()) == 4
    assert (density > 0.69 / 1.4**1.4).all()
    assert (density < 0.70 * 1.4**1.4).all()
