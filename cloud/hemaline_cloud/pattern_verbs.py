"""`hemaline-cloud patterns show | check | set`: by which rules a site's patterns are told."""

from collections.abc import Callable
from pathlib import Path

from hemaline_cloud.database.operators import operator_transaction
from hemaline_cloud.database.policies import policy_of, set_policy
from hemaline_cloud.patterns.rules import SHIPPED, LoadedRules, read_rules
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]


def show_rules(settings: DatabaseSettings, site: str, echo: _Print) -> None:
    """Print the rules that hold at a site, byte for byte as `set` takes them."""
    with operator_transaction(settings) as connection:
        own = policy_of(connection, site).policy.pattern_rules
    echo((own if own is not None else SHIPPED.read_text("utf-8")).removesuffix("\n"))


def check_rules(file: Path, echo: _Print) -> None:
    """Say whether a file holds rules, and which.

    Raises:
        PermanentError: `rules-unreadable`: what is wrong with it, and where.
    """
    echo(_told(read_rules(_read(file))))


def put_rules(settings: DatabaseSettings, site: str, file: Path, echo: _Print) -> None:
    """Let rules hold at a site from now on, as a new version of its policy.

    Raises:
        PermanentError: `rules-unreadable`; nothing has changed.
    """
    text = _read(file)
    loaded = read_rules(text)
    # The shipped ones are not copied: a site that takes them takes those of later versions, too.
    own = None if text == SHIPPED.read_text("utf-8") else text
    with operator_transaction(settings) as connection:
        policy = policy_of(connection, site).policy.model_copy(update={"pattern_rules": own})
        version = set_policy(connection, operator(operator_name()), site, policy)
    echo(f"{_told(loaded)} They hold at {site} from now on, by version {version} of its policy.")


def _told(loaded: LoadedRules) -> str:
    used = loaded.used
    patterns = len(loaded.rules.patterns)
    return f"{used.title}, version {used.version}: {patterns} patterns, SHA-256 {used.sha256}."


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PermanentError("rules-unreadable", f"{file} cannot be read: {error}") from error
