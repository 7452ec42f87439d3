"""What went into a result is kept in few bytes, and read back as it was."""

from uuid import UUID

import pytest

from hemaline_cloud.database.revision_inputs import FrameInput, RevisionInputs

CUT, SEEN = "cut-by-border", "seen-before"
FIRST, SECOND = UUID(int=1), UUID(int=2**127 + 5)


@pytest.mark.parametrize(
    "frames",
    [
        (),
        (FrameInput(FIRST, 1, ()),),
        (FrameInput(FIRST, 7, (None, CUT, SEEN, None, SEEN)), FrameInput(SECOND, 2**31, (CUT,))),
        (FrameInput(FIRST, 1, (None,) * 511 + (SEEN,)),),
    ],
)
def test_what_is_packed_is_read_back(frames):
    assert RevisionInputs.unpack(RevisionInputs(frames).pack()) == RevisionInputs(frames)


def test_a_field_of_eight_cells_takes_24_bytes():
    frames = tuple(FrameInput(UUID(int=place), 1, (None,) * 8) for place in range(25))
    assert len(RevisionInputs(frames).pack()) == 1 + 25 * 24


@pytest.mark.parametrize("cut", [1, 5, 23])
def test_what_is_cut_short_is_refused(cut):
    packed = RevisionInputs((FrameInput(FIRST, 1, (CUT,) * 8),)).pack()
    with pytest.raises(ValueError, match="too early"):
        RevisionInputs.unpack(packed[:-cut])


def test_another_form_is_refused():
    with pytest.raises(ValueError, match="version 02"):
        RevisionInputs.unpack(b"\x02")
