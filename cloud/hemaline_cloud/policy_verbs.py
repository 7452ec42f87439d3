"""`hemaline-cloud policies show | set`: what a site asks of its readers before they sign."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from hemaline_cloud.database.operators import operator_transaction
from hemaline_cloud.database.policies import policy_of, set_policy
from hemaline_cloud.principal import operator
from hemaline_cloud.review.policy import ReviewPolicy
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]


def show_policy(settings: DatabaseSettings, site: str, echo: _Print) -> None:
    """Print the policy that holds at a site, as the JSON that `set` takes."""
    with operator_transaction(settings) as connection:
        found = policy_of(connection, site)
    told = f"version {found.version}" if found.version else "the default: the site has none"
    echo(f"# {site}: {told}")
    echo(found.policy.model_dump_json(indent=2))


def put_policy(settings: DatabaseSettings, site: str, file: Path, echo: _Print) -> None:
    """Let a policy hold at a site from now on; what was signed keeps the version it was signed by.

    Raises:
        PermanentError: `policy-unreadable`; nothing has changed.
    """
    policy = _read(file)
    with operator_transaction(settings) as connection:
        version = set_policy(connection, operator(operator_name()), site, policy)
    echo(f"Version {version} holds at {site} from now on.")


def _read(file: Path) -> ReviewPolicy:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError("policy-unreadable", f"{file} cannot be read: {error}") from error
    text = "\n".join(line for line in lines if not line.startswith("#"))
    try:
        return ReviewPolicy.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise PermanentError(
            "policy-unreadable", f"{file} is no review policy: {where}: {first['msg']}."
        ) from error
