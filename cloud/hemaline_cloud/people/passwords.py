"""Passwords, as argon2id hashes."""

from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LONGEST = 200
SHORTEST = 12


class Passwords:
    """Hashes and checks; each takes about half a second and 64 MiB, so few may run at once."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()

    def hash(self, password: str) -> str:
        """Return what is stored of a password."""
        return self._hasher.hash(password)

    def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; without a hash it takes as long, and is not."""
        try:
            return self._hasher.verify(password_hash or self._nobodys, password) and (
                password_hash is not None
            )
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("of nobody")
