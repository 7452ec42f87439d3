"""A port that cannot be had is told in a sentence that names the setting."""

import socket

import pytest

from hemaline_shared.errors import PermanentError
from hemaline_shared.listening import listen


def refusal(host, port):
    with pytest.raises(PermanentError) as refused:
        listen(host, port, what="health", setting="HEMALINE_HEALTH__")
    assert refused.value.reason == "cannot-listen"
    return str(refused.value)


def test_a_free_port_is_taken_and_answers():
    with listen("127.0.0.1", 0, what="health", setting="X_") as listener:
        socket.create_connection(listener.getsockname(), timeout=30).close()


def test_every_address_can_be_listened_on_by_a_setting():
    with listen("0.0.0.0", 0, what="health", setting="X_") as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=30).close()


def test_a_taken_port_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refusal("127.0.0.1", port)
    assert told == (
        f"health cannot listen on 127.0.0.1, port {port}: another program listens there; "
        "set HEMALINE_HEALTH__PORT to another port"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_told(host):
    assert "set HEMALINE_HEALTH__HOST" in refusal(host, 0)
