"""`hemaline-cloud bundles list | show | appoint | end-trial`: whose answers count."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from hemaline_cloud.database.appointments import (
    appoint,
    appointed_sites,
    appointments_of,
    end_trial,
    holders,
)
from hemaline_cloud.database.bundles import KnownBundle, find_bundles, known_bundles
from hemaline_cloud.database.operators import operator_transaction
from hemaline_cloud.database.purposes import Purpose, Sites
from hemaline_cloud.database.results import register_bundle
from hemaline_cloud.inference.bundle import bundle_record, load_bundle
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import DatabaseSettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name

_Print = Callable[[str], None]
_PURPOSES: tuple[Purpose, ...] = ("active", "trial")


def list_bundles(settings: DatabaseSettings, echo: _Print) -> None:
    """Print the known bundles, newest first: a line each, its parts parted by tabs."""
    with operator_transaction(settings) as connection:
        for bundle in known_bundles(connection):
            echo("\t".join([*_named(bundle), _held(connection, bundle)]).rstrip())


def show_bundle(settings: DatabaseSettings, name: str, echo: _Print) -> None:
    """Print what a bundle holds now, and its appointments, newest first.

    Raises:
        PermanentError: `no-such-bundle` or `ambiguous-bundle`.
    """
    with operator_transaction(settings) as connection:
        bundle = _found(connection, name)
        appointments = appointments_of(connection, bundle.sha256)
        held = _held(connection, bundle)
    echo(f"bundle     {bundle.bundle_id} ({_training(bundle)})")
    echo(f"sha-256    {bundle.sha256}")
    echo(f"known      since {bundle.first_used_at.isoformat(timespec='seconds')}")
    echo(f"holds      {held or 'nothing: its answers do not count'}")
    for one in appointments:
        where = one.site or "all sites"
        since = one.since.isoformat(timespec="seconds")
        echo(f"appointed  {since} by {one.appointed_by}: {one.purpose} for {where}")


def appoint_bundle(
    settings: DatabaseSettings, name: str, purpose: Purpose, site: str | None, echo: _Print
) -> None:
    """Let a bundle hold a purpose from now on, for a site or for all.

    Raises:
        PermanentError: `no-such-bundle`, `ambiguous-bundle`, `bundle-is-active`; as `load_bundle`
            does, where `name` is a directory.
    """
    with operator_transaction(settings) as connection:
        bundle = _found(connection, name)
        before = [one.bundle_id for one in holders(connection, purpose) if one.bundle_id]
        changed = appoint(connection, operator(operator_name()), bundle.sha256, purpose, site)
        held = appointed_sites(connection, bundle.sha256, purpose)
    said = "is" if changed else "was already"
    instead = f", in place of {', '.join(sorted(set(before)))}" if changed and before else ""
    echo(f"{bundle.bundle_id} ({bundle.sha256[:12]}) {said} {purpose} for {held}{instead}.")


def end_trials(settings: DatabaseSettings, site: str | None, echo: _Print) -> None:
    """Let no bundle be on trial from now on, for a site or for all."""
    with operator_transaction(settings) as connection:
        ended = end_trial(connection, operator(operator_name()), site)
    where = "at all sites" if site is None else f"at site {site}"
    echo(f"No bundle is on trial {where}." if ended else f"There was no trial {where}.")


def appoint_first(settings: DatabaseSettings, directory: Path, *, replace: bool) -> str | None:
    """Appoint the bundle that one machine runs, where none was appointed yet.

    Args:
        settings: Where the database is.
        directory: The bundle.
        replace: Also in the place of another one.

    Returns:
        A sentence, where the bundle is appointed now; None: it was before.

    Raises:
        PermanentError: `bundle-not-active`: another one is, and nobody said that it may go.
    """
    with operator_transaction(settings) as connection:
        bundle = _found(connection, str(directory))
        if not appointed_sites(connection, bundle.sha256, "active").none:
            return None
        others = sorted({one.bundle_id or "" for one in holders(connection, "active")})
        if others and not replace:
            raise PermanentError(
                "bundle-not-active",
                f"Here the answers of {', '.join(others)} count, and {bundle.bundle_id} would run "
                f"({directory}). Add --appoint, and the answers of {bundle.bundle_id} count from "
                "now on; results that are there stay as they are. Or name the other bundle's "
                "directory by HEMALINE_BUNDLE.",
            )
        appoint(connection, operator(operator_name()), bundle.sha256, "active")
    instead = f", in place of {', '.join(others)}" if others else ", for it is the first one here"
    return f"{bundle.bundle_id} is appointed: its answers count from now on{instead}"


def _found(connection: Connection, name: str) -> KnownBundle:
    """Return the bundle of a directory, which becomes known, or of an id, or of a hash's start."""
    if Path(name).is_dir():
        record = bundle_record(load_bundle(Path(name)))
        register_bundle(connection, record)
        name = record.sha256
    found = find_bundles(connection, name)
    if len(found) == 1:
        return found[0]
    if not found:
        raise PermanentError(
            "no-such-bundle",
            f"No bundle is called {name}: name one of `hemaline-cloud bundles list` by its id or "
            "the beginning of its hash, or the directory of a new one.",
        )
    hashes = ", ".join(bundle.sha256[:12] for bundle in found)
    raise PermanentError(
        "ambiguous-bundle", f"Several bundles are called {name}: say which by its hash, {hashes}."
    )


def _named(bundle: KnownBundle) -> list[str]:
    known = bundle.first_used_at.isoformat(timespec="seconds")
    return [bundle.sha256[:12], bundle.bundle_id, _training(bundle), known]


def _training(bundle: KnownBundle) -> str:
    return "trained" if bundle.trained else "untrained"


def _held(connection: Connection, bundle: KnownBundle) -> str:
    held: dict[Purpose, Sites] = {
        purpose: appointed_sites(connection, bundle.sha256, purpose) for purpose in _PURPOSES
    }
    return "; ".join(f"{purpose}: {sites}" for purpose, sites in held.items() if not sites.none)
