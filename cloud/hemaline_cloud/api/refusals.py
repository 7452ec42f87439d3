"""Refusing whoever may not do something, or has not shown lately that it is they."""

from collections.abc import Set as AbstractSet
from http import HTTPStatus

from hemaline_cloud.api.authenticator import Authentication
from hemaline_cloud.api.problems import ProblemError
from hemaline_cloud.people.rights import Right, has_right


def refuse_without(right: Right, roles: AbstractSet[str], site: str = "") -> None:
    """Refuse whoever has no role with the right.

    Raises:
        ProblemError: 403 `no-permission`.
    """
    if has_right(roles, right):
        return
    where = f" at {site}" if site else ""
    yours = f"Your roles{where}: {', '.join(sorted(roles)) or 'none'}."
    raise ProblemError(HTTPStatus.FORBIDDEN, "no-permission", f"{right.sentence} {yours}")


def refuse_unless_recent(shown: Authentication) -> None:
    """Refuse whoever has not shown within minutes that it is they: before signing.

    Raises:
        ProblemError: 401 `log-in-again`; 403 `person-needed` for a token.
    """
    if shown.authenticated_at is None:
        raise ProblemError(
            HTTPStatus.FORBIDDEN, "person-needed", "No token can do this: a person must log in."
        )
    if not shown.is_recent:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "log-in-again",
            "Show once more that it is you: log in again, and this goes on.",
        )
