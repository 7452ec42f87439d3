"""A file that has settled: whether its content is known already, and the images that it holds."""

import logging
import os
from pathlib import Path

from hemaline_edge.capture.frame import CapturedFrame, CaptureMemory, UnusableFrame
from hemaline_edge.capture.listing import FileState
from hemaline_edge.capture.names import key_of, path_of, readable
from hemaline_edge.spool.records import SourceMark
from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import sha256_hex
from hemaline_shared.pixels.decode import DEFAULT_LIMITS, count_images, decode_image

logger = logging.getLogger(__name__)

_CONTENT = "file-content"
"""The scope of marks that tell where a file's content was captured first, whatever its path."""
_MOST_IMAGES = 500
"""Of one file; more is a time series or a hostile file."""


def read_file(path: Path, expected: FileState) -> bytes:
    """Return a file's bytes.

    Raises:
        PermanentError: `too-many-bytes`, before reading.
        OSError: As reading does.
    """
    if expected.size > DEFAULT_LIMITS.max_bytes:
        raise PermanentError(
            "too-many-bytes",
            f"the file has {expected.size:,} bytes; {DEFAULT_LIMITS.max_bytes:,} are allowed",
        )
    with path.open("rb") as file:
        return file.read(DEFAULT_LIMITS.max_bytes)


class CapturedFiles:
    """What is known of a folder's files: captured as they are, or moved, touched and the same."""

    def __init__(self, root: Path, scope: str, memory: CaptureMemory) -> None:
        self._root = root
        self._scope = scope
        self._memory = memory
        self._recognised = 0
        self._passed_over = 0

    def knows(self, path: str, state: FileState) -> bool:
        """Whether a file was captured and looks as it did then."""
        version = self._memory.seen(self._scope, key_of(path))
        if version is None:
            return False
        # An earlier agent noted size and time of change only.
        now, then = str(state).split("-"), version.split("-")
        return all(a == b for a, b in zip(now, then, strict=False))

    def recognises(self, path: str, state: FileState, digest: str) -> bool:
        """Whether a file's content was captured from this very file, touched or moved since.

        Then it is taken for captured under its new path and times: a backup, another mount or a
        renamed folder makes no new field. A copy beside the first one is not recognised here: it
        is judged, and told as a repeat.
        """
        here = str(self._root / path)
        version = self._memory.seen(self._scope, key_of(path))
        touched = version is not None and version.endswith(f"-{digest}")
        first = self._memory.seen(_CONTENT, digest)
        moved = first is not None and path_of(first) != here and _is_gone(first, here, digest)
        if not touched and not moved:
            return False
        self._memory.remember(self.marks(path, state, digest))
        self._recognised += 1
        return True

    def marks(self, path: str, state: FileState, digest: str) -> tuple[SourceMark, ...]:
        """Return what to remember of a captured file: its place, and where its content is first."""
        place = self.place(path, state, digest)
        here = str(self._root / path)
        first = self._memory.seen(_CONTENT, digest)
        if first is not None and not _is_gone(first, here, digest):
            return (place,)
        return place, SourceMark(_CONTENT, digest, key_of(here))

    def place(self, path: str, state: FileState, digest: str) -> SourceMark:
        """Return what to remember of a file that was looked at and need not be again as it is."""
        return SourceMark(self._scope, key_of(path), f"{state}-{digest}")

    def pass_over(self, path: str, state: FileState, digest: str) -> None:
        """Remember a file that is no image and does not say that it is one: it is no frame."""
        self._memory.remember((self.place(path, state, digest),))
        self._passed_over += 1

    def image_mark(self, path: str, index: int, digest: str) -> SourceMark:
        """Return what to remember of one image of a file that holds several."""
        return SourceMark(self._scope, f"{key_of(path)}//{index}", digest)

    def has(self, mark: SourceMark) -> bool:
        """Whether this very version was captured."""
        return self._memory.seen(mark.scope, mark.key) == mark.version

    def origin(self, path: str) -> str:
        """Return where a file lies, for the person at this device."""
        return readable(str(self._root / path))

    def tell_recognised(self) -> None:
        """Say in the log how many files were recognised or passed over since the last time."""
        if self._recognised:
            logger.info(
                "%d files were moved, renamed or touched: their pictures are known and not "
                "captured again",
                self._recognised,
            )
            self._recognised = 0
        if self._passed_over:
            logger.info(
                "%d files whose names and contents are no images' are passed over",
                self._passed_over,
            )
            self._passed_over = 0


class FileImages:
    """The images of one file, one after the other; one that was captured before is left out."""

    def __init__(self, data: bytes, slide: str, captured: CapturedFiles, path: str) -> None:
        self._data = data
        self._slide = slide
        self._captured = captured
        self._path = path
        self._count = 0
        self._next = 0
        self._digest = ""
        self._file_marks: tuple[SourceMark, ...] = ()

    def open(self, state: FileState, digest: str, *, whole: bool) -> None:
        """Count the images; unless the file is known to be whole, try that each can be decoded.

        Raises:
            PermanentError: As `decode_image`, or `unsupported-format` where they are far too many.
        """
        self._count = count_images(self._data)
        if self._count > _MOST_IMAGES:
            raise PermanentError(
                "unsupported-format",
                f"The file holds {self._count} images; {_MOST_IMAGES} are allowed.",
            )
        if self._count > 1 and not whole:
            for index in range(self._count):
                decode_image(self._data, index=index)
        self._digest = digest
        self._file_marks = self._captured.marks(self._path, state, digest)

    def next(self) -> CapturedFrame | UnusableFrame | None:
        """Return the next image; None at the end.

        Raises:
            PermanentError: The only image of the file does not decode: it may not be whole yet.
        """
        while self._next < self._count:
            index, self._next = self._next, self._next + 1
            last = self._next == self._count
            if self._count == 1:
                return self._frame(index, self._file_marks)
            mark = self._captured.image_mark(self._path, index, self._digest)
            if self._captured.has(mark) and not last:
                continue
            marks = (mark, *self._file_marks) if last else (mark,)
            try:
                return self._frame(index, marks)
            except PermanentError as error:
                return UnusableFrame(
                    reason=error.reason,
                    detail=str(error),
                    slide=self._slide,
                    origin=self._origin(index),
                    marks=marks,
                )
        return None

    def _frame(self, index: int, marks: tuple[SourceMark, ...]) -> CapturedFrame:
        image = decode_image(self._data, index=index)
        return CapturedFrame(
            image=image, slide=self._slide, origin=self._origin(index), marks=marks
        )

    def _origin(self, index: int) -> str:
        origin = self._captured.origin(self._path)
        return origin if self._count == 1 else f"{origin}, image {index + 1} of {self._count}"


def _is_gone(first: str, here: str, digest: str) -> bool:
    """Whether what was captured first lies there no more, or is this very file by another way.

    Programs that number files anew put another picture where the first one was.
    """
    place = Path(path_of(first))
    if not os.path.lexists(place):
        return True
    try:
        if place.samefile(here):
            return True
        return sha256_hex(read_file(place, FileState.of(place.stat()))) != digest
    except (OSError, PermanentError):
        return False
