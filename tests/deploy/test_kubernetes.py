"""The rendered manifests: valid, locked down, complete, and KEDA's question has the true answer."""

import os
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import psycopg
import pytest
import yaml

from conftest import missing
from hemaline_cloud.database.engine import make_engine, unit_of_work
from hemaline_cloud.database.work import queue_state
from hemaline_cloud.objects.store import open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import (
    PROCESSES,
    ApiSettings,
    DirectoryObjects,
    InferSettings,
    IngestSettings,
    MigrateSettings,
)
from hemaline_shared.pixels.pipeline import PIXEL_PIPELINE_VERSION
from hemaline_shared.settings import read_settings
from parts.postgres import as_owner
from parts.queued import queue_field

pytestmark = pytest.mark.deploy

K8S = Path(__file__).parents[2] / "deploy" / "k8s"
OURS = {"apps/v1", "batch/v1"}
SETTINGS = {
    "ingest": IngestSettings,
    "infer": InferSettings,
    "api": ApiSettings,
    "migrate": MigrateSettings,
}
SECRETS = "/run/secrets/hemaline"


@pytest.fixture(scope="module", params=["base", "overlays/hospital", "overlays/gpu"])
def manifests(request):
    kubectl = shutil.which("kubectl")
    if not kubectl:
        missing("kubectl renders the manifests")
    told = subprocess.run(
        [kubectl, "kustomize", str(K8S / request.param)], capture_output=True, check=True
    )
    assert told.stderr == b""
    return list(yaml.safe_load_all(told.stdout))


@pytest.fixture
def pods(manifests):
    """Each pod's template by its name."""
    return {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in manifests
        if one["apiVersion"] in OURS
    }


def of_kind(manifests, kind):
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def test_every_manifest_is_one_that_kubernetes_takes(manifests):
    for one in manifests:
        if not one["apiVersion"].startswith("keda.sh/"):  # a custom resource has no schema here
            kubernetes_validate.validate(one, "1.31", strict=True)


def test_no_pod_may_more_than_it_needs(pods):
    assert set(pods) == set(SETTINGS)
    for pod in (template["spec"] for template in pods.values()):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]


def test_what_serves_tells_whether_it_lives_and_is_ready(pods):
    for name in ("ingest", "infer", "api"):
        (container,) = pods[name]["spec"]["containers"]
        asked = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("liveness", "readiness")}
        assert asked["liveness"]["path"] == "/healthz"
        assert asked["readiness"]["path"] == "/readyz"


def test_the_worker_has_more_time_to_stop_than_it_takes(pods):
    grace = pods["infer"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > InferSettings.model_fields["stop_grace_s"].default


def test_secrets_come_from_outside(manifests):
    assert of_kind(manifests, "Secret") == {}


def test_each_process_takes_what_its_pod_sets(manifests, pods, tmp_path, monkeypatch):
    (settings,) = of_kind(manifests, "ConfigMap").values()
    for name in [key for key in os.environ if key.startswith("HEMALINE_")]:
        monkeypatch.delenv(name)
    for name, template in pods.items():
        (container,) = template["spec"]["containers"]
        here = tmp_path / name
        for mount in container["volumeMounts"]:
            folder = here / Path(mount["mountPath"]).name
            folder.mkdir(parents=True)
            for key in ("application-url", "owner-url", "secret-key", "key"):
                (folder / key).write_text("postgresql://somebody@somewhere/hemaline-of-32-letters")
        told = {one["name"]: one["value"] for one in container.get("env", [])}
        if "envFrom" in container:
            told |= settings["data"]
        with monkeypatch.context() as environment:
            for key, value in told.items():
                environment.setenv(key, value.replace(SECRETS, str(here)))
            taken = read_settings(SETTINGS[name], beside=PROCESSES)
        assert taken.database_url.get_secret_value().endswith("letters")


def test_what_has_several_is_never_all_away_at_once(manifests):
    assert {"api", "infer"} <= set(of_kind(manifests, "PodDisruptionBudget"))


def test_nobody_reaches_anybody_who_is_not_named(manifests):
    policies = of_kind(manifests, "NetworkPolicy")
    assert policies["nobody"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    named = {
        policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        for name, policy in policies.items()
        if name.endswith("-out")
    }
    assert named == set(SETTINGS)


def test_keda_asks_for_the_workers_number_alone(manifests):
    (scaled,) = of_kind(manifests, "ScaledObject").values()
    assert scaled["spec"]["scaleTargetRef"]["name"] == "infer"
    assert scaled["spec"]["minReplicaCount"] == 1
    assert "replicas" not in of_kind(manifests, "Deployment")["infer"]["spec"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["authenticationRef"]["name"] in of_kind(manifests, "TriggerAuthentication")


def test_kedas_question_has_the_true_answer_for_a_role_that_may_do_nothing_else(
    manifests, database_url, tmp_path
):
    (scaled,) = of_kind(manifests, "ScaledObject").values()
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    engine = make_engine(database_url, principal=service("tests"))
    store = open_store(DirectoryObjects(path=tmp_path / "objects"))
    for _ in range(3):
        queue_field(engine, store, [])
    with unit_of_work(engine) as connection:
        depth = queue_state(connection, [PIXEL_PIPELINE_VERSION]).depth
    engine.dispose()
    owner = as_owner(database_url)
    role = (K8S / "base" / "scaler-role.sql").read_text().replace(":'password'", "'secret'")
    scaler = owner.replace("//postgres@", "//hemaline_scaler@")
    with psycopg.connect(owner, autocommit=True) as administrator:
        administrator.execute(role)
        try:
            with psycopg.connect(scaler, autocommit=True) as asking:
                assert asking.execute(query).fetchone() == (depth,) == (3,)
                for refused in ("select * from slides", "delete from work"):
                    with pytest.raises(psycopg.errors.Error):
                        asking.execute(refused)
        finally:
            administrator.execute("drop owned by hemaline_scaler")
            administrator.execute("drop role hemaline_scaler")
