"""A running agent does what it is told, through a new start of its own and kill -9."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from hemaline_shared.device_commands import Command, CommandResult
from hemaline_shared.ids import new_id
from hemaline_shared.messages import decode, encode
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName
from parts.edge_process import EdgeProcess, environment, text_of
from parts.waiting import LONG_S, wait_until

NAME = DeviceName("lab", "scope")


class Cloud:
    """Tells commands, and keeps what the device says."""

    def __init__(self, broker):
        self.results = []
        self._link = MqttLink(
            broker.settings,
            "cloud",
            Listener(on_message=self._on_message),
            subscriptions=(NAME.topic(Channel.COMMAND_RESULT),),
        )
        self._link.start()
        assert self._link.wait_connected(LONG_S)

    def tell(self, verb, **arguments):
        now = datetime.now(UTC)
        command = Command(
            command_id=new_id(),
            verb=verb,
            arguments=arguments,
            asked_by="Ada",
            sent_at=now,
            expires_at=now + timedelta(hours=1),
        )
        self.again(command)
        return command

    def again(self, command):
        self._link.publish(NAME.topic(Channel.COMMAND), encode(command))

    def end_of(self, command):
        """Tell a command until its end is heard, as ingest does."""
        sent_at = time.monotonic()

        def ended():
            nonlocal sent_at
            if time.monotonic() - sent_at > 2:
                sent_at = time.monotonic()
                self.again(command)
            return self._ends_of(command)

        wait_until(ended, LONG_S)
        return self._ends_of(command)[-1]

    def _ends_of(self, command):
        told = [result for result in self.results if result.command_id == command.command_id]
        return [result for result in told if result.outcome != "received"]

    def _on_message(self, message):
        self.results.append(decode(CommandResult, message.payload))
        self._link.acknowledge(message)

    def stop(self):
        self._link.stop()


@pytest.fixture
def cloud(broker):
    cloud = Cloud(broker)
    yield cloud
    cloud.stop()


def test_an_agent_starts_anew_keeps_its_slide_over_a_kill_and_is_emptied_in_the_end(
    cloud, broker, tmp_path
):
    (tmp_path / "images").mkdir()
    spool, log = tmp_path / "spool", tmp_path / "log"
    env = environment(spool, tmp_path / "images", broker.settings)
    agent = EdgeProcess(env, log, "run")
    try:
        started = cloud.tell("start-slide", slide_name="LAB-1")
        assert cloud.end_of(started).outcome == "done", text_of(log)
        assert cloud.end_of(cloud.tell("restart")).outcome == "done", text_of(log)
        assert agent.process.poll() is None, "it is the same process, to its supervisor"
        agent.kill()
        agent = EdgeProcess(env, log, "run")
        assert cloud.end_of(started).outcome == "done"
        again = cloud.tell("start-slide", slide_name="LAB-2")
        assert cloud.end_of(again).reason == "slide-open"
        assert cloud.end_of(cloud.tell("decommission")).outcome == "done", text_of(log)
        assert agent.wait(LONG_S) == 2
        assert [path.name for path in spool.iterdir()] == ["commands.json"]
        assert "decommissioned by Ada" in text_of(log)
    finally:
        agent.kill()
