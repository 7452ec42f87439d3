"""What every route works with: the database, the images, the stream of changes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import Connection, Engine

from hemaline_cloud.api.authenticator import Authentication, Authenticator
from hemaline_cloud.api.changes import ChangeFeed
from hemaline_cloud.api.field_images import FieldImageReader
from hemaline_cloud.api.hashing import HashingSlots
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.api.rate_limits import RateLimit
from hemaline_cloud.api.read_audit import ReadAudit, Shown
from hemaline_cloud.api.refusals import refuse_unless_recent, refuse_without
from hemaline_cloud.database.audit import READ, Event
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.people import EVERY_SITE
from hemaline_cloud.orders.identity import IdentityKeys
from hemaline_cloud.people.log_in import LocalLogIn
from hemaline_cloud.people.rights import ROLES_WITH, Right, has_right
from hemaline_cloud.principal import Principal
from hemaline_shared.errors import PermanentError

_NOBODY = Principal("", "nobody", "service")


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts of one API process.

    Attributes:
        engine: Read-only connections.
        writing_engine: Connections for changes.
        reads: Records who saw what.
        images: The stored fields.
        changes: What changed in the database, for live pages.
        store_problem: Says what is wrong with the object store, or None.
        finish_erasures: Deletes the objects of specimens that were erased.
        authenticator: Finds whose a cookie or a token is.
        local_log_in: Looks at names and passwords.
        hashing: Bounds how many of these are looked at at once.
        log_in_limit: Bounds the attempts from one address.
        identity_keys: Of the patients' identities; false where no orders are kept.
        principal: Who asks; outside of a request nobody does, and nothing can be read.
        shown: What the answer to this request shows of persons.
        authentication: How they have shown it; None on a route for anybody.
    """

    engine: Engine
    writing_engine: Engine
    reads: ReadAudit
    images: FieldImageReader
    changes: ChangeFeed
    store_problem: Callable[[], str | None]
    finish_erasures: Callable[[], None]
    authenticator: Authenticator
    local_log_in: LocalLogIn
    hashing: HashingSlots
    log_in_limit: RateLimit
    identity_keys: IdentityKeys
    principal: Principal = _NOBODY
    shown: list[Shown] = field(default_factory=list)
    authentication: Authentication | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one read-only transaction of whoever asks: what it reads belongs together.

        Raises:
            ProblemError: 422 where the request holds what no column can: a number too large, a
                text with a NUL.
            TransientError: What is shown could not be put on record.
        """
        with _storable(), self.reads.reading(self.principal, self.shown) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[tuple[Connection, Principal]]:
        """Open one transaction of whoever asks, for a change; see `hemaline_cloud.api.writing`.

        Raises:
            ProblemError: As `reading`.
        """
        with _storable(), unit_of_work(self.writing_engine, self.principal) as connection:
            yield connection, self.principal

    def audit_read(
        self,
        subject: str,
        subject_id: UUID | None = None,
        *,
        slide_id: UUID | None = None,
        shown: Sequence[UUID] | None = None,
    ) -> None:
        """Say, within `reading`, what the answer shows of persons: at its end it is on record.

        Args:
            subject: What kind of thing.
            subject_id: Which; None for a list.
            slide_id: Whose.
            shown: Of a list, its slides.
        """
        event = Event(READ, subject, subject_id, slide_id=slide_id, shown=shown)
        self.shown.append(Shown(event))

    def audit_image(self, subject: str, subject_id: UUID, slide_id: UUID) -> None:
        """As `audit_read`, of an image: the event of the page that holds it stands for it."""
        event = Event(READ, subject, subject_id, slide_id=slide_id)
        self.shown.append(Shown(event, is_image=True))

    def require_review(self, right: Right = Right.REVIEW) -> None:
        """Refuse whoever reviews slides nowhere; `Writing.write` asks for the right at the site.

        Raises:
            ProblemError: 403 `no-permission`.
        """
        refuse_without(right, self.principal.roles)

    def may(self, right: Right, site: str) -> bool:
        """Whether somebody has a right at a site."""
        return self.authentication is not None and has_right(
            self.authentication.roles_at(site), right
        )

    def sites_with(self, right: Right) -> frozenset[str] | None:
        """Return the sites at which somebody has a right; None: at all of them."""
        assert self.authentication
        sites = {site for role, site in self.authentication.grants if role in ROLES_WITH[right]}
        return None if EVERY_SITE in sites else frozenset(sites)

    def require(self, right: Right, site: str, *, freshly: bool = False) -> None:
        """Refuse whoever may not do something with what belongs to a site.

        Args:
            right: What for.
            site: Whose; a role at another site does not count.
            freshly: A person must have shown within minutes that it is they, as before signing.

        Raises:
            ProblemError: 403 `no-permission`; as `refuse_unless_recent`.
        """
        assert self.authentication
        refuse_without(right, self.authentication.roles_at(site), site)
        if freshly:
            refuse_unless_recent(self.authentication)


@contextmanager
def _storable() -> Iterator[None]:
    """Answer what no column can hold: a number too large, a text with a NUL."""
    try:
        yield
    except PermanentError as error:
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "invalid-request",
            "A part of this request is nothing that Hemaline ever stores.",
        ) from error


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    found: Authentication | None = getattr(request.state, "authentication", None)
    if found is None:
        return context
    return replace(context, principal=found.principal, authentication=found, shown=[])


Context = Annotated[ApiContext, Depends(_context)]
