"""Identities at rest: sealed by AES-256-GCM, found by fingerprints, under keys that change."""

import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hemaline_cloud.orders.order import PatientIdentity
from hemaline_cloud.settings import IdentitySettings
from hemaline_shared.errors import PermanentError

_NONCE = 12
_MOST_WORDS = 12
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Sealed:
    """What nobody reads without the key.

    Attributes:
        key: Which key, by its public name.
        box: Nonce and ciphertext.
    """

    key: str
    box: bytes


class _Key:
    """What follows from one secret: its public name, and a key for each purpose."""

    def __init__(self, secret: str) -> None:
        self.name = _derived(secret, "name")[:4].hex()
        self.cipher = AESGCM(_derived(secret, "seal"))
        self.index = _derived(secret, "index")


class IdentityKeys:
    """Seals under the first key, and reads what any of them sealed.

    Args:
        secrets: The key in use, then those that were in use before.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = [_Key(secret) for secret in secrets]

    def __bool__(self) -> bool:
        """Whether identities are kept at all."""
        return bool(self._keys)

    @property
    def in_use(self) -> str:
        """The public name of the key that seals."""
        return self._first().name

    def seal(self, text: bytes, bound_to: str) -> Sealed:
        """Seal a text; it opens only as part of what it is bound to.

        Raises:
            PermanentError: `identities-off`.
        """
        key, nonce = self._first(), os.urandom(_NONCE)
        return Sealed(key.name, nonce + key.cipher.encrypt(nonce, text, bound_to.encode()))

    def open(self, sealed: Sealed, bound_to: str) -> bytes:
        """Return a text.

        Raises:
            PermanentError: `identity-key-missing`, or `identity-unreadable` where it was changed.
        """
        for key in self._keys:
            if key.name == sealed.key:
                nonce, rest = sealed.box[:_NONCE], sealed.box[_NONCE:]
                try:
                    return key.cipher.decrypt(nonce, rest, bound_to.encode())
                except InvalidTag as error:
                    raise PermanentError(
                        "identity-unreadable", "A sealed text was changed, or moved elsewhere."
                    ) from error
        raise PermanentError(
            "identity-key-missing",
            f"The key {sealed.key} is not among HEMALINE_IDENTITY_KEY and …_FORMER_KEYS.",
        )

    def seal_identity(self, identity: PatientIdentity, patient_id: UUID) -> Sealed:
        """Seal who a patient is."""
        return self.seal(identity.model_dump_json().encode(), str(patient_id))

    def open_identity(self, sealed: Sealed, patient_id: UUID) -> PatientIdentity:
        """Return who a patient is."""
        return PatientIdentity.model_validate_json(self.open(sealed, str(patient_id)))

    def fingerprints(self, kind: str, word: str) -> list[bytes]:
        """Return by what a word is found, under each key; the first is the one to store."""
        text = f"{kind}\0{word}".encode()
        return [hmac.digest(key.index, text, hashlib.sha256) for key in self._keys]

    def _first(self) -> _Key:
        if not self._keys:
            raise PermanentError(
                "identities-off",
                "This system keeps no orders and no identities: HEMALINE_IDENTITY_KEY is not set.",
            )
        return self._keys[0]


def identity_keys(settings: IdentitySettings) -> IdentityKeys:
    """Return the keys that a process was given; false where it was given none."""
    first, former = settings.identity_key, settings.identity_former_keys
    rest = former.get_secret_value().split() if former else []
    return IdentityKeys([first.get_secret_value(), *rest] if first else [])


def words_of_name(name: str) -> list[str]:
    """Return the words by which a name is found: no accents, no case, each once."""
    plain = "".join(
        sign
        for sign in unicodedata.normalize("NFKD", name.casefold())
        if not unicodedata.combining(sign)
    )
    words = [word for word in _BETWEEN_WORDS.split(plain) if word]
    return list(dict.fromkeys(words))[:_MOST_WORDS]


def folded_identifier(identifier: str) -> str:
    """Return an identifier as it is compared."""
    return "".join(unicodedata.normalize("NFKC", identifier).split()).casefold()


def _derived(secret: str, purpose: str) -> bytes:
    info = f"hemaline identity {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret.encode())
