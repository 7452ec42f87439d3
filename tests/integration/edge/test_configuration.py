"""A running agent is set from afar; kill -9 takes nothing of it back."""

import pytest

from hemaline_shared.device_configuration import (
    DeviceConfiguration,
    ReportedConfiguration,
    desired,
)
from hemaline_shared.messages import Telemetry, decode, encode
from hemaline_shared.mqtt import Listener, MqttLink
from hemaline_shared.topics import Channel, DeviceName
from parts.edge_process import EdgeProcess, environment, text_of
from parts.waiting import LONG_S, wait_until

NAME = DeviceName("lab", "scope")


class Cloud:
    """Desires, and keeps what the device says."""

    def __init__(self, broker):
        self.reports, self.periods = [], []
        self._link = MqttLink(
            broker.settings,
            "cloud",
            Listener(on_message=self._on_message),
            subscriptions=(NAME.topic(Channel.CONFIG_REPORTED), NAME.topic(Channel.TELEMETRY)),
        )
        self._link.start()
        assert self._link.wait_connected(LONG_S)

    def desire(self, version, **settings):
        message = desired(version, DeviceConfiguration(**settings))
        self._link.publish(NAME.topic(Channel.CONFIG_DESIRED), encode(message), retain=True)

    def waits_for(self, version, outcome):
        wait_until(lambda: (version, outcome) in self.reports, LONG_S)

    def _on_message(self, message):
        if message.topic == NAME.topic(Channel.TELEMETRY):
            self.periods.append(decode(Telemetry, message.payload).period_s)
        else:
            report = decode(ReportedConfiguration, message.payload)
            self.reports.append((report.version, report.outcome))
        self._link.acknowledge(message)

    def stop(self):
        self._link.stop()


@pytest.fixture
def cloud(broker):
    cloud = Cloud(broker)
    yield cloud
    cloud.stop()


def test_an_agent_goes_on_with_what_proved_good_and_refuses_what_its_disk_cannot_hold(
    cloud, broker, tmp_path
):
    (tmp_path / "images").mkdir()
    env = environment(tmp_path / "spool", tmp_path / "images", broker.settings)
    cloud.desire(1, telemetry_s=1)
    agent = EdgeProcess(env, tmp_path / "log", "run")
    try:
        cloud.waits_for(1, "applied")
        cloud.desire(2, telemetry_s=2, spool_quota_bytes=2**52)
        cloud.waits_for(2, "refused")
        agent.kill()
        cloud.periods.clear()
        agent = EdgeProcess(env, tmp_path / "log", "run")
        wait_until(lambda: cloud.periods, LONG_S)
        assert set(cloud.periods) == {1}, text_of(tmp_path / "log")
    finally:
        agent.kill()
