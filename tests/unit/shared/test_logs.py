"""Logs: one form for all that a process says, also for what nobody caught."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys, threading
from hemaline_shared.logs import set_up_logging
from hemaline_shared.redaction import register_secret
register_secret("postgresql://me:Geheim42@db/data")
set_up_logging("info", sys.argv[1])
logging.getLogger("a").warning("no answer from %s", "postgresql://me:Geheim42@db/data")
try:
    raise ValueError("Geheim42")
except ValueError:
    logging.getLogger("a").exception("it failed")
def die(): raise RuntimeError("in a thread: Geheim42")
thread = threading.Thread(target=die)
thread.start()
thread.join()
raise RuntimeError("at the end: Geheim42")
"""


def said(form):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "Geheim" not in run.stdout + run.stderr
    return run.stderr


def test_every_line_of_a_json_log_is_json_to_the_last_one_of_a_crash():
    records = [json.loads(line) for line in said("json").splitlines()]
    assert [record["level"] for record in records] == ["warning", "error", "critical", "critical"]
    assert "ValueError: ***" in records[1]["exception"]
    assert "in a thread: ***" in records[2]["exception"]
    assert "at the end: ***" in records[3]["exception"]


def test_a_text_log_tells_a_crash_in_plain_lines():
    text = said("text")
    assert "RuntimeError: at the end: ***" in text
    assert "no answer from ***" in text
    assert "│" not in text


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_message_can_steer_a_terminal(form):
    script = SCRIPT.replace("no answer from", "no answer\\x1b[2J from")
    run = subprocess.run(
        [sys.executable, "-c", script, form], capture_output=True, text=True, check=False
    )
    assert "\x1b" not in run.stderr
