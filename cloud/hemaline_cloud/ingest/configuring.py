"""Tells devices what they are to be set to: retained, on each one's own channel."""

import logging
import threading

from sqlalchemy import Engine

from hemaline_cloud.database.configuration import count_of_causes, desired_of_all
from hemaline_cloud.database.engine import unit_of_work
from hemaline_shared.device_configuration import DesiredConfiguration
from hemaline_shared.errors import HemalineError
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import MqttLink
from hemaline_shared.topics import Channel, DeviceName

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0


class ConfigurationPublisher:
    """Looks every two seconds for what changed. Several replicas tell the same, which is harmless.

    A new connection is told everything anew: the broker may have lost what it retained.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[DeviceName, DesiredConfiguration] = {}
        self._causes: tuple[int, int] | None = None
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
                self._told, self._causes = {}, None
            try:
                self._look(link)
            except HemalineError as error:
                self._causes = None
                logger.info("configurations are told later: %s", error)
            except Exception:
                self._causes = None
                logger.exception("configurations are not told")

    def _look(self, link: MqttLink) -> None:
        with unit_of_work(self._engine) as connection:
            causes = count_of_causes(connection)
            if causes == self._causes:
                return
            wanted = desired_of_all(connection)
        for name, configuration in wanted.items():
            if self._told.get(name) != configuration:
                topic = name.topic(Channel.CONFIG_DESIRED)
                link.publish(topic, encode(configuration), retain=True)
                self._told[name] = configuration
        self._causes = causes
