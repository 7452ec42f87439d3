"""The images hold what they need and nothing else, and run with no right at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from parts.containers import REPOSITORY

pytestmark = pytest.mark.deploy

BARE = ["podman", "run", "--rm", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all"]
BARE += ["--security-opt=no-new-privileges", "--network=none"]
MB = 1_000_000


@pytest.fixture(scope="session", params=["cloud", "edge"])
def image(request, engine):
    return request.getfixturevalue(f"{request.param}_image")


def inspected(engine, image):
    return json.loads(engine.run("podman", "image", "inspect", image).stdout)[0]


def test_an_image_starts_read_only_without_capabilities_and_says_what_it_can(engine, image):
    assert "Usage: hemaline-" in engine.run(*BARE, image, "--help").stdout


def test_an_image_runs_as_nobody_in_particular(engine, image):
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    told = engine.run(*BARE, "--entrypoint=python", image, "-c", code).stdout
    assert told.split()[:2] == ["10001", "10001"]
    assert "0" not in told.replace("10001", "")


def test_an_image_holds_no_shell_no_installer_and_nothing_that_gains_rights(engine, image):
    code = (
        "import os, stat\n"
        "for folder, _, files in os.walk('/'):\n"
        "    if folder.startswith(('/proc', '/sys')): continue\n"
        "    for file in files:\n"
        "        path = os.path.join(folder, file)\n"
        "        mode = os.lstat(path).st_mode\n"
        "        if mode & (stat.S_ISUID | stat.S_ISGID) or file in "
        "('sh', 'bash', 'dash', 'dpkg', 'apt', 'pip', 'pip3', 'busybox', 'gcc'): print(path)\n"
    )
    assert engine.run(*BARE, "--entrypoint=python", image, "-c", code).stdout == ""


def test_an_image_tells_scanners_which_packages_of_debian_are_in_it(engine, image):
    code = "import pathlib; print(pathlib.Path('/var/lib/dpkg/status.d/libssl3').read_text())"
    assert "Version: 3." in engine.run(*BARE, "--entrypoint=python", image, "-c", code).stdout


def test_an_images_bill_of_materials_names_what_is_in_it(engine, image, tmp_path):
    container = engine.run("podman", "create", image).stdout.strip()
    engine.run("podman", "export", "-o", str(tmp_path / "image.tar"), container)
    engine.run("podman", "rm", container)
    root = tmp_path / "root"
    root.mkdir()
    unpack = ["tar", "-x", "-f", str(tmp_path / "image.tar"), "-C", str(root), "--exclude=dev/*"]
    subprocess.run([*unpack, "--no-same-owner"], check=True)
    script = REPOSITORY / "deploy" / "sbom" / "image.py"
    told = subprocess.run(
        [sys.executable, str(script), "image", str(root)], capture_output=True, check=True
    )
    purls = [one["purl"] for one in json.loads(told.stdout)["components"]]
    for begins in ("pkg:deb/debian/libssl3@3.", "pkg:pypi/pydantic@2.", "pkg:pypi/hemaline@"):
        assert any(purl.startswith(begins) for purl in purls), begins


def test_settings_that_are_wrong_end_a_container_with_status_2(engine, cloud_image):
    variable = "--env=HEMALINE_DATABASE_URL_FILE=/run/secrets/none"
    ended = engine.run(*BARE, variable, cloud_image, "api", check=False)
    assert ended.returncode == 2
    assert "cannot be read: No such file" in ended.stderr


def test_the_agents_image_is_small(engine, edge_image):
    size = inspected(engine, edge_image)["Size"]
    assert size < 450 * MB, f"{size / MB:.0f} MB"


def test_the_agents_image_holds_nothing_of_the_cloud(engine, edge_image):
    code = "import importlib.util as u; print([u.find_spec(f'hemaline_{n}') for n in NAMES])"
    code = code.replace("NAMES", "('cloud', 'train', 'local')")
    told = engine.run(*BARE, "--entrypoint=python", edge_image, "-c", code).stdout
    assert told.strip() == "[None, None, None]"


def test_the_containerfiles_pass_hadolint():
    files = sorted(REPOSITORY.glob("deploy/images/*.Containerfile"))
    hadolint = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run(
        [str(hadolint), *map(str, files)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "")
