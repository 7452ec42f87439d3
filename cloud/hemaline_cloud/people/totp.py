"""Codes of a second factor: six digits that follow from a secret and the time (RFC 6238)."""

import string
import time

import pyotp

_PERIOD_S = 30
_LETTERS = 32
_BASE_32 = frozenset(string.ascii_uppercase + "234567")
_SKEW_STEPS = 1
"""A telephone's clock may be so many steps off."""


def new_totp_secret() -> str:
    """Return a secret for an authenticator app: 160 bits in base 32."""
    return pyotp.random_base32()


def is_totp_secret(text: str) -> bool:
    """Whether it is a secret of ours."""
    return len(text) == _LETTERS and set(text) <= _BASE_32


def address_of(secret: str, name: str) -> str:
    """Return what an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Hemaline")


def step_of_code(secret: str, code: str, now: float | None = None) -> int | None:
    """Return the time step whose code it is, or None: it is no code of this minute."""
    current = int(time.time() if now is None else now) // _PERIOD_S
    totp = pyotp.TOTP(secret)
    digits = code.replace(" ", "")
    for step in range(current - _SKEW_STEPS, current + _SKEW_STEPS + 1):
        if pyotp.utils.strings_equal(digits, totp.generate_otp(step)):
            return step
    return None
