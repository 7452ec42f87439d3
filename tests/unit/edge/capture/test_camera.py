"""Cameras and video files: what is captured, what is not, and what happens when one goes away."""

import http.server
import os
import threading
import time

import cv2
import numpy as np
import pytest
from pydantic import SecretStr

from hemaline_edge.capture.camera import LiveCamera, camera_name, open_camera
from hemaline_edge.capture.opening import open_source
from hemaline_edge.capture.video import VideoFile
from hemaline_edge.settings import CameraSettings
from hemaline_shared.errors import TransientError
from parts.edge_frames import smear
from parts.responder import eventually


@pytest.fixture
def video(tmp_path):
    """Thirty frames, three seconds; the brightness of each tells its number."""
    path = tmp_path / "slide 7.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for number in range(30):
        writer.write(np.full((48, 64, 3), number * 8, np.uint8))
    writer.release()
    return path


def numbers(frames):
    return [round(float(frame.image.mean()) / 8) for frame in frames]


def test_a_video_that_was_only_touched_gives_nothing_new_and_an_earlier_agent_s_marks_count(video):
    marks = {}
    assert drain(open_video(video, marks, interval_s=1), marks)
    os.utime(video, (1, 1))
    assert drain(open_video(video, marks, interval_s=1), marks) == []
    stat = video.stat()
    earlier = dict.fromkeys(marks, f"{stat.st_size}-{stat.st_mtime_ns}")
    assert drain(open_video(video, earlier, interval_s=1), earlier) == []


def drain(source, marks):
    frames = []
    while not source.exhausted:
        if frame := source.read(0.1):
            frames.append(frame)
            marks[frame.marks[0].key] = frame.marks[0].version
    source.close()
    return frames


class Memory:
    def __init__(self, marks):
        self.marks = marks

    def seen(self, _scope, key):
        return self.marks.get(key)


def open_video(path, marks, **settings):
    settings = CameraSettings(device=str(path), **settings)
    source = open_source(settings, Memory(marks))
    assert isinstance(source, VideoFile)
    return source


def test_a_video_gives_frames_at_the_interval_in_its_own_time(video):
    marks = {}
    frames = drain(open_video(video, marks, interval_s=0.5), marks)
    assert numbers(frames)[:6] == [0, 5, 10, 15, 20, 25]


def test_a_video_is_captured_once_whatever_restarts(video):
    marks = {}
    source = open_video(video, marks, interval_s=1)
    first = source.read(1)
    marks[first.marks[0].key] = first.marks[0].version
    source.close()
    assert numbers([first, *drain(open_video(video, marks, interval_s=1), marks)]) == [0, 10, 20]
    assert drain(open_video(video, marks, interval_s=1), marks) == []


def test_a_video_s_colours_are_red_first_and_its_name_is_the_slide(tmp_path):
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 250), np.uint8))
    writer.release()
    frame = open_video(path, {}).read(1)
    assert frame.image[..., 0].mean() > 200
    assert frame.image[..., 2].mean() < 50
    assert frame.slide == "red.avi"


def test_a_file_that_is_no_video_says_so(tmp_path):
    path = tmp_path / "no.avi"
    path.write_bytes(b"nothing")
    with pytest.raises(TransientError) as error:
        open_video(path, {}).read(0.1)
    assert error.value.reason == "camera-unreachable"


class NetworkCamera:
    """An MJPEG camera of our own, on a port that stays the same when it is switched on again."""

    def __init__(self):
        self.view = smear(0, 320, 240)
        self.spoil = lambda jpeg: jpeg
        self.port = 0
        self._server = None

    def switch_on(self):
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=b")
                self.end_headers()
                while not camera.off.wait(0.03):
                    bgr = cv2.cvtColor(camera.view, cv2.COLOR_RGB2BGR)
                    jpeg = camera.spoil(cv2.imencode(".jpg", bgr)[1].tobytes())
                    head = f"--b\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                    except OSError:
                        return

            def log_message(self, *arguments):
                pass

        self.off = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def switch_off(self):
        self.off.set()
        self._server.shutdown()
        self._server.server_close()

    def source(self, **settings):
        url = f"http://user:secret@127.0.0.1:{self.port}/live.mjpg?token=secret"
        return LiveCamera(CameraSettings(device=url, **{"interval_s": 0.05, **settings}))


@pytest.fixture
def camera():
    camera = NetworkCamera()
    camera.switch_on()
    yield camera
    camera.switch_off()


def next_frame(source, timeout_s=8):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if frame := source.read(0.3):
            return frame
    return None


def test_a_camera_gives_a_frame_when_the_view_changes_and_none_while_it_stands_still(camera):
    source = camera.source()
    first = next_frame(source)
    assert first.image.shape == (240, 320, 3)
    assert next_frame(source, 1.0) is None
    camera.view = smear(1, 320, 240)
    second = next_frame(source)
    assert second
    assert second.slide == first.slide
    source.close()


def test_a_camera_that_goes_away_is_opened_again(camera):
    source = camera.source()
    assert next_frame(source)
    camera.switch_off()
    with pytest.raises(TransientError, match="check its cable") as error:
        next_frame(source)
    assert error.value.reason == "camera-lost"
    with pytest.raises(TransientError, match="plugged in") as error:
        source.read(0.1)
    assert error.value.reason == "camera-unreachable"
    camera.view = smear(2, 320, 240)
    camera.switch_on()
    assert next_frame(source)
    source.close()


def test_damaged_pictures_of_a_camera_are_not_captured_and_told_when_there_is_nothing_else(camera):
    camera.spoil = lambda jpeg: jpeg[: len(jpeg) // 2] + bytes(600) + jpeg[len(jpeg) // 2 + 600 :]
    source = camera.source(interval_s=0)
    assert next_frame(source, 3) is None
    assert "gives damaged pictures only" in source.picture_problem()
    camera.spoil = lambda jpeg: jpeg
    assert next_frame(source)
    assert source.picture_problem() is None
    source.close()


def test_a_camera_that_gives_the_very_same_picture_for_a_while_is_told(camera, monkeypatch):
    monkeypatch.setattr("hemaline_edge.capture.camera._FROZEN_AFTER_S", 0.5)
    source = camera.source(interval_s=0)
    assert next_frame(source)
    assert next_frame(source, 2) is None
    assert "the same to the last pixel" in source.picture_problem()
    camera.view = np.bitwise_xor(camera.view, 1)  # as a sensor's noise would
    assert eventually(lambda: source.read(0.05) is None and source.picture_problem() is None)
    source.close()


def test_no_message_shows_a_camera_s_password(camera):
    source = camera.source()
    camera.switch_off()
    with pytest.raises(TransientError) as error:
        source.read(0.1)
    camera.switch_on()
    assert "secret" not in str(error.value) + source.scope
    assert "live.mjpg" in source.scope
    assert "secret" not in repr(source._settings)


def test_a_slide_ends_after_its_full_number_of_fields_and_after_a_pause(camera):
    source = camera.source(fields_per_slide=2)
    labels = []
    for seed in range(3):
        camera.view = smear(seed, 320, 240)
        labels.append(next_frame(source).slide)
    assert labels[0] == labels[1] != labels[2]
    source._given_at -= 3600
    camera.view = smear(9, 320, 240)
    assert next_frame(source).slide not in labels
    source.close()


def test_a_device_s_number_names_a_camera():
    assert camera_name(CameraSettings(device="0")) == "0"


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
def test_a_video_file_that_is_none_is_told_as_a_file_and_not_as_a_camera(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(TransientError, match="the video file cannot be read") as error:
        open_camera(CameraSettings(kind="camera", device=SecretStr(str(path))))
    assert "plugged in" not in str(error.value)
