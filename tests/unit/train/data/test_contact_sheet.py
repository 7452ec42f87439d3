"""Contact sheets show every crop once, in order, under a caption."""

import numpy as np

from hemaline_train.data.contact_sheet import COLUMNS, ROWS, contact_sheets


def test_each_crop_is_on_one_sheet():
    crops = np.zeros((COLUMNS * ROWS + 1, 224, 224, 3), np.uint8)
    sheets = list(contact_sheets(crops, ["x"] * len(crops)))
    assert [first for first, _ in sheets] == [0, COLUMNS * ROWS]
    whole, rest = (sheet for _, sheet in sheets)
    assert whole.shape[1] == rest.shape[1]
    assert whole.shape[0] == ROWS * rest.shape[0]


def test_crops_stand_in_reading_order_with_their_own_colours():
    shades = np.arange(0, 240, 30, dtype=np.uint8)
    crops = np.broadcast_to(shades[:, None, None, None], (len(shades), 224, 224, 3))
    ((_, sheet),) = contact_sheets(crops, [""] * len(shades))
    height, width = sheet.shape[0] // 2, sheet.shape[1] // COLUMNS
    seen = [
        int(sheet[n // COLUMNS * height + height // 2, n % COLUMNS * width + width // 2, 0])
        for n in range(len(shades))
    ]
    assert seen == shades.tolist()


def test_the_caption_is_written_above_its_crop():
    crops = np.full((1, 224, 224, 3), 255, np.uint8)
    ((_, blank),) = contact_sheets(crops, [""])
    ((_, captioned),) = contact_sheets(crops, ["7 monocyte"])
    inked = np.argwhere((blank != captioned).any(axis=2))
    assert len(inked)
    assert inked[:, 0].max() < 30
