"""From settings to a source."""

from hemaline_edge.capture.camera import LiveCamera
from hemaline_edge.capture.folder import FolderSource, Seen
from hemaline_edge.capture.frame import FrameSource
from hemaline_edge.capture.simulated import SimulatorSource
from hemaline_edge.capture.video import VideoFile
from hemaline_edge.settings import CameraSettings, FolderSettings, SourceSettings


def open_source(settings: SourceSettings, seen: Seen) -> FrameSource:
    """Return the source that the settings name.

    Raises:
        PermanentError: The settings cannot be followed, whatever is tried.
    """
    if isinstance(settings, FolderSettings):
        return FolderSource(settings, seen)
    if isinstance(settings, CameraSettings):
        return VideoFile(settings, seen) if settings.is_file else LiveCamera(settings)
    return SimulatorSource(settings, seen)
