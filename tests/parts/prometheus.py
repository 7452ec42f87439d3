"""A Prometheus of the system, in quick motion."""

import json
import shutil
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from conftest import missing
from hemaline_local.child import Child
from hemaline_local.ports import free_port, http_ok
from parts.waiting import LONG_S

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"


class PrometheusPart:
    """Asks and evaluates each second; `settings` are those of its file, but for that."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        executable = shutil.which("prometheus")
        if not executable:
            missing("prometheus is not installed")
        folder.mkdir(exist_ok=True)
        often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump({"global": often, **settings}))
        self._port = free_port()
        command = [
            str(executable),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        self._child = Child("prometheus", command, folder / "prometheus.log")

    def start(self) -> None:
        port = self._port
        self._child.wait_ready(lambda: http_ok(port, "/-/ready"), timeout_s=LONG_S, port=port)

    def stop(self) -> None:
        self._child.stop()

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the series that answer now."""
        asked = urllib.parse.urlencode({"query": query})
        address = f"http://127.0.0.1:{self._port}/api/v1/query?{asked}"
        with urllib.request.urlopen(address, timeout=LONG_S) as answer:
            answered: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return answered
