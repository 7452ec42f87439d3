"""Rules of Prometheus: each alert fires for its fault, is quiet without it, and has a runbook."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from conftest import missing
from hemaline_edge.metrics import EdgeMetrics

REPOSITORY = Path(__file__).parents[3]
RULES = REPOSITORY / "deploy" / "prometheus"
TESTS = Path(__file__).with_name("alerts.test.yml")
OURS = re.compile(rb"^(# (HELP|TYPE) )?hemaline_")


def alerts() -> dict[str, dict[str, str]]:
    """Each alert and its annotations."""
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["annotations"] for group in groups for rule in group["rules"]}


@pytest.fixture
def promtool():
    if not shutil.which("promtool"):
        missing("promtool checks rules and names of metrics")

    def run(*arguments: str, **more) -> str:
        done = subprocess.run(["promtool", *arguments], capture_output=True, check=False, **more)
        told = (done.stdout + done.stderr).decode()
        assert done.returncode == 0, told
        return told

    return run


def test_the_rules_are_rules(promtool):
    for file in ("recording.yml", "alerts.yml"):
        assert "SUCCESS" in promtool("check", "rules", str(RULES / file))


def test_each_alert_fires_for_its_fault_and_is_quiet_without(promtool):
    assert "SUCCESS" in promtool("test", "rules", TESTS.name, cwd=TESTS.parent)
    tested = {test["name"] for test in yaml.safe_load(TESTS.read_text())["tests"]}
    assert set(alerts()) <= tested


def test_each_alert_leads_to_a_section_of_the_runbook():
    headings = re.findall(
        r"^#+ (.+)$", (REPOSITORY / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}
    for name, annotations in alerts().items():
        page, _, anchor = annotations["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors, f"{name} has no section there"
        assert annotations["summary"]


def test_the_names_of_every_processs_metrics_keep_prometheus_rules(promtool):
    edge = CollectorRegistry()
    EdgeMetrics(edge)
    exposed = (generate_latest() + generate_latest(edge)).splitlines(keepends=True)
    ours = b"".join(line for line in exposed if OURS.match(line))
    assert promtool("check", "metrics", input=ours) == ""
