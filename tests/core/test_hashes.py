from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aldgate.core.hashes import check_hash, hash_secret, is_quick, matches

SECRET = b"correct horse"


def test_a_hash_is_of_its_secret_alone_and_never_twice_the_same():
    hashed = hash_secret(SECRET)
    check_hash(hashed)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and hashed != hash_secret(SECRET)
    assert matches(SECRET, hashed) and not matches(SECRET + b" ", hashed) and not matches(b"", hashed)
    assert not is_quick(hashed)


@given(st.binary(max_size=40), st.binary(max_size=40))
@settings(max_examples=50)
def test_sha_256_in_hex_is_read_in_either_case(secret: bytes, other: bytes):
    hashed = sha256(secret).hexdigest()
    for spelled in (hashed, hashed.upper()):
        check_hash(spelled)
        assert is_quick(spelled) and matches(secret, spelled)
        assert matches(other, spelled) is (other == secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "password",
        "0" * 63,
        "g" * 64,
        "$2b$12$KIXQ",
        "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=9999999,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=19456,t=999,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "$argon2id$v=19$m=19456,t=2,p=0$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG",
        "0" * 64 + "\n",
    ],
)
def test_what_is_no_hash_or_too_dear_a_one_is_refused(text: str):
    with pytest.raises(ValueError, match="hash"):
        check_hash(text)


def test_a_hash_that_argon2_cannot_read_matches_nothing():
    assert not matches(SECRET, "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG")
