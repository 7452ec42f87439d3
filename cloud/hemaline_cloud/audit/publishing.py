"""Puts seals where whoever owns the database does not reach: the object store and the log."""

import json
import logging

from hemaline_cloud.database.audit_seals import SealRow
from hemaline_cloud.objects.keys import AUDIT_SEALS, audit_seal_key, parse_audit_seal_key
from hemaline_cloud.objects.store import ObjectStore

logger = logging.getLogger(__name__)


def publish_seal(store: ObjectStore, seal: SealRow) -> None:
    """Put a seal into the object store, and say its hash in the log.

    Raises:
        TransientError: `object-store-unavailable`.
    """
    content = json.dumps(seal._asdict(), default=str, indent=1).encode()
    store.put(audit_seal_key(seal.number, seal.hash, seal.sealed_at), content)
    logger.info("audit sealed up to block %d: %s", seal.number, seal.hash)


def published_seals(store: ObjectStore) -> dict[int, set[str]]:
    """Return the hashes that were published for each block; more than one where a chain forked."""
    found: dict[int, set[str]] = {}
    for stored in store.list_under(AUDIT_SEALS):
        number, sealed = parse_audit_seal_key(stored.key)
        found.setdefault(number, set()).add(sealed)
    return found
