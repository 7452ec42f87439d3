"""The written MQTT contract is the code's."""

from pathlib import Path

from hemaline_shared.asyncapi import CHANNELS, document, render
from hemaline_shared.topics import Channel

WRITTEN = Path(__file__).parents[3] / "docs" / "asyncapi.json"


def test_the_written_contract_is_what_the_models_say():
    assert WRITTEN.read_text() == render(), (
        "write it anew: python -m hemaline_shared.asyncapi > docs/asyncapi.json"
    )


def test_every_channel_is_in_the_contract():
    assert set(CHANNELS) == set(Channel)


def test_every_reference_in_the_contract_leads_somewhere():
    whole = document()
    for reference in _references(whole):
        place = whole
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def _references(node):
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
