"""Local accounts: attempts to log in are counted, sessions opened, own passwords changed."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Engine

from hemaline_cloud.database.engine import unit_of_work
from hemaline_cloud.database.people import (
    AccountRow,
    find_account,
    improve_hash,
    record_about,
    set_password,
    use_totp_step,
)
from hemaline_cloud.database.sessions import (
    Method,
    begin_attempt,
    forget_failures,
    open_session,
)
from hemaline_cloud.people.passwords import LONGEST, SHORTEST, Passwords
from hemaline_cloud.people.secrets import digest, new_secret
from hemaline_cloud.people.totp import step_of_code


class RefusedLogInError(Exception):
    """A log-in that did not succeed.

    Attributes:
        reason: `wrong-password`, `code-needed`, `wrong-code`, `locked-out`; of a new password:
            `bad-length` or `contains-name`.
        wait_s: After how many seconds another attempt is looked at.
    """

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody typed."""

    name: str
    password: str
    code: str = ""


class LocalLogIn:
    """Looks at credentials and opens sessions."""

    def __init__(self, engine: Engine, passwords: Passwords, lifetime_s: int) -> None:
        self._engine = engine
        self._passwords = passwords
        self._lifetime_s = lifetime_s

    def __call__(self, credentials: Credentials) -> str:
        """Return the secret of a new session; it takes about half a second.

        Raises:
            RefusedLogInError: In the same time and words for a name that nobody has.
        """
        key = _key(credentials.name)
        account = self._proved(credentials.name, credentials.password)
        better = self._better_hash(account, credentials.password)
        secret = new_secret()
        with unit_of_work(self._engine) as connection:
            method: Method = "password"
            if account.totp_secret:
                step = _step(account.totp_secret, credentials.code)
                if not use_totp_step(connection, account.person.person_id, step):
                    raise RefusedLogInError("wrong-code")
                method = "totp"
            if better:
                improve_hash(connection, account.person.person_id, better)
            forget_failures(connection, key)
            open_session(
                connection, digest(secret), account.person.person_id, method, self._lifetime_s
            )
            record_about(connection, account.person.principal, "log-in", account.person, method)
        return secret

    def change_password(self, name: str, present: str, new: str) -> None:
        """Give somebody the password that they chose; all their sessions end. It takes a second.

        Raises:
            RefusedLogInError: The present password is wrong, or the new one is too easily guessed.
        """
        if not SHORTEST <= len(new) <= LONGEST:
            raise RefusedLogInError("bad-length")
        if name.lower() in new.lower():
            raise RefusedLogInError("contains-name")
        account = self._proved(name, present)
        new_hash = self._passwords.hash(new)
        with unit_of_work(self._engine) as connection:
            forget_failures(connection, _key(name))
            set_password(connection, account.person.person_id, new_hash)
            record_about(connection, account.person.principal, "change-password", account.person)

    def _proved(self, name: str, password: str) -> AccountRow:
        """Return the account whose password this is."""
        # Committed before the password is looked at: a thousand attempts at once count, too.
        with unit_of_work(self._engine) as connection:
            wait_s = begin_attempt(connection, _key(name))
        if wait_s:
            raise RefusedLogInError("locked-out", wait_s)
        with unit_of_work(self._engine) as connection:
            account = find_account(connection, name)
        known_hash = account.password_hash if account else None
        if not self._passwords.fits(password[: LONGEST + 1], known_hash):
            raise RefusedLogInError("wrong-password")
        assert account
        return account

    def _better_hash(self, account: AccountRow, password: str) -> str | None:
        outdated = self._passwords.is_outdated(account.password_hash)
        return self._passwords.hash(password) if outdated else None


def _key(name: str) -> bytes:
    """Return by what failures are counted: the database learns no name that was mistyped."""
    return hashlib.sha256(name.lower().encode()).digest()


def _step(secret: str, code: str) -> int:
    if not code:
        raise RefusedLogInError("code-needed")
    step = step_of_code(secret, code)
    if step is None:
        raise RefusedLogInError("wrong-code")
    return step
