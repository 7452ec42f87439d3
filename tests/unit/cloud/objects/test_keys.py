"""Keys: spelled once, and unable to leave the store."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_cloud.objects.keys import (
    dead_letter_key,
    dead_upload_key,
    field_key,
    is_key,
    upload_key,
)
from hemaline_shared.topics import DeviceName

SCOPE, FRAME = DeviceName("lab", "scope-1"), UUID(int=1)


def test_every_spelled_key_is_a_key_and_no_two_are_the_same():
    keys = {
        field_key(SCOPE, FRAME, "a" * 64),
        field_key(SCOPE, FRAME, "b" * 64),
        upload_key(SCOPE, FRAME),
        dead_letter_key(FRAME),
        dead_upload_key(FRAME),
    }
    assert len(keys) == 5
    assert all(is_key(key) for key in keys)


@pytest.mark.parametrize("bad", ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".a", "a/.b", "a\n"])
def test_what_could_leave_the_store_is_no_key(bad):
    assert not is_key(bad)


@given(st.text(alphabet="a./\\\0-", max_size=12))
def test_no_key_climbs(tmp_path_factory, text):
    root = tmp_path_factory.getbasetemp().resolve()
    if is_key(text):
        assert root in (root / text).resolve().parents
