"""Identities are sealed, open only where they belong, and outlive a change of the key."""

from datetime import date
from uuid import uuid4

import pytest
from pydantic import SecretStr, ValidationError

from hemaline_cloud.orders.identity import (
    IdentityKeys,
    Sealed,
    folded_identifier,
    identity_keys,
    words_of_name,
)
from hemaline_cloud.orders.order import PatientIdentity
from hemaline_cloud.settings import IdentitySettings
from hemaline_shared.errors import PermanentError

OLD, NEW = "o" * 32, "n" * 32
ERIN = PatientIdentity(identifier="4711", name="Example, Erin", birth_date=date(1980, 5, 17))
WHO = uuid4()


def test_an_identity_is_read_back_and_its_sealed_form_tells_nothing():
    keys = IdentityKeys([NEW])
    sealed = keys.seal_identity(ERIN, WHO)
    assert keys.open_identity(sealed, WHO) == ERIN
    for word in (b"Erin", b"4711", b"1980"):
        assert word not in sealed.box
    assert keys.seal_identity(ERIN, WHO).box != sealed.box, "two that are alike cannot be told"


def test_it_opens_only_as_the_patient_that_it_was_sealed_for():
    keys = IdentityKeys([NEW])
    sealed = keys.seal_identity(ERIN, WHO)
    with pytest.raises(PermanentError, match="was changed, or moved") as refused:
        keys.open_identity(sealed, uuid4())
    assert refused.value.reason == "identity-unreadable"
    with pytest.raises(PermanentError, match="was changed"):
        keys.open_identity(Sealed(sealed.key, sealed.box[:-1] + b"x"), WHO)


def test_after_a_change_of_the_key_both_are_read_and_found():
    old, both, new = IdentityKeys([OLD]), IdentityKeys([NEW, OLD]), IdentityKeys([NEW])
    sealed = old.seal_identity(ERIN, WHO)
    assert both.open_identity(sealed, WHO) == ERIN
    assert old.fingerprints("name", "erin")[0] in both.fingerprints("name", "erin")
    assert both.seal_identity(ERIN, WHO).key == new.in_use
    with pytest.raises(PermanentError, match="is not among") as refused:
        new.open_identity(sealed, WHO)
    assert refused.value.reason == "identity-key-missing"
    assert OLD not in str(refused.value)


def test_without_a_key_nothing_is_sealed():
    keys = IdentityKeys([])
    assert not keys
    with pytest.raises(PermanentError, match="HEMALINE_IDENTITY_KEY is not set"):
        keys.seal_identity(ERIN, WHO)


def test_keys_come_from_the_settings():
    url = SecretStr("postgresql://h/d")
    both = IdentitySettings(
        database_url=url,
        identity_key=SecretStr(NEW),
        identity_former_keys=SecretStr(f"{OLD} {'x' * 32}"),
    )
    assert identity_keys(both).in_use == IdentityKeys([NEW]).in_use
    assert len(identity_keys(both).fingerprints("name", "a")) == 3
    assert not identity_keys(IdentitySettings(database_url=url))
    with pytest.raises(ValidationError):
        IdentitySettings(database_url=url, identity_key=SecretStr("short"))


def test_names_are_found_without_accents_and_case_and_in_any_order():
    assert words_of_name("Müller-Lüdenscheidt, José") == ["muller", "ludenscheidt", "jose"]
    assert words_of_name("STRASSE straße") == ["strasse"]
    assert words_of_name("  ,. ") == []
    assert folded_identifier(" KV 12a ") == folded_identifier("kv12A")


def test_nothing_that_prints_an_identity_shows_it():
    shown = f"{ERIN!r} {ERIN} {[ERIN]}"
    wrong = {"identifier": "4711", "name": "Erin\x00", "birth_date": "secret"}
    with pytest.raises(ValidationError) as refused:
        PatientIdentity.model_validate(wrong)
    for word in ("Erin", "4711", "1980", "secret"):
        assert word not in shown
        assert word not in str(refused.value)


@pytest.mark.parametrize("day", ["1879-12-31", "2999-01-01"])
def test_a_birth_date_is_one(day):
    with pytest.raises(ValidationError, match="no living person"):
        PatientIdentity.model_validate({"identifier": "1", "name": "A", "birth_date": day})
