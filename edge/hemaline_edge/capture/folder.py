"""A watched folder: how most microscope software hands images over."""

import itertools
import logging
import time
from dataclasses import dataclass

from hemaline_edge.capture.frame import CapturedFrame, CaptureMemory, SourceKind, UnusableFrame
from hemaline_edge.capture.listing import FileState, FolderListing
from hemaline_edge.capture.manifest import SlideLabels
from hemaline_edge.capture.names import claims_image, key_of, readable
from hemaline_edge.capture.notices import Notices
from hemaline_edge.capture.reading import CapturedFiles, FileImages, read_file
from hemaline_edge.settings import FolderSettings
from hemaline_edge.spool.records import Priority
from hemaline_shared.errors import HemalineError, PermanentError, TransientError
from hemaline_shared.packing import sha256_hex

logger = logging.getLogger(__name__)

_UNFINISHED = frozenset({"empty", "not-an-image", "truncated", "undecodable"})
"""What a file that is still being written may look like."""
_NO_IMAGE = frozenset({"empty", "not-an-image"})
_LOOK_AGAIN_S = 0.2
_RETRY_S = 1.0
_SLOWEST_RETRY_S = 30.0
_AT_ONCE = 16
"""Files that settle at the same time: a full folder does not need a second for each."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A file that is not captured yet: how it looks and what it holds, by our own clock.

    A share may give a file its full size and its times long before its content, and its clock may
    say anything. So a file is whole when the same content was read twice, `settle_s` apart, and
    nothing else changed meanwhile.
    """

    path: str
    slide: str
    state: FileState
    unchanged_since: float
    digest: str = ""
    read_at: float = 0.0
    not_before: float = 0.0
    trouble: str = ""
    trouble_since: float = 0.0

    def begin_anew(self, state: FileState, digest: str = "") -> None:
        """Take note of a change; what was seen before says nothing any more."""
        self.state, self.digest = state, digest
        self.unchanged_since = self.read_at = time.monotonic()

    def unchanged_s(self) -> float:
        """For how long nothing has changed."""
        return time.monotonic() - self.unchanged_since


class FolderSource:
    """Gives every image below a folder once; never moves, changes or deletes a file.

    The system's notices make it quick, sweeps make it sure: SMB and NFS send no notices for what
    another host writes.
    """

    kind: SourceKind = "folder"

    def __init__(self, settings: FolderSettings, memory: CaptureMemory) -> None:
        """Read the manifest; raises as `SlideLabels`."""
        self._settings = settings
        self._root = settings.path.resolve()  # one folder has one name, however it is spelled
        self.scope = f"folder:{key_of(str(self._root))}"
        self.finite = self.slide_by_slide = not settings.watch
        self._captured = CapturedFiles(self._root, self.scope, memory)
        self._labels = SlideLabels(self._root, settings.slide_column)
        self._listing = FolderListing(self._root)
        self._waiting: dict[str, _Waiting] = {}
        self._given: dict[str, FileState] = {}
        self._left_out: dict[str, FileState] = {}
        self._images: FileImages | None = None
        self._next_sweep = 0.0
        self._swept_at = 0.0
        self._all_seen = False
        self._notices = Notices(self._root) if settings.watch else None
        self._mismatch: str | None = None
        self._mismatch_is_due = True
        self._problem: str | None = None

    @property
    def exhausted(self) -> bool:
        """Whether every file of a finite folder was captured."""
        return self.finite and self._all_seen

    def read(self, timeout_s: float) -> CapturedFrame | UnusableFrame | None:
        """Return the next whole image; see `FrameSource`."""
        deadline = time.monotonic() + timeout_s
        while True:
            if frame := self._next_of_file():
                return frame
            self._look_for_changes()
            if frame := self._next_whole():
                return frame
            left = deadline - time.monotonic()
            if left <= 0 or self.exhausted:
                return None
            self._wait(left)

    def names(self, slide: str) -> bool:
        """Whether a subfolder or the manifest says so."""
        return self._labels.names(slide)

    def is_up_to_date(self, since: float) -> bool:
        """Look through the folder once more, and wait for each file that is not whole yet.

        One that cannot be read at all may stay so for days, and keeps no slide open.
        """
        due = since + self._settings.settle_s
        self._next_sweep = min(self._next_sweep, max(due, self._swept_at + _LOOK_AGAIN_S))
        waiting = any(not each.trouble for each in self._waiting.values())
        return self._swept_at >= due and not waiting and self._images is None

    def problem(self) -> str | None:
        """Tell files that cannot be read, and a manifest that does not fit the folder."""
        return self._problem

    def picture_problem(self) -> str | None:
        """Its pictures are files: which of them is of no use is told of each."""

    def close(self) -> None:
        """Stop to watch."""
        if self._notices:
            self._notices.stop()

    def _next_of_file(self) -> CapturedFrame | UnusableFrame | None:
        """Return the next image of a file that holds several."""
        frame = self._images.next() if self._images else None
        if frame is None:
            self._images = None
        return frame

    def _look_for_changes(self) -> None:
        noticed = self._notices.take() if self._notices else set()
        sweep_is_due = not self._waiting if self.finite else time.monotonic() >= self._next_sweep
        if sweep_is_due:
            self._sweep()
        elif noticed:
            self._refresh_labels()
            self._wait_for(self._listing.look(noticed))

    def _sweep(self) -> None:
        started = self._swept_at = time.monotonic()
        self._next_sweep = started + self._settings.sweep_s
        if self._notices:
            self._notices.start()
        self._refresh_labels()
        if self.finite:  # once more from the start, for what the spool did not take
            self._listing = FolderListing(self._root)
        self._wait_for(self._listing.sweep())
        self._give_again()
        self._captured.tell_recognised()
        self._compare_with_manifest()
        self._all_seen = not self._waiting
        # A folder of a hundred thousand files must not keep the disk busy all the time.
        took = time.monotonic() - started
        self._next_sweep = max(self._next_sweep, time.monotonic() + 10 * took)

    def priority_of(self, slide: str) -> Priority:
        """Return what the manifest says of a slide."""
        return self._labels.priority_of(slide)

    def _refresh_labels(self) -> None:
        try:
            changed = self._labels.refresh()
        except PermanentError as error:  # somebody is editing it: better wait than mix up slides
            raise TransientError(error.reason, str(error)) from error
        if changed:
            for waiting in self._waiting.values():
                waiting.slide = self._labels.of(waiting.path)
            self._sort()
            self._mismatch_is_due = True

    def _wait_for(self, changed: list[str]) -> None:
        """Let files that are new or changed wait until they are whole."""
        for path in changed:
            state = self._listing.state_of(path)
            if state is None or self._left_out.get(path) == state:
                continue
            waiting = self._waiting.get(path)
            if waiting:
                if waiting.state != state:
                    waiting.begin_anew(state)
            elif not self._captured.knows(path, state):
                slide = self._labels.of(path)
                self._waiting[path] = _Waiting(path, slide, state, time.monotonic())
        if changed:
            self._sort()
            self._mismatch_is_due = True

    def _give_again(self) -> None:
        """Let those wait once more that were given and not made durable."""
        given, self._given = self._given, {}
        self._wait_for([path for path in given if self._listing.state_of(path) is not None])

    def _sort(self) -> None:
        def turn(each: _Waiting) -> tuple[bool, str, str]:
            return self._labels.priority_of(each.slide) != "stat", each.slide, each.path

        ordered = sorted(self._waiting.values(), key=turn)
        self._waiting = {each.path: each for each in ordered}

    def _compare_with_manifest(self) -> None:
        if not self._mismatch_is_due:
            return
        self._mismatch_is_due = False
        mismatch = self._labels.mismatch(path for path, _ in self._listing.files())
        told = str(mismatch) if mismatch else None
        if told and told != self._mismatch:
            logger.warning("%s", told)
        self._mismatch = told
        self._sum_problems()

    def _next_whole(self) -> CapturedFrame | UnusableFrame | None:
        now = time.monotonic()
        due = (each for each in list(self._waiting.values()) if each.not_before <= now)
        for waiting in itertools.islice(due, _AT_ONCE):
            # A finite folder goes slide by slide: nothing overtakes.
            in_turn = not self.finite or next(iter(self._waiting.values())) is waiting
            if frame := self._look(waiting, in_turn=in_turn):
                return frame
        return None

    def _look(self, waiting: _Waiting, *, in_turn: bool) -> CapturedFrame | UnusableFrame | None:
        """Look at a waiting file; give its first image when it is whole and its turn has come."""
        try:
            return self._take(waiting) if self._has_settled(waiting) and in_turn else None
        except FileNotFoundError:
            del self._waiting[waiting.path]
        except OSError as error:
            return self._note_trouble(waiting, error)
        except PermanentError as error:
            return self._refuse(waiting, error) if in_turn else None
        return None

    def _has_settled(self, waiting: _Waiting) -> bool:
        """Look at a file, read it a first time, and say whether it may be read the second time."""
        settle_s = self._settings.settle_s
        state = FileState.of((self._root / waiting.path).stat())
        if state != waiting.state:
            waiting.begin_anew(state)
        if not waiting.digest:
            if waiting.unchanged_s() < settle_s / 4:
                return False
            waiting.digest = sha256_hex(read_file(self._root / waiting.path, state))
            waiting.read_at = time.monotonic()
        since_read = time.monotonic() - waiting.read_at
        return waiting.unchanged_s() >= settle_s and since_read >= settle_s * 3 / 4

    def _take(self, waiting: _Waiting) -> CapturedFrame | UnusableFrame | None:
        """Read a settled file once more and decode it; None where it has changed or is known."""
        data = read_file(self._root / waiting.path, waiting.state)
        digest = sha256_hex(data)
        if digest != waiting.digest:
            waiting.begin_anew(waiting.state, digest)
            return None
        self._end_trouble(waiting)
        if self._captured.recognises(waiting.path, waiting.state, digest):
            self._forget(waiting)
            return None
        images = FileImages(data, waiting.slide, self._captured, waiting.path)
        images.open(waiting.state, digest, whole=not self._may_become_whole(waiting))
        frame = images.next()
        self._forget(waiting)
        self._images = images
        return frame

    def _may_become_whole(self, waiting: _Waiting) -> bool:
        return waiting.unchanged_s() < self._settings.give_up_s

    def _refuse(self, waiting: _Waiting, error: HemalineError) -> UnusableFrame | None:
        """Give a file up that is no whole image, once it had time enough to become one."""
        if error.reason in _UNFINISHED and self._may_become_whole(waiting):
            waiting.not_before = time.monotonic() + max(_RETRY_S, waiting.unchanged_s() / 10)
            return None
        if error.reason in _NO_IMAGE and not claims_image(waiting.path.rpartition("/")[2]):
            self._captured.pass_over(waiting.path, waiting.state, waiting.digest)
            self._forget(waiting)
            return None
        self._forget(waiting)
        return UnusableFrame(
            reason=error.reason,
            detail=str(error),
            slide=waiting.slide,
            origin=readable(str(self._root / waiting.path)),
            marks=(self._captured.place(waiting.path, waiting.state, waiting.digest),),
        )

    def _note_trouble(self, waiting: _Waiting, error: OSError) -> UnusableFrame | None:
        """Try a file that cannot be read again later: a lock or a permission is cured some day.

        It is never charged to the frame, but for a finite folder, which has an end.
        """
        now = time.monotonic()
        if not waiting.trouble:
            waiting.trouble_since = now
        waiting.trouble = error.strerror or type(error).__name__
        pause = min(_SLOWEST_RETRY_S, max(_RETRY_S, now - waiting.trouble_since))
        waiting.not_before = now + pause
        self._sum_problems()
        if not self.finite or now - waiting.trouble_since < self._settings.give_up_s:
            return None
        self._left_out[waiting.path] = waiting.state
        self._forget(waiting)
        return UnusableFrame(
            reason="unreadable",
            detail=f"the file cannot be read ({waiting.trouble}): may the agent's user read it?",
            slide=waiting.slide,
            origin=readable(str(self._root / waiting.path)),
        )

    def _end_trouble(self, waiting: _Waiting) -> None:
        if waiting.trouble:
            waiting.trouble = ""
            self._sum_problems()

    def _forget(self, waiting: _Waiting) -> None:
        self._waiting.pop(waiting.path, None)
        self._given[waiting.path] = waiting.state
        self._sum_problems()

    def _sum_problems(self) -> None:
        troubles = [each.trouble for each in self._waiting.values() if each.trouble]
        problems = [self._mismatch] if self._mismatch else []
        if troubles:
            problems.append(
                f"{len(troubles):,} files cannot be read ({', '.join(sorted(set(troubles)))}): "
                "may the agent's user read them, and does another program lock them?"
            )
        told = "; ".join(problems) or None
        if troubles and told != self._problem:
            logger.warning("%s", told)
        self._problem = told

    def _wait(self, left: float) -> None:
        if self._waiting or self._notices is None:
            time.sleep(min(left, _LOOK_AGAIN_S))
        else:
            self._notices.wait(min(left, max(0.0, self._next_sweep - time.monotonic())))
