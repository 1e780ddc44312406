import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.gate.principals.vault import CannotOpen, Vault

OLD, NEW = Vault([b"old"]), Vault([b"new", b"old"])


@given(st.text(), st.text())
def test_what_is_sealed_opens_in_its_place_alone(text: str, place: str) -> None:
    try:
        sealed = OLD.seal(text, place)
    except UnicodeEncodeError:
        return
    assert OLD.open(sealed, place) == text
    with pytest.raises(CannotOpen):
        OLD.open(sealed, place + "x")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert OLD.seal("secret", "here") != OLD.seal("secret", "here")
    assert b"secret" not in OLD.seal("secret", "here")


def test_a_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = OLD.seal("secret", "here")
    assert NEW.open(sealed, "here") == "secret" and not NEW.is_current(sealed)
    again = NEW.seal("secret", "here")
    assert NEW.is_current(again) and Vault([b"new"]).open(again, "here") == "secret"
    with pytest.raises(CannotOpen):
        Vault([b"new"]).open(sealed, "here")


@given(st.integers(0, 200), st.integers(1, 255))
def test_no_byte_can_be_changed(at: int, flip: int) -> None:
    sealed = bytearray(OLD.seal("secret", "here"))
    sealed[at % len(sealed)] ^= flip
    with pytest.raises(CannotOpen):
        OLD.open(bytes(sealed), "here")


@given(st.binary(max_size=60))
def test_anything_else_does_not_open(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        OLD.open(sealed, "here")
