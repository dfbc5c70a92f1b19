"""Whether a body names somebody, however the number is written."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.wire.msg91.mentions import mentions

PHONE, USER_ID = "919876543210", "IN.2600000000000001"
WAMID = "wamid." + base64.b64encode(b"\x1d\x04\x18\x0c" + PHONE.encode() + b"\x15\x02").decode().rstrip("=")


@pytest.mark.parametrize(
    "body",
    [
        b'{"from":"919876543210"}',
        b'{"from":"+91 98765-43210"}',
        b"09876543210",
        b"(987) 654.3210",
        WAMID.encode(),
        f'{{"id":"{WAMID}=="}}'.encode(),
        USER_ID.encode(),
        b"\xff919876543210",
    ],
)
def test_a_number_or_an_id_is_found_in_any_spelling(body: bytes) -> None:
    assert mentions(body, [PHONE], [USER_ID])


@pytest.mark.parametrize("body", [b"", b'{"from":"919876543211"}', b"wamid.A", b"wamid.HBgM", b"IN.26", b"98765 4321"])
def test_somebody_else_is_not(body: bytes) -> None:
    assert not mentions(body, [PHONE], [USER_ID])


@given(st.binary(max_size=200))
def test_no_body_is_too_odd_to_be_looked_through(body: bytes) -> None:
    assert mentions(body + PHONE.encode(), [PHONE], [])
    assert not mentions(body, [], [])
