"""The audit of reads: what shows a person's data is answered once it is on record."""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import database_errors, of_principal
from hemaline_cloud.principal import Principal

COVERED_S = 300.0
"""For so long an event of a slide stands for the images of it that the same person loads."""

_MOST_COVERED = 10_000


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer shows of persons.

    Attributes:
        is_image: Whether the event of the page that holds it may stand for it.
    """

    event: Event
    is_image: bool = False


class ReadAudit:
    """Records reads; a page's own event stands for the images that the page loads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._covered: OrderedDict[tuple[str, UUID], float] = OrderedDict()
        self._remembering = threading.Lock()

    @contextmanager
    def reading(self, who: Principal, shown: Sequence[Shown]) -> Iterator[Connection]:
        """Open a read-only transaction, and record at its end what was shown meanwhile.

        That is a transaction of its own on the same connection, committed on return.

        Raises:
            TransientError: Something could not be read or recorded: then nothing may be shown.
        """
        with database_errors(), of_principal(self._engine, who).connect() as connection:
            connection.execution_options(postgresql_readonly=True)
            with connection.begin():
                yield connection
            due = [part.event for part in shown if not self._is_covered(who, part)]
            if due:
                connection.execution_options(postgresql_readonly=False)
                with connection.begin():
                    for event in due:
                        record_event(connection, who, event)
        for event in due:
            self._remember(who, event)

    def _is_covered(self, who: Principal, part: Shown) -> bool:
        if not part.is_image or part.event.slide_id is None:
            return False
        with self._remembering:
            recorded_at = self._covered.get((who.id, part.event.slide_id), float("-inf"))
        return time.monotonic() - recorded_at <= COVERED_S

    def _remember(self, who: Principal, event: Event) -> None:
        slides = [event.slide_id] if event.slide_id else event.shown or ()
        with self._remembering:
            for slide_id in slides:
                self._covered[who.id, slide_id] = time.monotonic()
                self._covered.move_to_end((who.id, slide_id))
            while len(self._covered) > _MOST_COVERED:
                self._covered.popitem(last=False)
