"""Bills of materials name what is in an image; a feed that is away never reads as "none found"."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SBOM = Path(__file__).parents[3] / "deploy" / "sbom"
LIBSSL = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.17-1\n"
FINE = {"name": "anyio", "version": "4.0", "vulns": []}
HOLED = {"name": "old", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "own", "skip_reason": "not on the index"}


def run(script, *arguments):
    command = [sys.executable, str(SBOM / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def audit(tmp_path):
    """Makes a pip-audit that says and ends as told."""

    def make(stdout, status=0, stderr=""):
        path = tmp_path / "pip-audit"
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.stdout.write({stdout!r})\n"
            f"sys.stderr.write({stderr!r})\nsys.exit({status})\n"
        )
        path.chmod(0o755)
        return path

    return make


def test_an_images_bill_names_debians_packages_and_pythons(tmp_path):
    records = tmp_path / "var" / "lib" / "dpkg" / "status.d"
    records.mkdir(parents=True)
    (records / "libssl3").write_text(LIBSSL)
    wheel = tmp_path / "opt/hemaline/lib/python3.11/site-packages/Some_Wheel-1.2.dist-info"
    wheel.mkdir(parents=True)
    (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: Some_Wheel\nVersion: 1.2\n\nText")
    bill = json.loads(run("image.py", "hemaline-cloud", tmp_path).stdout)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [one["purl"] for one in bill["components"]] == [
        "pkg:deb/debian/libssl3@3.0.17-1?arch=amd64&distro=debian-12",
        "pkg:pypi/some-wheel@1.2",
    ]


def test_a_folder_that_is_no_image_has_no_bill(tmp_path):
    done = run("image.py", "hemaline-cloud", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize(
    ("told", "status", "said"),
    [
        ([FINE], 0, "cloud.txt: 1 packages looked up, none is known to be vulnerable\n"),
        ([FINE, HOLED], 1, "cloud.txt: old 1.0: CVE-1, mended by 1.1\n"),
        ([FINE, UNKNOWN], 3, "cloud.txt: NOT CHECKED: 1 of 2 packages; not on the index: own\n"),
        ([HOLED, UNKNOWN], 1, "cloud.txt: NOT CHECKED: 1 of 2 packages; not on the index: own\n"),
        ([], 3, "cloud.txt: NOT CHECKED: 0 of 0 packages: \n"),
    ],
)
def test_what_the_feed_says_is_told(audit, told, status, said):
    made = audit(json.dumps({"dependencies": told}), status=1 if status == 1 else 0)
    done = run("vulnerabilities.py", made, "requirements/cloud.txt")
    assert done.returncode == status
    assert done.stdout.endswith(said)


def test_a_feed_that_does_not_answer_is_not_checked(audit):
    away = audit("", status=1, stderr="retrying\nConnectionError: no route to host\n")
    done = run("vulnerabilities.py", away, "requirements/edge.txt")
    assert (done.returncode, done.stdout) == (
        3,
        "edge.txt: NOT CHECKED: ConnectionError: no route to host\n",
    )


def test_a_checker_that_is_not_there_checked_nothing(tmp_path):
    done = run("vulnerabilities.py", tmp_path / "none", "requirements/edge.txt")
    assert done.returncode == 3
    assert "edge.txt: NOT CHECKED: " in done.stdout
