import pytest

from aldgate.core.guardrails.finder import Finder
from aldgate.core.guardrails.pii import MOST_CHARACTERS, PII
from aldgate.core.guardrails.secrets import MOST_CHARACTERS as MOST_SECRET
from aldgate.core.guardrails.secrets import SECRETS

PERSONAL = Finder([each for kind in PII.values() for each in kind], MOST_CHARACTERS)
SECRET = Finder([each for kind in SECRETS.values() for each in kind], MOST_SECRET)


def found(finder: Finder, text: str) -> list[tuple[str, str]]:
    search = finder.search()
    return [(piece.detector.label, piece.text) for piece in [*search.feed(text), *search.end()] if piece.detector is not None]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("EMAIL", "bob.o'hara+tag@mail.example.co.uk"),
        ("EMAIL", "jürgen@müller.example"),
        ("PHONE", "+49 (30) 1234567"),
        ("PHONE", "+12125551234"),
        ("PHONE", "0044 20 7946 0958"),
        ("PHONE", "(212) 555-1234"),
        ("PHONE", "212.555.1234"),
        ("CARD", "4111 1111 1111 1111"),
        ("CARD", "378282246310005"),
        ("CARD", "5555-5555-5555-4444"),
        ("IBAN", "DE89 3704 0044 0532 0130 00"),
        ("IBAN", "gb29nwbk60161331926819"),
        ("IP", "192.168.0.1"),
        ("IP", "fe80::1"),
        ("IP", "::1"),
        ("IP", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
        ("IP", "::ffff:10.1.2.3"),
        ("SSN", "078-05-1120"),
    ],
)
def test_personal_data_is_found(label: str, text: str) -> None:
    assert found(PERSONAL, text) == [(label, text)]
    assert found(PERSONAL, f"It is {text}, I think.") == [(label, text)]


@pytest.mark.parametrize(
    "text",
    [
        "a @ b, @home, me@localhost",
        "in 2024, 12 345 678 people paid 1,234.56 each",
        "4111 1111 1111 1112",
        "0000 0000 0000 0000",
        "GB28 NWBK 6016 1331 9268 19",
        "XX82 WEST 1234 5698 7654 32",
        "1.2.3, 256.1.1.1, 1.2.3.4.5.6.7x",
        "std::vector, a::b, 12:30:45, fe80:: is not ::",
        "000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
    ],
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert [label for label, _ in found(PERSONAL, text) if label != "IP"] == []


@pytest.mark.parametrize("text", ["std::vector", "a::b", "12:30:45", "::", "f::a"])
def test_names_and_times_are_no_addresses(text: str) -> None:
    assert found(PERSONAL, text) == []


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("API_KEY", "sk-proj-abcdefghijklmnopqrstuvwx"),
        ("API_KEY", "sk_" + "live_51H8abcdefghijklmnop"),
        ("API_KEY", "AIzaSyA-abcdefghijklmnopqrstuvwxyz0123456"),
        ("API_KEY", "xoxb-" + "1234567890-abcdef"),
        ("API_KEY", "agk-abcdefghijklmnopqrstuvwx"),
        ("AWS_KEY", "AKIAIOSFODNN7EXAMPLE"),
        ("GITHUB_TOKEN", "ghp_" + "a1" * 18),
        ("GITHUB_TOKEN", "github_pat_" + "a1" * 11),
        ("JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-_d"),
        ("PRIVATE_KEY", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nMIIE\n-----END RSA PRIVATE KEY-----"),
        ("PRIVATE_KEY", "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----"),
        ("PRIVATE_KEY", "-----BEGIN PRIVATE KEY-----\nMIIE and it breaks off"),
    ],
)
def test_secrets_are_found(label: str, text: str) -> None:
    assert found(SECRET, text) == [(label, text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("password=Xk29fjq0Zp1", "Xk29fjq0Zp1"),
        ('"db_password": "Xk29fjq0Zp1"', "Xk29fjq0Zp1"),
        ("My API key is 9f8a7b6c5d4e3f2a", "9f8a7b6c5d4e3f2a"),
        ("Authorization: Bearer 9f8a7b6c5d4e3f2a", "9f8a7b6c5d4e3f2a"),
    ],
)
def test_of_a_named_secret_the_value_is_found(text: str, value: str) -> None:
    assert found(SECRET, text) == [("SECRET", value)]


@pytest.mark.parametrize(
    "text", ["the password is correcthorse", "password=aaaaaaaaaaa1", "token: 1234567890123", "sk-short", "secret"]
)
def test_words_behind_such_names_are_no_secrets(text: str) -> None:
    assert found(SECRET, text) == []
