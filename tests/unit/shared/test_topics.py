"""Topics: spelled and read in one place."""

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_shared.topics import Channel, DeviceName, every_device, parse_topic

SCOPE_1 = DeviceName("lab-a", "scope-1")


@pytest.mark.parametrize("channel", list(Channel))
def test_a_topic_reads_back_as_it_was_spelled(channel):
    assert parse_topic(SCOPE_1.topic(channel)) == (SCOPE_1, channel)


def test_a_field_topic_is_spelled_as_the_contract_says():
    assert SCOPE_1.topic(Channel.FIELD) == "hemaline/v1/lab-a/scope-1/field"


def test_a_filter_hears_every_device_and_may_be_shared():
    assert every_device(Channel.FIELD) == "hemaline/v1/+/+/field"
    assert every_device(Channel.FIELD, "ingest") == "$share/ingest/hemaline/v1/+/+/field"


@pytest.mark.parametrize("name", ["", "A", "a/b", "a+", "#", "-a", "a" * 64, "a b", "ä", "a\n"])
def test_a_name_that_could_escape_its_topic_is_refused(name):
    with pytest.raises(PermanentError) as refused:
        DeviceName("lab-a", name)
    assert refused.value.reason == "invalid-device-name"


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "hemaline/v1/a/b",
        "hemaline/v2/a/b/field",
        "hemaline/v1/a/b/config",
        "x/hemaline/v1/a/b/field",
    ],
)
def test_a_foreign_topic_is_refused(topic):
    with pytest.raises(PermanentError) as refused:
        parse_topic(topic)
    assert refused.value.reason == "unknown-topic"
