"""Ids: chosen once at capture, the same at every replay."""

from uuid import UUID

from hemaline_shared.ids import accession, cell_id, closing_id, new_id

FRAME = UUID("01900000-0000-7000-8000-00000000abcd")


def test_new_ids_are_version_7_and_differ():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {each.version for each in ids} == {7}
    assert {each.variant for each in ids} == {"specified in RFC 4122"}


def test_new_ids_sort_by_the_time_they_were_made(monkeypatch):
    times = iter([1_000_000_000_000_000_000, 1_000_000_000_002_000_000])
    monkeypatch.setattr("hemaline_shared.ids.time.time_ns", lambda: next(times))
    assert new_id() < new_id()


def test_a_cells_id_follows_from_its_frame_and_index():
    assert cell_id(FRAME, 0) == cell_id(FRAME, 0)
    assert cell_id(FRAME, 0) != cell_id(FRAME, 1)


def test_cells_sort_as_their_frames_do():
    later = UUID("01900000-0001-7000-8000-000000000000")
    assert max(cell_id(FRAME, index) for index in range(200)) < cell_id(later, 0)
    assert (cell_id(FRAME, 7).version, cell_id(FRAME, 7).variant) == (7, FRAME.variant)


def test_closing_a_slide_has_an_id_of_its_own():
    assert closing_id(FRAME) == closing_id(FRAME)
    assert closing_id(FRAME) != cell_id(FRAME, 0)


def test_an_accession_is_the_end_of_the_slides_id():
    assert accession(FRAME) == "S-0000ABCD"
