"""`hemaline-cloud orders import`, `patients reseal`: what is done with orders on the server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection

from hemaline_cloud.database.audit import Event, record_event
from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.operators import operator_engine, operator_transaction
from hemaline_cloud.database.orders import add_order
from hemaline_cloud.database.patients import count_by_key, reseal_patients
from hemaline_cloud.orders.csv_orders import read_csv
from hemaline_cloud.orders.identity import IdentityKeys, identity_keys
from hemaline_cloud.orders.order import NewOrder
from hemaline_cloud.orders.service_requests import read_service_requests
from hemaline_cloud.principal import operator
from hemaline_cloud.settings import IdentitySettings
from hemaline_shared.errors import PermanentError
from hemaline_shared.operators import operator_name
from hemaline_shared.topics import is_site_name

_Print = Callable[[str], None]
_MOST_FAULTS = 20


def import_orders(settings: IdentitySettings, file: Path, site: str, echo: _Print) -> None:
    """Take in all orders of a CSV or a FHIR file, or none.

    Args:
        settings: Where the database is, and the keys.
        file: `.csv`, or `.json`: a ServiceRequest or a Bundle of them.
        site: Whose laboratory.
        echo: Prints a line.

    Raises:
        PermanentError: `orders-unreadable`, with a line for each order at fault; `bad-site`.
            Nothing was taken in.
    """
    if not is_site_name(site):
        raise PermanentError("bad-site", f"'{site}' cannot be the name of a site.")
    keys = identity_keys(settings)
    with operator_transaction(settings) as connection:
        new, known = 0, 0
        faults = []
        for place, order in _read(file):
            try:
                if isinstance(order, PermanentError):
                    raise order
                added = _add(connection, keys, site, order)
            except PermanentError as error:
                faults.append(f"{place}: {error}")
            else:
                new, known = new + added, known + (not added)
        if faults:
            raise PermanentError("orders-unreadable", _told(file, faults))
    echo(f"Orders taken in at {site}: {new}; known already: {known}.")


def reseal(settings: IdentitySettings, echo: _Print) -> None:
    """Seal every patient anew who is sealed under a former key; safe to repeat, and to break off.

    Raises:
        PermanentError: `identities-off`, `identity-key-missing`; what was done before is kept.
    """
    keys = identity_keys(settings)
    done = 0
    with operator_engine(settings) as engine:
        while True:
            with unit_of_work(engine) as connection:
                sealed = reseal_patients(connection, keys)
                if sealed:
                    detail = f"{sealed} under the key {keys.in_use}"
                    event = Event("reseal", "patient", detail=detail)
                    record_event(connection, operator(operator_name()), event)
            done += sealed
            if not sealed:
                break
        with unit_of_work(engine) as connection:
            left = list(count_by_key(connection))
    echo(f"Patients sealed anew: {done}.")
    for key, number in left:
        where = "the key in use" if key == keys.in_use else "a former key"
        echo(f"Under {key}, {where}: {number}.")


def _add(connection: Connection, keys: IdentityKeys, site: str, order: NewOrder) -> bool:
    who = operator(operator_name())
    added = add_order(connection, who, keys, site, order)
    if added.new:
        record_event(connection, who, Event("add", "order", added.order_id, "import", site))
    return added.new


def _read(file: Path) -> Iterator[tuple[str, NewOrder | PermanentError]]:
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise PermanentError("orders-unreadable", f"{file} cannot be read: {why}.") from None
    if file.suffix.lower() != ".json":
        yield from read_csv(text)
        return
    try:
        resource = json.loads(text)
    except (ValueError, RecursionError):
        resource = None
    if not isinstance(resource, dict):
        raise PermanentError("orders-unreadable", f"{file} is no JSON object.")
    yield from read_service_requests(resource)


def _told(file: Path, faults: list[str]) -> str:
    more = len(faults) - _MOST_FAULTS
    lines = faults[:_MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])
    return "\n".join([f"Nothing of {file} was taken in:", *lines])
