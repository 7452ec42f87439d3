"""make-secrets.sh: each file once, and certificates for the name that is used."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

COMPOSE = Path(__file__).parents[3] / "deploy" / "compose"


def make_secrets(folder: Path, hostname: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMPOSE / "make-secrets.sh"), str(folder), hostname]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def names_in(certificate: Path) -> str:
    command = ["openssl", "x509", "-in", str(certificate), "-noout", "-ext", "subjectAltName"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "secrets"
    assert make_secrets(folder, "hemaline.example").returncode == 0
    return folder


def test_every_secret_that_compose_wants_is_there_and_no_two_are_alike(secrets):
    wanted = yaml.safe_load((COMPOSE / "compose.yaml").read_text())["secrets"]
    made = contents(secrets)
    assert set(wanted) <= set(made)
    assert len({made[name] for name in wanted}) == len(wanted)


def test_what_is_there_stays_and_what_is_new_is_added(secrets):
    before = contents(secrets)
    (secrets / "backup-url").unlink()
    assert make_secrets(secrets, "hemaline.example").returncode == 0
    assert contents(secrets) == before


def test_another_name_than_the_certificates_have_is_told(secrets):
    done = make_secrets(secrets, "other.example")
    assert done.returncode == 1
    assert re.search(r"for another name than other\.example\. Remove", done.stderr)


def test_a_machine_without_a_name_gets_certificates_for_its_address(tmp_path):
    assert make_secrets(tmp_path / "secrets", "10.1.2.3").returncode == 0
    assert "IP Address:10.1.2.3" in names_in(tmp_path / "secrets" / "est.crt")
    assert "IP Address:10.1.2.3" in names_in(tmp_path / "secrets" / "broker.crt")
