"""From settings to a source."""

from hemaline_edge.capture.folder import FolderSource
from hemaline_edge.capture.frame import CaptureMemory, FrameSource
from hemaline_edge.capture.simulated import SimulatorSource
from hemaline_edge.settings import CameraSettings, FolderSettings, SourceSettings
from hemaline_shared.errors import PermanentError


def open_source(settings: SourceSettings, memory: CaptureMemory) -> FrameSource:
    """Return the source that the settings name.

    Raises:
        PermanentError: The settings cannot be followed, whatever is tried.
    """
    if isinstance(settings, FolderSettings):
        if settings.path.is_file():
            raise PermanentError(
                "bad-settings",
                f"source.path is {settings.path}, which is a file: name the folder that it lies "
                "in, or take source.kind = camera for a video",
            )
        return FolderSource(settings, memory)
    if isinstance(settings, CameraSettings):
        # FFmpeg takes 15 MB of memory, which a folder does not need.
        from hemaline_edge.capture.camera import LiveCamera  # noqa: PLC0415
        from hemaline_edge.capture.video import VideoFile  # noqa: PLC0415

        return VideoFile(settings, memory) if settings.is_file else LiveCamera(settings)
    return SimulatorSource(settings, memory)
