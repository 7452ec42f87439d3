"""A frame goes from a microscope to its result through the containers, whichever of them dies."""

import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import cv2
import pytest

from hemaline_edge.simulator.settings import SmearSettings
from hemaline_edge.simulator.smear import SmearSimulator
from parts.containers import Engine
from parts.deployment import Deployment
from parts.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("compose")]

IN_THE_WAY = ("broker", "est", "database", "s3", "ingest", "infer", "api", "proxy")
WATCHING = ("prometheus", "alertmanager")
BUNDLE = "/opt/hemaline/models/hemaline-3"


class Microscope:
    """The agent in its image, beside a folder into which the test puts fields."""

    def __init__(self, deployment: Deployment, image: str, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder / "fields"
        self._name = f"{deployment.project}_microscope"
        self._smear = SmearSimulator(SmearSettings(seed=7, blurred=0, over_exposed=0, empty=0))
        self.put = 0
        self._folder.mkdir()
        identity = folder / "identity"
        identity.mkdir()
        shutil.copy(deployment.secrets / "ca.crt", identity)
        token = deployment.cloud("est", "devices", "enrol", "north/scope-1")
        (identity / "token").write_text(token)
        for file in (identity, *identity.iterdir()):
            shutil.chown(file, 10001, 10001)
        settings = {
            "SITE": "north",
            "DEVICE": "scope-1",
            "SOURCE__KIND": "folder",
            "SOURCE__PATH": "/fields",
            "SPOOL__PATH": "/var/lib/hemaline/spool",
            "PUBLISHER__INLINE_LIMIT_BYTES": str(6 * 1024**2),
            "BROKER__HOST": "localhost",
            "BROKER__PORT": str(deployment.broker_port),
            "BROKER__CA": "/identity/ca.crt",
            "BROKER__CERTIFICATE": "/identity/device.crt",
            "BROKER__KEY": "/identity/device.key",
            "ENROLMENT__SERVER": f"https://localhost:{deployment.est_port}",
            "ENROLMENT__CA": "/identity/ca.crt",
        }
        options = ["--network=host", "--read-only", "--cap-drop=all"]
        options += ["--security-opt=no-new-privileges"]
        options += [f"--volume={identity}:/identity", f"--volume={self._folder}:/fields:ro"]
        options += [f"--volume={self._name}:/var/lib/hemaline"]
        options += [f"--env=HEMALINE_{name}={value}" for name, value in settings.items()]
        run = deployment.engine.run
        run("podman", "run", "--rm", *options, image, "enrol", "--token-file", "/identity/token")
        run("podman", "run", "-d", "--name", self._name, *options, image, "run")

    def capture(self) -> None:
        """Let the microscope's software write one more field, whole at once."""
        self.put += 1
        image = self._smear.field(1, self.put).image
        waiting = self._folder / f".{self.put}.png"
        assert cv2.imwrite(str(waiting), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        slide = self._folder / "S1"
        slide.mkdir(exist_ok=True)
        waiting.rename(slide / f"{self.put}.png")

    def restart(self) -> None:
        self._deployment.engine.run("podman", "restart", "-t", "10", self._name)

    def remove(self) -> None:
        self._deployment.engine.run("podman", "rm", "-f", "-t", "5", "-v", self._name)
        self._deployment.engine.run("podman", "volume", "rm", "-f", self._name, check=False)


@pytest.fixture(scope="module")
def deployment(engine: Engine, cloud_image, tmp_path_factory) -> Iterator[Deployment]:
    stand_ins = engine.build_stand_ins()
    made = Deployment(engine, cloud_image, stand_ins, tmp_path_factory.mktemp("deployment"))
    made.make_secrets()
    try:
        made.compose("up", "-d")
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def token(deployment: Deployment) -> str:
    """What deploy/README.md lets an installer do after the first start."""
    wait_until(lambda: deployment.ended_well("migrate"))
    deployment.cloud("infer", "bundles", "appoint", BUNDLE)
    deployment.cloud("api", "people", "add", "test", "--service", "--role", "operator")
    told = deployment.cloud("api", "tokens", "add", "test", "--for", "tests", "--scope", "read")
    return re.findall(r"hml_[\w-]+", told)[-1]


@pytest.fixture(scope="module")
def microscope(deployment, token, edge_image, tmp_path_factory) -> Iterator[Microscope]:
    made = Microscope(deployment, edge_image, tmp_path_factory.mktemp("microscope"))
    yield made
    made.remove()


def counts(deployment: Deployment, token: str) -> dict[str, int]:
    """Captured frames by what became of them; nothing while the API is away."""
    try:
        slides = deployment.get("/api/v1/slides", token)["items"]
    except OSError:
        return {}
    states = ("captured", "with_result", "rejected", "quarantined", "pending")
    return {state: sum(slide["counts"][state] for slide in slides) for state in states}


def all_have_results(deployment: Deployment, token: str, frames: int) -> bool:
    told = counts(deployment, token)
    return bool(told) and told["captured"] == frames == told["with_result"]


def test_a_frame_from_the_microscope_gets_its_result(deployment, token, microscope):
    microscope.capture()
    wait_until(lambda: all_have_results(deployment, token, microscope.put))


@pytest.mark.parametrize("service", IN_THE_WAY)
def test_a_new_frame_gets_its_result_after_a_container_was_killed(
    deployment, token, microscope, service
):
    before = deployment.starts(service)
    deployment.kill(service)
    microscope.capture()
    wait_until(lambda: deployment.runs_anew(service, before))
    wait_until(lambda: all_have_results(deployment, token, microscope.put))


@pytest.mark.parametrize("service", WATCHING)
def test_what_watches_is_started_again_too(deployment, service):
    before = deployment.starts(service)
    deployment.kill(service)
    wait_until(lambda: deployment.runs_anew(service, before))


@pytest.mark.parametrize("service", IN_THE_WAY + WATCHING)
def test_a_containers_own_health_check_passes(deployment, token, service):
    wait_until(lambda: deployment.healthy(service))


@pytest.mark.parametrize("service", IN_THE_WAY + WATCHING)
def test_a_container_has_no_right_and_a_file_system_that_it_cannot_write(deployment, service):
    told = deployment.inspect(service)
    assert not told["EffectiveCaps"]
    assert told["HostConfig"]["ReadonlyRootfs"]
    assert told["Config"]["User"] not in {"", "0", "root"}


@pytest.mark.parametrize("service", IN_THE_WAY + WATCHING)
def test_no_secret_stands_in_what_the_engine_tells_of_a_container(deployment, service):
    told = str(deployment.inspect(service))
    for name in (
        "owner-password",
        "application-password",
        "postgres-password",
        "s3-secret-key",
        "identity-key",
    ):
        assert (deployment.secrets / name).read_text() not in told


def test_only_proxy_broker_and_est_are_reached_from_outside(deployment):
    ports = {
        service: deployment.inspect(service)["HostConfig"]["PortBindings"] or {}
        for service in IN_THE_WAY + WATCHING
    }
    assert {service for service, bound in ports.items() if bound} == {"broker", "est", "proxy"}


def test_the_broker_takes_nobody_without_a_certificate(deployment, token):
    context = ssl.create_default_context(cafile=deployment.secrets / "ca.crt")
    with (
        socket.create_connection(("localhost", deployment.broker_port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as encrypted,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
    ):
        encrypted.recv(1)


def test_the_browsers_side_gives_no_metrics_away(deployment, token):
    with pytest.raises(HTTPError) as refused:
        deployment.get("/metrics", token)
    refused.value.close()
    assert refused.value.code == 404


def test_what_prometheus_is_told_is_in_order(deployment, engine):
    command = ["podman", "exec", deployment.container("prometheus"), "promtool", "check", "config"]
    told = engine.run(*command, "/etc/prometheus/prometheus.yml").stdout
    assert "SUCCESS: 5 rules found" in told, "recorded"
    assert "SUCCESS: 18 rules found" in told, "alerts"


def test_a_revoked_microscope_does_not_come_back(deployment, token, microscope):
    """The last one: nothing is heard of the microscope after it."""
    wait_until(lambda: all_have_results(deployment, token, microscope.put))
    deployment.cloud("est", "devices", "revoke", "north/scope-1", "--why", "stolen")
    microscope.restart()
    microscope.capture()
    wait_until(lambda: "certificate verify failed" in deployment.logs("broker"))
    assert counts(deployment, token)["captured"] == microscope.put - 1
