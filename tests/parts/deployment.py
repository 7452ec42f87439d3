"""deploy/compose, started by podman-compose with stand-ins for the servers of others."""

import json
import os
import signal
import ssl
import sys
import urllib.request
from pathlib import Path

from hemaline_local.ports import free_port
from parts.containers import REPOSITORY, Engine

HOSTNAME = "localhost"
_COMPOSE = REPOSITORY / "deploy" / "compose"
_SERVERS = ("MOSQUITTO", "POSTGRES", "SEAWEEDFS", "HAPROXY", "PROMETHEUS", "ALERTMANAGER")


class Deployment:
    """All containers of compose.yaml, with secrets and volumes of their own."""

    def __init__(
        self,
        engine: Engine,
        cloud_image: str,
        stand_ins: str,
        folder: Path,
        **variables: str,
    ) -> None:
        """`variables` are those of compose.yaml that a test sets of its own."""
        self.engine = engine
        self.secrets = folder / "secrets"
        self.project = f"hemaline-test-{os.getpid()}"
        self.broker_port, self.https_port, self.est_port = free_port(), free_port(), free_port()
        self._variables = {f"{server}_IMAGE": stand_ins for server in _SERVERS} | {
            "HEMALINE_CLOUD_IMAGE": cloud_image,
            "HEMALINE_HOSTNAME": f"{HOSTNAME}:{self.https_port}",
            "HEMALINE_SECRETS": str(self.secrets),
            "HEMALINE_BROKER_PORT": str(self.broker_port),
            "HEMALINE_HTTPS_PORT": str(self.https_port),
            "HEMALINE_EST_PORT": str(self.est_port),
            **variables,
        }

    def make_secrets(self) -> None:
        self.engine.run(str(_COMPOSE / "make-secrets.sh"), str(self.secrets), HOSTNAME)

    def compose(self, *arguments: str) -> str:
        command = [str(Path(sys.executable).with_name("podman-compose")), "-p", self.project]
        command += ["-f", str(_COMPOSE / "compose.yaml"), *arguments]
        return self.engine.run(*command, **self._variables).stdout

    def set(self, name: str, value: str) -> None:
        """Give a variable of compose.yaml another value, as an installer does in `.env`."""
        self._variables[name] = value

    def container(self, service: str) -> str:
        return f"{self.project}_{service}_1"

    def inspect(self, service: str) -> dict:
        told = self.engine.run("podman", "inspect", self.container(service)).stdout
        return json.loads(told)[0]

    def address(self, service: str, network: str) -> str:
        """Where this machine alone reaches a container that nobody else does."""
        networks = self.inspect(service)["NetworkSettings"]["Networks"]
        address: str = networks[f"{self.project}_{network}"]["IPAddress"]
        return address

    def starts(self, service: str) -> str:
        """When the service's container was started last."""
        started: str = self.inspect(service)["State"]["StartedAt"]
        return started

    def runs_anew(self, service: str, before: str) -> bool:
        """Whether it was started since, and runs."""
        return self.inspect(service)["State"]["Running"] and self.starts(service) != before

    def ended_well(self, service: str) -> bool:
        state = self.inspect(service)["State"]
        return state["Status"] == "exited" and state["ExitCode"] == 0

    def kill(self, service: str) -> None:
        """Kill the container's process as the system would; the engine must start it again."""
        os.kill(self.inspect(service)["State"]["Pid"], signal.SIGKILL)

    def healthy(self, service: str) -> bool:
        command = ["podman", "healthcheck", "run", self.container(service)]
        return self.engine.run(*command, check=False).returncode == 0

    def cloud(self, service: str, *arguments: str) -> str:
        """Run a verb of operators inside a container that has the settings for it."""
        command = ["podman", "exec", self.container(service), "hemaline-cloud", *arguments]
        return self.engine.run(*command).stdout

    def get(self, path: str, token: str) -> dict:
        """Ask the API, through the proxy and by TLS."""
        context = ssl.create_default_context(cafile=self.secrets / "ca.crt")
        request = urllib.request.Request(
            f"https://{HOSTNAME}:{self.https_port}{path}",
            headers={"Authorization": f"Bearer {token}"},
        )
        with urllib.request.urlopen(request, timeout=30, context=context) as response:
            return json.load(response)

    def logs(self, service: str) -> str:
        ended = self.engine.run("podman", "logs", self.container(service), check=False)
        return ended.stdout + ended.stderr

    def remove(self) -> None:
        self.compose("--profile", "backup", "--profile", "restore", "down", "-v", "-t", "5")
