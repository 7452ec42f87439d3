"""What must hold of the repository itself."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
IMPORT_FOLDERS = ("shared", "edge", "cloud", "deploy")


def locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return set(re.findall(r"^([a-z0-9.-]+)==", text, re.MULTILINE))


def test_an_edge_install_brings_no_server_and_no_training():
    assert locked("edge").isdisjoint({"torch", "monai", "fastapi", "sqlalchemy", "onnxruntime"})


def test_only_training_brings_torch():
    assert "torch" not in locked("dev") | locked("cloud") | locked("local")


def test_opencv_is_the_build_that_needs_no_screen():
    for lock in ("edge", "cloud", "local", "dev"):
        assert "opencv-python-headless" in locked(lock)
        assert "opencv-python" not in locked(lock)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_with_hashes_and_names_no_address(lock):
    text = lock.read_text()
    assert "://" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


def test_every_command_has_its_package():
    for target in PROJECT["project"]["scripts"].values():
        module, _, attribute = target.partition(":")
        package, _, name = module.partition(".")
        folder = next(ROOT / f / package for f in IMPORT_FOLDERS if (ROOT / f / package).is_dir())
        text = (folder / f"{name}.py").read_text()
        assert re.search(rf"^(def {attribute}\(|{attribute} = )", text, re.MULTILINE)


def test_every_document_that_a_document_links_to_exists():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
