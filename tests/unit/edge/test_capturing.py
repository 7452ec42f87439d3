"""The capturing thread: no error of a source, a frame or the spool ends it."""

import threading
import time

import cbor2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from hemaline_edge import encoding
from hemaline_edge.capture.frame import CapturedFrame
from hemaline_edge.capturing import Capturing
from hemaline_edge.intake import slide_name
from hemaline_edge.metrics import EdgeMetrics
from hemaline_edge.spool.records import SourceMark
from hemaline_shared.errors import PermanentError, TransientError
from hemaline_shared.messages import QuarantinedMessage, decode
from hemaline_shared.packing import unpack
from hemaline_shared.pixels.decode import decode_image
from hemaline_shared.pixels.scale import estimate_scale
from parts.edge_frames import edge_settings, open_spool, smear
from parts.responder import eventually
from parts.waiting import LONG_S


class Script:
    """A source that does one thing after the other: raises, gives a frame, or nothing."""

    kind = "simulator"
    scope = "script"
    finite = True
    slide_by_slide = True

    def __init__(self, *steps):
        self.steps = list(steps)
        self.complaint = None
        self.urgent = set()
        self.named = set()
        self.is_quiet = True

    @property
    def exhausted(self):
        return not self.steps

    def read(self, timeout_s):
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        if step is None:
            time.sleep(min(timeout_s, 0.01))
        return step

    def priority_of(self, slide):
        return "stat" if slide in self.urgent else "routine"

    def names(self, slide):
        return slide in self.named

    def is_up_to_date(self, _since):
        return self.is_quiet

    def problem(self):
        return self.complaint

    def picture_problem(self):
        return None

    def close(self):
        pass


def frame(seed=0, image=None, slide="A"):
    picture = smear(seed, 320, 240) if image is None else image
    return CapturedFrame(image=picture, slide=slide, origin="a test")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("hemaline_edge.capturing._RETRY_S", 0.05)


@pytest.fixture
def capture(tmp_path):
    started = []

    def start(*steps, quota_bytes=10 * 1024**2, urgent=(), source=Script, **more):
        spool = open_spool(tmp_path / "spool", quota_bytes)
        settings = edge_settings(tmp_path, {"kind": "simulator"}, **more)
        metrics = EdgeMetrics(CollectorRegistry())
        script = source(*steps)
        script.urgent = set(urgent)
        capturing = Capturing(settings, script, spool, metrics, lambda: None)
        capturing.start()
        started.append(capturing)
        return capturing, spool

    yield start
    for capturing in started:
        capturing.stop()


def test_errors_of_the_source_are_told_and_outlived(capture):
    capturing, spool = capture(
        TransientError("camera-lost", "no picture"), frame(1), KeyError("a bug"), frame(2)
    )
    assert eventually(lambda: capturing.finished)
    assert spool.counts().captured == 2
    assert capturing.problem() is None


def test_an_error_is_told_until_it_is_over(capture):
    endless = [TransientError("camera-lost", "no picture")] * 1000
    capturing, _ = capture(*endless)
    assert eventually(lambda: capturing.problem() == "no picture")


def test_a_source_that_never_returns_is_told_after_a_while(capture, monkeypatch):
    monkeypatch.setattr("hemaline_edge.capturing._SHORTEST_HANG_S", 0.2)
    returns = threading.Event()

    class Hanging(Script):
        def read(self, timeout_s):
            returns.wait(LONG_S)
            return super().read(timeout_s)

    capturing, _ = capture(frame(1), source=Hanging, telemetry_s=0.1)
    assert eventually(lambda: "stood still" in (capturing.problem() or ""))
    returns.set()
    assert eventually(lambda: capturing.finished)
    assert capturing.problem() is None


def test_the_age_of_the_last_capture_needs_no_clock_that_can_be_set(capture):
    capturing, _ = capture(frame(1))
    assert eventually(lambda: capturing.finished)
    assert 0 <= capturing.age_s < LONG_S


def test_before_the_first_capture_there_is_no_age(capture):
    capturing, _ = capture(None, None)
    assert eventually(lambda: capturing.finished)
    assert capturing.age_s is None


def test_a_camera_that_shows_one_picture_again_and_again_is_told(capture):
    picture = smear(1, 320, 240)
    capturing, spool = capture(*(frame(image=picture) for _ in range(4)))
    assert eventually(lambda: capturing.finished)
    assert "the last 4 pictures are the same" in capturing.picture_problem()
    assert spool.counts().captured == 4


def test_pictures_that_differ_by_noise_alone_are_no_fault_of_the_camera(capture):
    def noisy(seed):
        noise = np.random.default_rng(seed).integers(0, 2, (240, 320, 3), np.uint8)
        return frame(image=np.minimum(smear(1, 320, 240), 254) + noise)

    capturing, _ = capture(*map(noisy, range(4)))
    assert eventually(lambda: capturing.finished)
    assert capturing.picture_problem() is None


def test_a_frame_that_cannot_be_processed_is_quarantined_and_the_next_one_kept(capture):
    capturing, spool = capture(frame(image=np.zeros((0, 0, 3), np.uint8)), frame(2))
    assert eventually(lambda: capturing.finished)
    first, second, _closing = spool.next_entries(10)
    message = decode(QuarantinedMessage, spool.load(first.message_id)[0])
    assert message.reason == "processing-failed"
    assert second.kind == "field"


def test_a_frame_that_meets_a_full_spool_is_held_until_there_is_room(capture):
    capturing, spool = capture(*map(frame, range(6)), quota_bytes=300_000)
    assert eventually(lambda: "nothing more is captured" in (capturing.problem() or ""))
    captured = spool.counts().captured
    assert captured < 6
    assert spool.counts().refused == 1
    spool.quota_bytes = 10 * 1024**2
    assert eventually(lambda: capturing.finished)
    assert spool.counts().captured == 6
    assert spool.slides()[0].frames == 6


def test_a_stop_gives_up_the_frame_that_has_no_room_and_counts_nothing(capture):
    capturing, spool = capture(*map(frame, range(6)), quota_bytes=300_000)
    assert eventually(lambda: capturing.problem() is not None)
    before = spool.counts().captured
    capturing.stop()
    assert spool.counts().captured == before == spool.slides()[0].frames


def test_a_frame_larger_than_the_spool_is_quarantined(capture):
    capturing, spool = capture(frame(1), quota_bytes=20_000)
    assert eventually(lambda: capturing.finished)
    (unused,) = spool.unused()
    assert (unused.outcome, unused.reason) == ("quarantined", "larger-than-spool")


def test_a_picture_captured_before_is_told_as_a_repeat_and_counted_once(capture):
    def named(name, seed):
        mark = SourceMark("script", name, "1")
        return CapturedFrame(image=smear(seed, 320, 240), slide="A", origin=name, marks=(mark,))

    capturing, spool = capture(named("a.png", 1), named("b.png", 2), named("copy.png", 1))
    assert eventually(lambda: capturing.finished)
    assert spool.counts().captured == 3
    (repeat,) = spool.unused()
    assert (repeat.origin, repeat.reason) == ("copy.png", "repeated-picture")
    assert repeat.detail == "the same picture as a.png"


def test_a_picture_that_was_rejected_is_judged_again_when_it_comes_again(capture):
    def dark(name):
        mark = SourceMark("script", name, "1")
        image = np.zeros((240, 320, 3), np.uint8)
        return CapturedFrame(image=image, slide="A", origin=name, marks=(mark,))

    capturing, spool = capture(dark("a.png"), dark("b.png"))
    assert eventually(lambda: capturing.finished)
    assert ["too-dark" in each.reason for each in spool.unused()] == [True, True]


def test_what_does_not_read_back_is_encoded_again_and_never_spooled(capture, monkeypatch, caplog):
    real, broken = encoding.encode_crop, [True] * 7

    def encode(pixels):
        data = real(pixels)
        return data[:-30] + bytes(18) + data[-12:] if broken and broken.pop() else data

    monkeypatch.setattr(encoding, "encode_crop", encode)
    capturing, spool = capture(frame(1))
    assert eventually(lambda: capturing.finished)
    assert not broken
    assert "does not read back" in caplog.text
    (entry, _closing) = spool.next_entries(10)
    images = unpack(spool.load(entry.message_id)[1])
    assert all(decode_image(crop).shape == (224, 224, 3) for crop in images.crops)
    assert spool.counts().refused == 0


@pytest.mark.parametrize("change", [lambda image: image[:, :-8], lambda image: 255 - image])
def test_a_field_that_reads_back_as_another_picture_is_not_spooled(capture, monkeypatch, change):
    real = encoding.encode_field
    monkeypatch.setattr(encoding, "encode_field", lambda image: real(change(image)))
    capturing, spool = capture(frame(1))
    assert eventually(lambda: "does not read back" in (capturing.problem() or ""))
    assert spool.counts().captured == 0
    monkeypatch.setattr(encoding, "encode_field", real)
    assert eventually(lambda: capturing.finished)
    assert spool.counts().captured == 1


def test_what_the_source_wants_seen_to_is_told_while_capture_goes_on(capture):
    capturing, spool = capture(frame(1), *[None] * 100_000)
    assert eventually(lambda: spool.counts().captured == 1)
    capturing._source.complaint = "3 files cannot be read"
    assert capturing.source_problem() == "3 files cannot be read"
    assert capturing.problem() is None


def test_the_next_slide_s_first_frame_closes_the_one_before(capture):
    _, spool = capture(frame(1, slide="A"), frame(2, slide="B"), *[None] * 1000)
    assert eventually(lambda: len(spool.slides()) == 2 and spool.slides()[0].closed_at is not None)
    assert spool.slides()[1].closed_at is None


def test_a_thread_that_ended_is_not_ready(capture):
    capturing, _ = capture(*[None] * 100_000)
    assert capturing.problem() is None
    capturing.stop()
    assert "not running" in capturing.problem()


def told(spool):
    """What the messages say of each slide, by its label."""
    labels = {slide.slide_id: slide.label for slide in spool.slides()}
    said = {}
    for entry in spool.next_entries(100):
        content = cbor2.loads(spool.load(entry.message_id)[0])
        said.setdefault(labels[content["slide_id"]], set()).add(
            (content["slide_name"], content["priority"])
        )
    return said


def test_every_message_of_a_slide_tells_its_name_and_its_priority(capture):
    frames = [frame(1, slide="A 1"), frame(2, slide="B")]
    capturing, spool = capture(*frames, urgent=["B"], send_slide_names=True)
    assert eventually(lambda: capturing.finished)
    assert len(spool.next_entries(9)) == 4, "two fields and two closings"
    assert told(spool) == {"A 1": {("A 1", "routine")}, "B": {("B", "stat")}}
    assert [slide.priority for slide in spool.slides()] == ["routine", "stat"]


def test_a_run_may_be_urgent_as_a_whole(capture):
    capturing, spool = capture(frame(1), priority="stat", send_slide_names=True)
    assert eventually(lambda: capturing.finished)
    assert told(spool) == {"A": {("A", "stat")}}


def test_names_of_slides_stay_here_unless_the_settings_say_otherwise(capture):
    capturing, spool = capture(frame(1, slide="Jane Doe"))
    assert eventually(lambda: capturing.finished)
    assert told(spool) == {"Jane Doe": {(None, "routine")}}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("LAB-2026-0418", "LAB-2026-0418"),
        (" two  words\n", "two words"),
        ("2024/S1", "2024/S1"),
        ("no\udcfftext", "no text"),
        ("\x00\n ", None),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
    ],
)
def test_a_label_becomes_a_line_of_text_that_a_message_may_carry(label, name):
    assert slide_name(label) == name


def test_all_fields_of_a_slide_have_one_scale(capture):
    pictures = [smear(seed, 640, 480) for seed in range(4)]
    assert len({estimate_scale(picture).um_per_px for picture in pictures}) > 1
    capturing, spool = capture(*(frame(image=picture) for picture in pictures))
    assert eventually(lambda: capturing.finished)
    headers = [cbor2.loads(spool.load(entry.message_id)[0]) for entry in spool.next_entries(10)]
    fields = [header for header in headers if header["kind"] == "field"]
    assert len(fields) > 1
    parts = ("um_per_px", "scale_source", "scale_fields", "scale_spread")
    assert len({tuple(field[part] for part in parts) for field in fields}) == 1


def slides(spool):
    return [(slide.label, slide.frames, slide.closed_at is not None) for slide in spool.slides()]


def test_frames_belong_to_the_slide_that_a_person_has_started_until_its_last_is_here(tmp_path):
    spool = open_spool(tmp_path / "spool")
    settings = edge_settings(tmp_path, {"kind": "simulator"})
    source = Script(frame(1), frame(2, slide="B"), frame(3, slide="a folder"), frame(4))
    source.named = {"a folder"}
    source.slide_by_slide = False
    capturing = Capturing(settings, source, spool, EdgeMetrics(CollectorRegistry()), lambda: None)
    capturing.capture_next(0)
    slide = capturing.start_slide("H25-117", "stat")
    with pytest.raises(PermanentError, match="H25-117 is open: end it first"):
        capturing.start_slide("H25-118", "routine")
    capturing.capture_next(0)
    capturing.capture_next(0)
    spool.end_slide(slide.slide_id)
    source.is_quiet = False
    capturing._end_started_slide()
    assert ("H25-117", 1, False) in slides(spool), "a picture may be on its way"
    source.is_quiet = True
    capturing._end_started_slide()
    capturing.capture_next(0)
    assert slides(spool) == [
        ("A", 1, False),
        ("H25-117", 1, True),
        ("a folder", 1, False),
        ("A, without a name 1", 1, False),
    ]
    assert len({slide.specimen_id for slide in spool.slides()}) == 4
    with pytest.raises(PermanentError, match="not open any more"):
        spool.end_slide(slide.slide_id)


def test_a_started_slide_outlives_the_agent(tmp_path):
    spool = open_spool(tmp_path / "spool")
    spool.start_slide(spool.open_slide("script", "H25-117"), "routine")
    spool.close()
    spool = open_spool(tmp_path / "spool")
    assert spool.started_slide("script").label == "H25-117"
