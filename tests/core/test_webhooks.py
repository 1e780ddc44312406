"""What is decided about webhooks."""

import base64
import hmac
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.addresses import is_public
from aldgate.core.webhooks import GONE, WAITS_S, after_attempt, key_of, secret_of, signed

STATUS = st.none() | st.integers(100, 599)


@given(STATUS, st.integers(1, 30), st.integers(1, 20), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e9))
def test_one_is_delivered_given_up_or_sent_again_later(
    status: int | None, attempts: int, most: int, jitter: float, asked: float | None
) -> None:
    tried = after_attempt(status, "" if status else "away", attempts, most, jitter, asked)
    is_taken = status is not None and 200 <= status < 300
    assert (tried.state == "delivered") == is_taken and bool(tried.error) == (not is_taken)
    assert (tried.state == "failed") == (not is_taken and (status == GONE or attempts >= most))
    if tried.state == "pending":
        assert WAITS_S[0] * 0.9 <= tried.wait_s <= max(WAITS_S) * 1.1


def test_a_signature_is_that_of_the_standard() -> None:
    key = key_of(b"master", "key-1")
    headers = signed(key, "msg-1", 1_700_000_000, b'{"a":1}')
    shared = base64.b64decode(secret_of(b"master", "key-1").removeprefix("whsec_"))
    digest = hmac.digest(shared, b'msg-1.1700000000.{"a":1}', sha256)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert key != key_of(b"master", "key-2")


@pytest.mark.parametrize(
    ("address", "is_so"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1", True),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("example.com", False),
    ],
)
def test_public_addresses(address: str, is_so: bool) -> None:
    assert is_public(address) is is_so
