"""Tells devices what the database holds for them: looks every two seconds for what changed."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

from hemaline_shared.errors import HemalineError
from hemaline_shared.mqtt import MqttLink

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0


class Teller(Protocol):
    """One kind of thing that devices are told."""

    def look(self, link: MqttLink) -> None:
        """Tell what is new.

        Raises:
            HemalineError: What was not told is told at the next look.
        """

    def forget(self) -> None:
        """Take nothing for told any more: the broker may have lost it."""


class Telling:
    """One thread. Several replicas tell the same, which is harmless."""

    def __init__(self, tellers: Sequence[Teller]) -> None:
        self._tellers = tellers
        self._connected_anew = threading.Event()
        self._stopping = threading.Event()

    def connected(self) -> None:
        """Take from the network thread that a connection stands."""
        self._connected_anew.set()

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    def run(self, link: MqttLink) -> None:
        """Tell until stopped; what fails is tried again."""
        while not self._stopping.wait(_LOOK_EVERY_S):
            if self._connected_anew.is_set():
                self._connected_anew.clear()
                for teller in self._tellers:
                    teller.forget()
            for teller in self._tellers:
                _look(teller, link)


def _look(teller: Teller, link: MqttLink) -> None:
    try:
        teller.look(link)
    except HemalineError as error:
        logger.info("devices are told later: %s", error)
    except Exception:
        logger.exception("devices are not told")
