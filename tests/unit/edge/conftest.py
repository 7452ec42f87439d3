"""Closes what tests of the edge open."""

from collections.abc import Iterator

import pytest

from parts.edge_frames import OPENED


@pytest.fixture(autouse=True)
def _close_spools() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop()._database.close()
