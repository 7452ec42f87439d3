"""Tells devices what they are to be set to: retained, on each one's own channel."""

from sqlalchemy import Engine

from hemaline_cloud.database.configuration import count_of_causes, desired_of_all
from hemaline_cloud.database.engine import unit_of_work
from hemaline_shared.device_configuration import DesiredConfiguration
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import MqttLink
from hemaline_shared.topics import Channel, DeviceName


class ConfigurationTeller:
    """A `Teller`. Everything is told anew over a new connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[DeviceName, DesiredConfiguration] = {}
        self._causes: tuple[int, int] | None = None

    def forget(self) -> None:
        """As `Teller`."""
        self._told, self._causes = {}, None

    def look(self, link: MqttLink) -> None:
        """As `Teller`."""
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
