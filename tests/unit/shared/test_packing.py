"""Packing: a field's images as one block."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hemaline_shared.errors import PermanentError
from hemaline_shared.packing import FieldImages, pack, sha256_hex, unpack


@given(st.binary(), st.lists(st.binary()))
def test_what_was_packed_unpacks(field, crops):
    images = FieldImages(field, tuple(crops))
    assert unpack(pack(images)) == images


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no cbor",
        cbor2.dumps(1),
        cbor2.dumps({}),
        cbor2.dumps({"field": "text", "crops": []}),
        cbor2.dumps({"field": b"", "crops": b""}),
        cbor2.dumps({"field": b"", "crops": [1]}),
        pack(FieldImages(b"field", (b"crop",)))[:-1],
    ],
)
def test_anything_else_is_refused(packed):
    with pytest.raises(PermanentError) as refused:
        unpack(packed)
    assert refused.value.reason == "invalid-images"


def test_the_hash_is_spelled_in_lower_case_hex():
    assert sha256_hex(b"").startswith("e3b0c44298fc1c14")
