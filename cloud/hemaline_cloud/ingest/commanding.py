"""Tells devices their commands, again and again until each one's end is heard."""

import time
from uuid import UUID

from sqlalchemy import Engine

from hemaline_cloud.database.device_commands import (
    CommandRow,
    commands_to_send,
    end_expired,
    message_of,
    note_sent,
)
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.principal import service
from hemaline_shared.messages import encode
from hemaline_shared.mqtt import MqttLink
from hemaline_shared.topics import Channel

_AGAIN_S = 30
_WAITING_AGAIN_S = 600
"""Of what the device has, and a person there has not answered yet."""


class CommandTeller:
    """A `Teller`. A device that comes back is told at once, for its session is another.

    The broker keeps no command for longer than until it is told anew: what a device hears is as
    good as new, and one that has ended is not told for hours afterwards.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[UUID, tuple[int, float]] = {}

    def forget(self) -> None:
        """As `Teller`."""
        self._told = {}

    def look(self, link: MqttLink) -> None:
        """As `Teller`."""
        with unit_of_work(self._engine) as connection:
            end_expired(connection, service("ingest"))
            wanted = commands_to_send(connection)
        now, sent = time.monotonic(), []
        told = {row.command_id for row, _ in wanted} & self._told.keys()
        self._told = {command_id: self._told[command_id] for command_id in told}
        for row, session in wanted:
            if self._is_due(row, session, now):
                topic = row.name.topic(Channel.COMMAND)
                link.publish(topic, encode(message_of(row)), expires_s=_AGAIN_S)
                self._told[row.command_id] = (session, now)
                sent += [row.command_id] if row.sent_at is None else []
        if sent:
            with unit_of_work(self._engine) as connection:
                note_sent(connection, sent)

    def _is_due(self, row: CommandRow, session: int, now: float) -> bool:
        session_before, at = self._told.get(row.command_id, (session, float("-inf")))
        pause = _AGAIN_S if row.state == "open" else _WAITING_AGAIN_S
        return session != session_before or now - at >= pause
