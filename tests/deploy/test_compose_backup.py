"""A backup of the containers, made as docs/operations.md says, brings back what was deleted."""

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import psycopg
import pytest
from pydantic import SecretStr

from hemaline_cloud.database.engine import make_engine
from hemaline_cloud.objects.store import ObjectStore, open_store
from hemaline_cloud.principal import service
from hemaline_cloud.settings import S3Objects
from parts.containers import REPOSITORY
from parts.deployment import Deployment
from parts.queued import queue_field
from parts.waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("compose")]

UNIT = REPOSITORY / "deploy" / "systemd" / "hemaline-backup.service"
ARCHIVED = re.compile(r"^hemaline_backup_archive_timestamp_seconds (\S+)$", re.MULTILINE)
KEPT = ("database", "s3", "migrate", "backup")
DATABASE_USER = 999


@pytest.fixture
def deployment(engine, cloud_image, tmp_path) -> Iterator[Deployment]:
    """The servers that keep what is known, and what backs them up; nobody else is needed."""
    stand_ins = engine.build_stand_ins()
    made = Deployment(
        engine,
        cloud_image,
        stand_ins,
        tmp_path,
        HEMALINE_BACKUP_IMAGE=engine.build_backup(cloud_image, stand_ins),
        HEMALINE_BACKUP_FOLDER=str(folder_of(tmp_path, "backup")),
    )
    made.make_secrets()
    try:
        made.compose("--profile", "backup", "up", "-d", *KEPT)
        wait_until(lambda: made.ended_well("migrate"))
        yield made
    finally:
        made.remove()


def folder_of(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    os.chown(folder, DATABASE_USER, DATABASE_USER)
    return folder


def secret(deployment: Deployment, name: str) -> str:
    return (deployment.secrets / name).read_text()


def objects(deployment: Deployment) -> ObjectStore:
    return open_store(
        S3Objects(
            endpoint=f"{deployment.address('s3', 'store')}:8333",
            bucket="hemaline",
            access_key="hemaline",
            secret_key=SecretStr(secret(deployment, "s3-secret-key")),
            secure=False,
        )
    )


def url(deployment: Deployment, role: str, password: str) -> str:
    host = deployment.address("database", "store")
    return f"postgresql://{role}:{secret(deployment, password)}@{host}/hemaline"


def store_fields(deployment: Deployment, number: int) -> None:
    engine = make_engine(
        url(deployment, "hemaline_application", "application-password"),
        principal=service("tests"),
    )
    for _ in range(number):
        queue_field(engine, objects(deployment), [])
    engine.dispose()


def delete_everything(deployment: Deployment) -> None:
    with psycopg.connect(url(deployment, "postgres", "postgres-password")) as connection:
        connection.execute("delete from work")
        connection.execute("delete from fields")
    store = objects(deployment)
    for kept in list(store.list_under("fields")):
        store.delete(kept.key)


def archived_at(deployment: Deployment) -> float:
    """Up to when all could be restored, as `backup` tells Prometheus."""
    with urlopen(f"http://{deployment.address('backup', 'watch')}:9100/metrics") as answer:
        told = ARCHIVED.search(answer.read().decode())
    return float(told[1]) if told else 0


def make_base_backup(deployment: Deployment) -> str:
    """Run what the timer's service runs, one command after the other."""
    commands = re.findall(r"^ExecStart=(.+)$", UNIT.read_text(), re.MULTILINE)
    told = ""
    for command in commands:
        ours = command.replace("hemaline_backup_1", deployment.container("backup"))
        told += deployment.engine.run(*ours.split()).stdout
    return told


def test_what_was_deleted_comes_back_to_the_moment_before(deployment, tmp_path):
    store_fields(deployment, 3)
    assert re.search(r"bytes in .* s, verified\.\n0 base backups", make_base_backup(deployment))
    store_fields(deployment, 2)
    stored = time.time()
    wait_until(lambda: archived_at(deployment) > stored)
    assert deployment.healthy("backup")
    before = datetime.now(UTC)
    time.sleep(1)
    delete_everything(deployment)
    deleted = time.time()
    wait_until(lambda: archived_at(deployment) > deleted)

    deployment.compose("--profile", "backup", "down", "-t", "30")
    for volume in ("database", "objects"):
        deployment.engine.run("podman", "volume", "rm", f"{deployment.project}_{volume}")
    deployment.compose("up", "-d", "s3")
    restore = ["--profile", "restore", "run", "--rm", "-T", "restore"]
    assert "5 objects" in deployment.compose(*restore, "--until", before.isoformat())
    deployment.compose("up", "-d", "database", "s3")
    wait_until(lambda: deployment.healthy("database"))
    verified = deployment.compose("run", "--rm", "-T", "--no-deps", "ingest", "verify", "--hashes")
    assert "5 rows name an object: 0 of these are missing or changed." in verified
    assert "5 objects are stored: 0 have no row." in verified

    deployment.set("HEMALINE_BACKUP_FOLDER", str(folder_of(tmp_path, "new-backup")))
    deployment.compose("--profile", "backup", "up", "-d", *KEPT)
    make_base_backup(deployment)
    started = time.time()
    wait_until(lambda: archived_at(deployment) > started)
