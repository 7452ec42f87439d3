"""Refusals of the review, each in a sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

from sqlalchemy import Connection

from hemaline_cloud.api.existing import existing_slide
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.api.words import humanise, second_reader_words
from hemaline_cloud.api.writing import etag
from hemaline_cloud.database.labels import NotTheReaderError
from hemaline_cloud.database.readings import NotBlindError
from hemaline_cloud.database.reports import OtherRevisionError
from hemaline_cloud.database.review import ReviewChangedError, hold_for_change
from hemaline_cloud.database.signing import SecondReaderWantedError
from hemaline_cloud.database.unseen import NotAllSeenError
from hemaline_shared.errors import PermanentError


def hold_unchanged(connection: Connection, slide_id: UUID, version: int) -> None:
    """Hold a slide to the transaction's end, if its review has this version.

    Raises:
        ProblemError: 404; 412 `changed-meanwhile` with the version that it has.
    """
    existing_slide(connection, slide_id)
    try:
        hold_for_change(connection, slide_id, version)
    except ReviewChangedError as error:
        # Read after the wait for the slide: the state before it is no news.
        slide = existing_slide(connection, slide_id)
        reader = f" {slide.reader_name} reads it." if slide.reader_name else ""
        raise ProblemError(
            HTTPStatus.PRECONDITION_FAILED,
            "changed-meanwhile",
            f"Somebody changed this slide meanwhile: it is {humanise(slide.review).lower()}."
            f"{reader} Look again.",
            errors=[{"where": "If-Match", "fault": "is older", "etag": etag(error.version)}],
        ) from error


@contextmanager
def refusals() -> Iterator[None]:
    """Say why a step, a reading or a signature is refused.

    Raises:
        ProblemError: 409 with the reason.
    """
    try:
        yield
    except OtherRevisionError as error:
        raise other_revision(error.current) from error
    except NotAllSeenError as error:
        raise _not_all_seen(error) from error
    except SecondReaderWantedError as error:
        raise _second_reader_wanted(error) from error
    except NotTheReaderError as error:
        raise not_the_reader(error) from error
    except NotBlindError as error:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "not-blind",
            "You had a part in the first reading: another person must read it.",
        ) from error
    except PermanentError as error:
        raise ProblemError(HTTPStatus.CONFLICT, error.reason, str(error)) from error


def other_revision(current: int | None) -> ProblemError:
    """Refuse what names another revision than the slide's current one."""
    now = f"It is revision {current} now" if current else "It has no result yet"
    return ProblemError(
        HTTPStatus.CONFLICT, "other-revision", f"{now}: more fields came. Look at the slide again."
    )


def not_the_reader(error: NotTheReaderError) -> ProblemError:
    """Refuse whoever is not the second reader that a slide awaits."""
    reads = f"{error.reader_name} reads it" if error.reader_name else "nobody has begun to read it"
    return ProblemError(
        HTTPStatus.CONFLICT,
        "not-the-reader",
        f"This slide awaits its second reader, and {reads}: until then nobody else can.",
    )


def _second_reader_wanted(error: SecondReaderWantedError) -> ProblemError:
    why = " and ".join(map(second_reader_words, error.reasons))
    what = (
        "You signed what this would amend: another person must amend it."
        if error.amends
        else "Finish your reading, and another person reads it."
    )
    return ProblemError(HTTPStatus.CONFLICT, "second-reader-wanted", f"Not signed: {why}. {what}")


def _not_all_seen(error: NotAllSeenError) -> ProblemError:
    unseen = error.unseen
    parts = []
    if unseen.cells:
        parts.append(f"{len(unseen.cells)} cell{'s' if len(unseen.cells) > 1 else ''}")
    if unseen.fields:
        parts.append(f"{unseen.fields} field{'s' if unseen.fields > 1 else ''} at full resolution")
    return ProblemError(
        HTTPStatus.CONFLICT,
        "not-all-seen",
        f"Not signed: you have not seen {' and '.join(parts)} yet.",
        errors=[
            {"where": str(cell_id), "fault": unseen.to_see[cell_id]} for cell_id in unseen.cells
        ],
    )
