"""Codes of specimens, as scanners and people type them, and their check digits. Pure."""

import re
import unicodedata
from collections.abc import Callable
from typing import Literal, TypeAlias

from hemaline_shared.errors import PermanentError

LONGEST = 48

CheckDigit: TypeAlias = Literal[
    "none",
    "luhn",
    "iso-7064-mod-11-10",
    "iso-7064-mod-97-10",
    "iso-7064-mod-37-2",
    "iso-7064-mod-37-36",
]
"""How the codes of a site end. Luhn: ISO/IEC 7812-1, annex B; the others: ISO/IEC 7064:2003."""

_SYMBOLOGY = re.compile(r"^\][A-Za-z][0-9A-Za-z]")
"""Says which kind of barcode it was (ISO/IEC 15424); some scanners type it before the code."""
_CODE = re.compile(rf"[!-~]{{1,{LONGEST}}}")
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def folded(typed: str) -> str:
    """Return a code as it is compared: without blanks, in capital letters.

    Raises:
        PermanentError: `barcode-unreadable`.
    """
    code = _SYMBOLOGY.sub("", "".join(unicodedata.normalize("NFKC", typed).split())).upper()
    if not _CODE.fullmatch(code):
        raise PermanentError(
            "barcode-unreadable",
            f"This is no code: one has 1 to {LONGEST} letters, digits and signs. Scan it again.",
        )
    return code


def has_right_check_digit(code: str, scheme: CheckDigit) -> bool:
    """Whether a folded code ends as its site's codes do; of `none`, each does."""
    check = _CHECKS.get(scheme)
    return check is None or (len(code) > 1 and check(code))


def _luhn(code: str) -> bool:
    if not _only(code, _DIGITS):
        return False
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(code))]
    return sum(sum(divmod(digit, 10)) for digit in doubled) % 10 == 0


def _pure(code: str, modulus: int, radix: int, alphabet: str) -> bool:
    """Hold a code to a pure system of ISO 7064: the weighted sum leaves 1."""
    left = 0
    for sign in code:
        left = (left * radix + alphabet.index(sign)) % modulus
    return left == 1


def _hybrid(code: str, modulus: int, alphabet: str) -> bool:
    """Hold a code to a hybrid system of ISO 7064."""
    left = modulus
    for sign in code[:-1]:
        left = (left + alphabet.index(sign)) % modulus or modulus
        left = left * 2 % (modulus + 1)
    return (left + alphabet.index(code[-1])) % modulus == 1


def _mod_11_10(code: str) -> bool:
    return _only(code, _DIGITS) and _hybrid(code, 10, _DIGITS)


def _mod_97_10(code: str) -> bool:
    """Two check digits; letters before them count as 10 to 35, as in an IBAN."""
    if not (_only(code, _DIGITS + _LETTERS) and _only(code[-2:], _DIGITS)):
        return False
    return int("".join(str(int(sign, 36)) for sign in code)) % 97 == 1


def _mod_37_2(code: str) -> bool:
    """One check sign, perhaps a `*`: as blood banks number donations (ISBT 128)."""
    alphabet = _DIGITS + _LETTERS + "*"
    return (
        _only(code[:-1], alphabet[:-1]) and _only(code, alphabet) and _pure(code, 37, 2, alphabet)
    )


def _mod_37_36(code: str) -> bool:
    alphabet = _DIGITS + _LETTERS
    return _only(code, alphabet) and _hybrid(code, 36, alphabet)


def _only(code: str, alphabet: str) -> bool:
    return set(code) <= set(alphabet)


_CHECKS: dict[str, Callable[[str], bool]] = {
    "luhn": _luhn,
    "iso-7064-mod-11-10": _mod_11_10,
    "iso-7064-mod-97-10": _mod_97_10,
    "iso-7064-mod-37-2": _mod_37_2,
    "iso-7064-mod-37-36": _mod_37_36,
}
