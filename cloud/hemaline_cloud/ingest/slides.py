"""Which slide a message is of, and what of it the ledger has to be told."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.database.slides import SlideRow, find_slides, open_slides
from hemaline_cloud.ingest.items import Closing, SlideItem

OpenSlide: TypeAlias = tuple[SlideRow, datetime]
"""What the ledger holds of a slide, and since when it is open."""

_SLIDES_KNOWN = 10_000


class KnownSlides:
    """Slides that were committed before, so that a frame of one asks the database nothing of it.

    Whoever commits adds to it afterwards, and forgets all of it when a transaction failed.
    """

    def __init__(self) -> None:
        self._slides: OrderedDict[UUID, OpenSlide] = OrderedDict()

    def add(self, slides: dict[UUID, OpenSlide]) -> None:
        """Remember slides, and forget those that were not heard of for longest."""
        for slide_id, known in slides.items():
            self._slides[slide_id] = known
            self._slides.move_to_end(slide_id)
        while len(self._slides) > _SLIDES_KNOWN:
            self._slides.popitem(last=False)

    def forget(self) -> None:
        """Ask the database again."""
        self._slides.clear()

    def open(
        self, connection: Connection, items: Sequence[SlideItem]
    ) -> tuple[dict[UUID, SlideRow], dict[UUID, OpenSlide]]:
        """Make the slides of items known, as far as they are not.

        Returns:
            What the ledger holds of each slide; and what is to be remembered once it is committed.
        """
        found: dict[UUID, SlideRow] = {}
        news: list[OpenSlide] = []
        for item in items:
            row, moment = slide_row(item), _moment(item)
            if known := self._find(row, moment):
                found[row.slide_id] = known
            else:
                news.append((row, moment))
        if not news:
            return found, {}
        open_slides(connection, news)
        opened = find_slides(connection, [row.slide_id for row, _ in news])
        return found | {slide_id: row for slide_id, (row, _) in opened.items()}, opened

    def _find(self, row: SlideRow, moment: datetime) -> SlideRow | None:
        """Return a slide of which this row and moment tell nothing new."""
        known, opened_at = self._slides.get(row.slide_id, (None, moment))
        return known if known and opened_at <= moment and known.tells(row) else None


def slide_row(item: SlideItem) -> SlideRow:
    """Return what a message says of its slide."""
    message = item.message
    return SlideRow(
        message.slide_id,
        message.specimen_id,
        message.site,
        message.device,
        message.slide_name,
        message.priority,
    )


def _moment(item: SlideItem) -> datetime:
    """When the slide was under the microscope; a clock that is ahead is not believed."""
    if isinstance(item, Closing):
        return item.delivery.received_at
    return min(item.message.captured_at, item.delivery.received_at)
