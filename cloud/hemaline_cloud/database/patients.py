"""Patients: kept sealed, one row for each identifier of a site, and found by fingerprints."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, update

from hemaline_cloud.database.schema import Patient, PatientWord
from hemaline_cloud.orders.identity import (
    IdentityKeys,
    Sealed,
    folded_identifier,
    words_of_name,
)
from hemaline_cloud.orders.order import PatientIdentity
from hemaline_shared.errors import PermanentError
from hemaline_shared.ids import new_id

_IDENTIFIER, _NAME = "identifier", "name"
_AT_ONCE = 500


class KeptPatient(NamedTuple):
    """A patient that was found or added."""

    patient_id: UUID
    renamed: bool


def keep_patient(
    connection: Connection, keys: IdentityKeys, site: str, identity: PatientIdentity
) -> KeptPatient:
    """Return the patient of this identifier at a site, added where there is none.

    Of a known one the newest name holds: people marry.

    Args:
        connection: In a transaction.
        keys: That seal it.
        site: Whose patient.
        identity: Who it is.

    Raises:
        PermanentError: `patient-differs`; the identifier is known with another birth date.
            `identities-off` without a key.
    """
    prints = keys.fingerprints(_IDENTIFIER, folded_identifier(identity.identifier))
    query = select(Patient.patient_id, Patient.key, Patient.sealed)
    known = connection.execute(
        query.where(
            Patient.site == site, Patient.identifier_fingerprint.in_(prints)
        ).with_for_update()
    ).first()
    if known is None:
        patient_id = new_id()
        connection.execute(insert(Patient), _row(keys, patient_id, identity) | {"site": site})
        _write_words(connection, keys, site, patient_id, identity.name)
        return KeptPatient(patient_id, renamed=False)
    before = keys.open_identity(Sealed(known.key, known.sealed), known.patient_id)
    if before.birth_date != identity.birth_date:
        raise PermanentError(
            "patient-differs",
            "The patient's identifier is known with another birth date: one of them is wrong.",
        )
    if before == identity:
        return KeptPatient(known.patient_id, renamed=False)
    _write(connection, keys, site, known.patient_id, identity)
    return KeptPatient(known.patient_id, renamed=before.name != identity.name)


def read_patients(
    connection: Connection, keys: IdentityKeys, patient_ids: Iterable[UUID]
) -> dict[UUID, PatientIdentity]:
    """Return who these patients are; whoever calls it has asked whether that may be known."""
    wanted = set(patient_ids)
    if not wanted:
        return {}
    query = select(Patient.patient_id, Patient.key, Patient.sealed)
    rows = connection.execute(query.where(Patient.patient_id.in_(wanted)))
    return {
        row.patient_id: keys.open_identity(Sealed(row.key, row.sealed), row.patient_id)
        for row in rows
    }


def patients_named(
    connection: Connection, keys: IdentityKeys, words: str, *, sites: Iterable[str] | None
) -> list[UUID]:
    """Return the patients whose name has each of these words, or who have this identifier.

    Args:
        connection: In a transaction.
        keys: That made the fingerprints.
        words: As somebody typed them; case and accents are no matter.
        sites: Whose patients the asker may know; None: of all that the principal sees.
    """
    if not keys:
        return []
    of_sites = [] if sites is None else [Patient.site.in_(list(sites))]
    prints = keys.fingerprints(_IDENTIFIER, folded_identifier(words))
    by_identifier = select(Patient.patient_id).where(Patient.identifier_fingerprint.in_(prints))
    found = set(connection.scalars(by_identifier.where(*of_sites)))
    named: set[UUID] | None = None
    for word in words_of_name(words):
        query = select(PatientWord.patient_id).where(
            PatientWord.fingerprint.in_(keys.fingerprints(_NAME, word))
        )
        if sites is not None:
            query = query.where(PatientWord.site.in_(list(sites)))
        having = set(connection.scalars(query.limit(_AT_ONCE)))
        named = having if named is None else named & having
    return sorted(found | (named or set()))


def reseal_patients(connection: Connection, keys: IdentityKeys) -> int:
    """Seal some patients anew who are under a former key; return how many, 0 at the end."""
    rows = connection.execute(
        select(Patient.patient_id, Patient.site, Patient.key, Patient.sealed)
        .where(Patient.key != keys.in_use)
        .order_by(Patient.patient_id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        identity = keys.open_identity(Sealed(row.key, row.sealed), row.patient_id)
        _write(connection, keys, row.site, row.patient_id, identity)
    return len(rows)


def count_by_key(connection: Connection) -> Iterator[tuple[str, int]]:
    """Yield how many patients each key has sealed."""
    query = select(Patient.key, func.count()).group_by(Patient.key).order_by(Patient.key)
    yield from ((key, number) for key, number in connection.execute(query))


def _write(
    connection: Connection,
    keys: IdentityKeys,
    site: str,
    patient_id: UUID,
    identity: PatientIdentity,
) -> None:
    row = _row(keys, patient_id, identity)
    del row["patient_id"]
    connection.execute(update(Patient).where(Patient.patient_id == patient_id).values(**row))
    _write_words(connection, keys, site, patient_id, identity.name)


def _row(keys: IdentityKeys, patient_id: UUID, identity: PatientIdentity) -> dict[str, object]:
    sealed = keys.seal_identity(identity, patient_id)
    identifier = folded_identifier(identity.identifier)
    return {
        "patient_id": patient_id,
        "key": sealed.key,
        "sealed": sealed.box,
        "identifier_fingerprint": keys.fingerprints(_IDENTIFIER, identifier)[0],
    }


def _write_words(
    connection: Connection, keys: IdentityKeys, site: str, patient_id: UUID, name: str
) -> None:
    connection.execute(delete(PatientWord).where(PatientWord.patient_id == patient_id))
    rows = [
        {
            "patient_id": patient_id,
            "fingerprint": keys.fingerprints(_NAME, word)[0],
            "site": site,
        }
        for word in words_of_name(name)
    ]
    if rows:
        connection.execute(insert(PatientWord), rows)
