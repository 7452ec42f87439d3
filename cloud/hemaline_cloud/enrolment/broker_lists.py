"""What a broker is told of revoked certificates: a revocation list, and whom to hear no more.

The revocation list keeps a revoked certificate from connecting. A connection that is open already
is not judged by it, so the access list denies everything to a device that has no certificate but
revoked ones. Mosquitto reads both anew at SIGHUP.
"""

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.enrolment import RevokedRow, devices_cut_off, revoked_certificates
from hemaline_cloud.enrolment.authority import Authority
from hemaline_cloud.settings import BrokerListsSettings
from hemaline_shared.durable import write_durably
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.topics import DeviceName

logger = logging.getLogger(__name__)

_GOOD_FOR = timedelta(days=30)
"""A broker refuses everybody once its list has ended: as long as a certificate is good."""
_RENEWED_AFTER = timedelta(days=1)
_READABLE = 0o644
"""The broker runs as another user."""


@dataclass(frozen=True, slots=True)
class _Told:
    revoked: tuple[RevokedRow, ...]
    cut_off: tuple[DeviceName, ...]
    access: str


class BrokerLists(threading.Thread):
    """Keeps the lists in a folder that a broker reads; they are written when something changes."""

    def __init__(self, settings: BrokerListsSettings, engine: Engine, authority: Authority) -> None:
        """Write both lists, if the database answers, so that a broker finds them from the start.

        Raises:
            PermanentError: `bad-broker-lists`: the folder or the access list cannot be used.
        """
        super().__init__(name="broker-lists")
        self._settings = settings
        self._engine = engine
        self._authority = authority
        self._told: _Told | None = None
        self._written_at = datetime.min.replace(tzinfo=UTC)
        self._stopped = threading.Event()
        self._is_well = True
        try:
            self.refresh()
        except TransientError as error:
            self._tell(error)

    def run(self) -> None:
        """Look every few moments until stopped; trouble is told once, and what is written stays."""
        while not self._stopped.wait(self._settings.every_s):
            try:
                self.refresh()
            except (PermanentError, TransientError) as error:
                self._tell(error)
            else:
                self._is_well = True

    def _tell(self, error: Exception) -> None:
        if self._is_well:
            logger.warning("the broker's lists stay as they are: %s", error)
        self._is_well = False

    def stop(self) -> None:
        """End soon."""
        self._stopped.set()

    def refresh(self) -> None:
        """Write both lists where either would be another one, or is a day old."""
        with unit_of_work(self._engine) as connection:
            revoked = revoked_certificates(connection)
            cut_off = devices_cut_off(connection)
        try:
            told = _Told(tuple(revoked), tuple(cut_off), self._settings.access.read_text())
            now = datetime.now(UTC)
            if told == self._told and now - self._written_at < _RENEWED_AFTER:
                return
            self._write(told, now)
        except (OSError, UnicodeDecodeError) as error:
            raise PermanentError(
                "bad-broker-lists", f"cannot write a broker's lists: {error}"
            ) from error
        if self._told is not None and told.cut_off != self._told.cut_off:
            logger.info("cut off at the broker: %s", ", ".join(map(str, told.cut_off)) or "nobody")
        self._told, self._written_at = told, now

    def _write(self, told: _Told, now: datetime) -> None:
        revoked = [(int(row.serial, 16), row.revoked_at) for row in told.revoked]
        listed = self._authority.revocation_list(revoked, now, now + _GOOD_FOR)
        denied = "".join(f"\nuser {name}\ntopic deny #\n" for name in told.cut_off)
        folder = self._settings.folder
        write_durably(folder / "revoked.pem", listed.public_bytes(Encoding.PEM), _READABLE)
        write_durably(folder / "access", (told.access + denied).encode(), _READABLE)
