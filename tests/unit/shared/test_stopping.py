"""Ending in good order, however often one is asked to."""

import signal
import subprocess
import sys

import pytest

WAITING = """
import threading
from hemaline_shared.stopping import on_stop_signal

stopping = threading.Event()
on_stop_signal(stopping.set)
print("ready", flush=True)
while not stopping.wait(0.00001):  # nearly always inside the event's lock
    pass
print("ended in good order", flush=True)
while True:
    stopping.wait(0.00001)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_burst_of_signals_ends_a_process_that_waits(number):
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        for _ in range(2000):
            process.send_signal(number)
        assert process.stdout.readline() == "ended in good order\n"
        process.kill()
