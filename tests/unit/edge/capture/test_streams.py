"""Video gives whole frames or says that one is damaged; nothing that a decoder has made up."""

import io

import av
import cv2
import numpy as np
import pytest

from hemaline_edge.capture.frame import CapturedFrame, UnusableFrame
from hemaline_edge.capture.streams import ends_in_paint, open_stream
from hemaline_edge.capture.video import VideoFile
from hemaline_edge.settings import CameraSettings
from hemaline_shared.errors import TransientError
from parts.edge_frames import smear

FIELDS = [np.roll(smear(seed, 320, 240), 5 * step, axis=1) for seed in (1, 2) for step in range(12)]


def by_opencv(path, codec):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (320, 240))
    for field in FIELDS:
        writer.write(cv2.cvtColor(field, cv2.COLOR_RGB2BGR))
    writer.release()


def by_ffmpeg(path, codec):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"g": "8"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for field in FIELDS:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(field, format="rgb24")))
        container.mux(stream.encode())


VIDEOS = [
    ("a.avi", by_opencv, "MJPG"),
    ("a.avi", by_opencv, "XVID"),
    ("a.mp4", by_opencv, "mp4v"),
    ("a.mp4", by_ffmpeg, "libx264"),
]


@pytest.fixture(params=VIDEOS, ids=lambda video: video[2])
def video(request, tmp_path):
    name, make, codec = request.param
    if make is by_ffmpeg and codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg encodes no {codec}")
    make(tmp_path / name, codec)
    return tmp_path / name


def frames_of(path):
    stream = open_stream(str(path))
    frames = []
    while stream.grab():
        frames.append(stream.retrieve())
    stream.close()
    return frames


def test_a_whole_video_gives_every_frame_whole(video):
    frames = frames_of(video)
    assert len(frames) == len(FIELDS)
    for frame, field in zip(frames, FIELDS, strict=True):
        assert np.abs(frame.astype(int) - field).mean() < 8
    stream = open_stream(str(video))
    assert stream.rate == pytest.approx(10)
    stream.close()


@pytest.mark.parametrize("size", [512, 4096])
def test_no_frame_of_a_damaged_video_differs_from_the_whole_one_s(video, size):
    whole, data = {frame.tobytes() for frame in frames_of(video)}, video.read_bytes()
    damaged = 0
    for place in range(len(data) // 5, len(data) * 4 // 5, len(data) // 12):
        video.write_bytes(data[:place] + bytes(size) + data[place + size :])
        try:
            frames = frames_of(video)
        except TransientError:
            continue  # the hole has taken the table of contents
        damaged += sum(frame is None for frame in frames)
        assert whole.issuperset(frame.tobytes() for frame in frames if frame is not None)
    assert damaged


def test_a_damaged_frame_of_a_video_is_told_and_the_others_are_captured(tmp_path):
    path = tmp_path / "a.avi"
    by_opencv(path, "MJPG")
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data) - 3) if data[at : at + 3] == b"\xff\xd8\xff"]
    data[starts[5] + 2000 : starts[5] + 3000] = bytes(1000)
    path.write_bytes(data)
    marks = {}

    class Memory:
        def seen(self, _scope, key):
            return marks.get(key)

    source = VideoFile(CameraSettings(device=str(path), interval_s=0.1), Memory())
    given = []
    while not source.exhausted:
        if frame := source.read(0.1):
            given.append(frame)
            marks.update({mark.key: mark.version for mark in frame.marks})
    source.close()
    assert [type(frame) for frame in given].count(CapturedFrame) == len(FIELDS) - 1
    assert isinstance(given[5], UnusableFrame)
    assert given[5].reason == "undecodable"
    assert given[5].origin.endswith("frame 5")


def test_jpegs_without_tables_are_read_as_video_has_them(tmp_path):
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        for number, field in enumerate(FIELDS[:3]):
            data = cv2.imencode(".jpg", cv2.cvtColor(field, cv2.COLOR_RGB2BGR))[1].tobytes()
            first = data.index(b"\xff\xc4")
            lean = data[:first] + data[data.index(b"\xff\xda") :]
            assert b"\xff\xc4" not in lean
            assert data.index(b"\xff\xc0") < first
            packet = av.Packet(lean)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.is_keyframe = True
            container.mux(packet)
    frames = frames_of(path)
    assert len(frames) == 3
    assert np.abs(frames[0].astype(int) - FIELDS[0]).mean() < 8


@pytest.mark.parametrize("content", [b"nothing", b""])
def test_what_is_no_video_is_told_without_its_address(tmp_path, content):
    (tmp_path / "secret.avi").write_bytes(content)
    with pytest.raises(TransientError) as caught:
        open_stream(str(tmp_path / "secret.avi"))
    assert caught.value.reason == "camera-unreachable"
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_sound_alone_is_no_video(tmp_path):
    path = tmp_path / "a.wav"
    sound = io.BytesIO()
    with av.open(sound, "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    path.write_bytes(sound.getvalue())
    with pytest.raises(TransientError, match="no video"):
        open_stream(str(path))


def test_what_decoders_paint_for_missing_rows_is_noticed_and_real_borders_are_not():
    image = smear(1, 320, 240)
    assert not ends_in_paint(image)
    for colour, painted in (((0, 135, 0), True), ((128, 128, 128), True), ((0, 0, 0), False),
                            ((255, 255, 255), False)):  # fmt: skip
        half = image.copy()
        half[120:] = colour
        assert ends_in_paint(half) is painted
