"""What roles allow, and what is taken for a code."""

import pytest

from hemaline_cloud.people.rights import Right, has_right
from hemaline_cloud.people.secrets import csrf_token, digest, new_password, new_secret, new_token
from hemaline_cloud.people.totp import is_totp_secret, new_totp_secret, step_of_code


@pytest.mark.parametrize(
    ("right", "roles"),
    [
        (Right.REVIEW, {"technologist", "haematologist"}),
        (Right.SIGN, {"haematologist"}),
        (Right.OPERATE, {"operator", "admin"}),
        (Right.ADMINISTER, {"admin"}),
    ],
)
def test_each_right_belongs_to_its_roles(right: Right, roles: set[str]):
    everybody = ("technologist", "haematologist", "operator", "admin")
    assert {role for role in everybody if has_right({role}, right)} == roles
    assert not has_right(set(), right)


def test_secrets_are_long_differ_and_fit_what_is_asked_of_them():
    for made in (new_secret, new_token, new_password, new_totp_secret):
        assert len({made() for _ in range(100)}) == 100
    assert new_token().startswith("hml_")
    secret = new_secret()
    assert len(secret) >= 43
    assert csrf_token(secret) != digest(secret).hex()


def test_codes_of_the_standard_and_their_neighbours_in_time():
    """RFC 6238's test secret, with six digits: 287082 at 59 s, 081804 at 1111111109 s."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert is_totp_secret(secret)
    assert step_of_code(secret, "287 082", now=59) == 1
    assert step_of_code(secret, "081804", now=1111111109) == 37037036
    assert step_of_code(secret, "287082", now=89) == 1
    assert step_of_code(secret, "287082", now=120) is None
    assert step_of_code(secret, "", now=59) is None


@pytest.mark.parametrize("text", ["", "a" * 32, "GEZDGNBVGY3TQOJQ", "1" * 32, "G" * 33])
def test_a_secret_of_another_form_is_none_of_ours(text: str):
    assert not is_totp_secret(text)
