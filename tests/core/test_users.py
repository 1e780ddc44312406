import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import InvalidRequest
from aldgate.core.users import check_password, email_address, login_name


@given(st.text())
def test_a_name_is_one_however_it_is_typed_and_never_an_issuers(text: str) -> None:
    try:
        name = login_name(text)
    except InvalidRequest:
        return
    assert login_name(name) == login_name(f" {name.upper()} ") == name
    assert "|" not in name and name.isascii() and len(name) <= 200


@given(st.text())
def test_an_address_is_one_however_it_is_typed(text: str) -> None:
    try:
        email = email_address(text)
    except InvalidRequest:
        return
    assert email == email.lower().strip() and email.count("@") == 1 and "|" not in email


@pytest.mark.parametrize("text", ["", " ", "a b", "a|b", "-a", "@a", "a" * 201, "é", "a\n", "a\0"])
def test_what_is_no_name_is_refused(text: str) -> None:
    if text.strip() != "a":
        with pytest.raises(InvalidRequest):
            login_name(text)


@pytest.mark.parametrize(
    "password", ["", "short", "aaaaaaaaaaaa", "ada@example.com", "x" * 1_025, "tab\tin the middle", "nul\0 byte here"]
)
def test_what_is_no_password_is_refused(password: str) -> None:
    with pytest.raises(InvalidRequest):
        check_password(password, "ada", "ada@example.com", None)


@pytest.mark.parametrize("password", ["correct horse", "pässwörter", "日本語の言葉です", "a1b2c3d4"])
def test_any_language_makes_a_password(password: str) -> None:
    check_password(password, "ada", None)
