"""`hemaline demo` and `hemaline up`, run as a person runs them."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import httpx2
import numpy as np
import psutil
import pytest

from hemaline_cloud.inference.bundle import load_bundle
from hemaline_cloud.inference.shipped import shipped_bundle
from hemaline_edge.simulator import SmearSettings, SmearSimulator
from parts.bundles import tiny_untrained
from parts.waiting import LONG_S, wait_until

HEMALINE = str(Path(sys.executable).with_name("hemaline"))


def demo(
    home: Path, *options: str, timeout_s: float = 3 * LONG_S
) -> subprocess.CompletedProcess[str]:
    command = [HEMALINE, "demo", "--exit", "--home", str(home), "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def processes_of(home: Path) -> list[str]:
    """Whatever still runs with this home's files on its command line or in its environment."""
    left = []
    for process in psutil.process_iter():
        try:
            lines = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(home) in line for line in lines):
            left.append(" ".join(process.cmdline()))
    return left


@pytest.fixture
def small_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle that starts and answers in a moment, where what it says is not looked at."""
    monkeypatch.setenv("HEMALINE_BUNDLE", str(tiny_untrained(tmp_path / "small")))


def read_summary(file: Path) -> dict:
    counts = json.loads(file.read_text())
    settled = counts["with_result"] + counts["rejected"] + counts["quarantined"]
    assert counts["captured"] == settled
    return counts


def test_simulated_slides_come_to_a_result_and_nothing_is_left_running(home, tmp_path):
    summary = tmp_path / "summary.json"
    run = demo(home, "--microscopes", "2", "--fields", "3", "--summary", str(summary))
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"haematologist +\S{19}\n", run.stdout), "no log-in was told"
    assert "Nothing lost: 6 captured" in run.stdout
    counts = read_summary(summary)
    assert counts["captured"] == 6
    assert len(counts["slides"]) == 2
    bundle = shipped_bundle()
    labels = load_bundle(bundle).manifest.cell_task.labels if bundle else ()
    for slide in counts["slides"]:
        assert slide["cells_by_class"].keys() <= {"unclassified", *labels}
        assert ("untrained-model" in slide["flags"]) is (bundle is None)
    assert processes_of(home) == []
    with up(home) as process:
        told = text_until_ready(process)
        with closing(Reader(address_in(told), home)) as reader:
            assert reader.results() == 6, "the data did not stay for the next run"
            for cell in reader.cells_of(counts["slides"][0]["id"]):
                assert (cell["probability"] is None) is (bundle is None)
    assert f"names and passwords to log in: {home / 'log-ins.json'}" in told
    assert not any(password in told for password in log_ins(home).values()), "told a second time"


@pytest.mark.usefixtures("small_bundle")
def test_a_folder_with_good_and_bad_files_ends_with_a_state_for_each(home, tmp_path):
    images = tmp_path / "images"
    draw_fields(images / "slide-a", 3)
    draw_fields(images / "slide-b", 2, of_slide=1)
    whole = (images / "slide-a" / "field-0.png").read_bytes()
    (images / "slide-a" / "cut-off.png").write_bytes(whole[: len(whole) // 2])
    (images / "slide-b" / "letter.jpg").write_text("Dear microscope")
    blank = np.full((480, 640, 3), 255, np.uint8)
    cv2.imwrite(str(images / "slide-b" / "blank.png"), blank)
    make_old(images)
    summary = tmp_path / "summary.json"
    run = demo(home, "--images", str(images), "--summary", str(summary))
    assert run.returncode == 0, run.stdout + run.stderr
    counts = read_summary(summary)
    by_label = {slide["label"]: slide for slide in counts["slides"]}
    assert by_label["slide-a"]["with_result"] == 3
    assert by_label["slide-a"]["quarantined"] == 1
    assert by_label["slide-b"]["with_result"] == 2
    assert (by_label["slide-b"]["quarantined"], by_label["slide-b"]["rejected"]) == (1, 1)
    for slide in counts["slides"]:
        assert slide["cells_by_class"].keys() <= {"unclassified"}, "an untrained bundle classified"
        assert "untrained-model" in slide["flags"]


@contextmanager
def up(home: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [HEMALINE, "up", "--home", str(home), "--port", "0", "--broker-port", "0", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def running(home: Path, small_bundle: None) -> Iterator[subprocess.Popen[str]]:
    """`hemaline up` with one simulated microscope."""
    with up(home, "--microscopes", "1") as process:
        yield process


def address_in(told: str) -> str:
    found = re.search(r"Results: (http://\S+)", told)
    assert found
    return found[1]


def log_ins(home: Path) -> dict[str, str]:
    """The passwords by role, out of the file that a home keeps."""
    return json.loads((home / "log-ins.json").read_text())


def text_until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    told = ""
    for line in process.stdout:
        told += line
        if "Results: " in line:
            return told
    raise AssertionError(f"it ended before it was ready:\n{told}")


class Reader:
    """The haematologist of a home, logged in with the password that its file keeps."""

    def __init__(self, address: str, home: Path) -> None:
        self._address = address
        self._password = log_ins(home)["haematologist"]
        self._client = httpx2.Client(base_url=address, timeout=LONG_S, follow_redirects=True)
        self._log_in()

    def close(self) -> None:
        self._client.close()

    def results(self) -> int:
        slides = self._read("api/v1/slides")
        return sum(slide["counts"]["with_result"] for slide in slides)

    def cells_of(self, slide_id: str) -> list[dict]:
        return self._read(f"api/v1/slides/{slide_id}/cells")

    def _read(self, path: str) -> list[dict]:
        return self._client.get(path).raise_for_status().json()["items"]

    def _log_in(self) -> None:
        csrf = re.search(r'name="csrf" value="([^"]+)"', self._client.get("log-in").text)
        assert csrf
        form = {"csrf": csrf[1], "name": "haematologist", "password": self._password}
        answer = self._client.post("log-in", data=form).raise_for_status()
        assert "Worklist" in answer.text


def wait_for_results(reader: Reader, count: int) -> int:
    deadline = time.monotonic() + LONG_S
    while True:
        try:
            seen = reader.results()
        except httpx2.HTTPError:  # the API is being started again
            seen = 0
        if seen >= count:
            return seen
        assert time.monotonic() < deadline, f"{seen} results, where {count} were to come"
        time.sleep(0.3)


def test_what_is_killed_comes_back_and_of_a_killed_whole_no_process_stays(running, home):
    told = text_until_ready(running)
    assert_log_ins_are_told(told, home)
    with closing(Reader(address_in(told), home)) as reader:
        before = wait_for_results(reader, 1)
        for name in ("ingest", "infer", "api"):
            (victim,) = [
                process
                for process in psutil.Process(running.pid).children()
                if process.status() != psutil.STATUS_ZOMBIE
                and process.cmdline()[-2:] == ["hemaline_cloud", name]
            ]
            victim.kill()
        wait_for_results(reader, before + 2)
    assert len(processes_of(home)) >= 5
    running.kill()
    wait_until(lambda: not processes_of(home), every_s=0.5)


def assert_log_ins_are_told(told: str, home: Path) -> None:
    """For each role, and kept for their owner's eyes alone."""
    passwords = log_ins(home)
    assert list(passwords) == ["technologist", "haematologist", "operator", "admin"]
    assert (home / "log-ins.json").stat().st_mode & 0o777 == 0o600
    for name, password in passwords.items():
        assert re.search(rf"{name} +{password}\n", told)


def draw_fields(folder: Path, count: int, *, of_slide: int = 0) -> None:
    """Pictures of a slide of its own: a repeated one would be recognised, and not count again."""
    folder.mkdir(parents=True)
    smear = SmearSimulator(SmearSettings())
    drawn = (smear.field(of_slide, number) for number in range(100))
    good = (field for field in drawn if not field.defects)
    for number, field in zip(range(count), good, strict=False):
        cv2.imwrite(str(folder / f"field-{number}.png"), field.image[:, :, ::-1])


def make_old(folder: Path) -> None:
    """Let an hour pass since the files were written: a cut-off one will not become whole."""
    hour_ago = time.time() - 3600
    for file in folder.rglob("*.*"):
        os.utime(file, (hour_ago, hour_ago))
