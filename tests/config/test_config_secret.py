import pickle
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aldgate.config import ConfigError, Secret, load, resolve_reference, show
from aldgate.config.redaction import is_secret_name, redacted

CANARY = "canary-k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>50}", repr([secret])):
        assert "canary" not in shown


def test_secrets_compare_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("é")}) == 2
    assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")


def test_a_reference_is_followed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from file\n")
    assert resolve_reference("env:KEY", {"KEY": "from environment"}) == "from environment"
    assert resolve_reference(f"file:{tmp_path / 'key'}", {}) == "from file"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CANARY, "a secret stands where a reference to one belongs"),
        ("", "a secret stands where"),
        (f"sk:{CANARY}", "a secret stands where"),
        ("env:", "names no variable"),
        ("env:GONE", "`GONE` is not set"),
        ("env:EMPTY", "`EMPTY` is not set"),
        ("file:relative", "is not an absolute path"),
        ("file:/nowhere/at/all", "No such file"),
    ],
)
def test_a_reference_that_cannot_be_followed_says_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_reference(text, {"EMPTY": ""})
    assert message in caught.value.message
    assert caught.value.hint
    assert "canary" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff", "not UTF-8")])
def test_a_file_must_hold_a_text(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        resolve_reference(f"file:{tmp_path / 'key'}", {})


@pytest.mark.parametrize(
    "name",
    ["api_key", "API_KEY", "apiKey", "apikey", "x-api-key", "openaiApiKey", "APIKey", "key", "keys", "token", "bearer_tokens"]
    + ["clientSecret", "secret", "db_password", "passwd", "Authorization", "credentials", "set-cookie", "auth", "token1"],
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "models",
        "base_url",
        "max_tokens",
        "kind",
        "token_url",
        "key_file",
        "api_key_name",
        "auth_type",
        "monkey",
        "author",
        "",
        "7",
    ],
)
def test_names_that_are_not_secret(name: str) -> None:
    assert not is_secret_name(name)


TOML = f"""
store = "postgresql://aldgate:{CANARY}@db/aldgate"
[auth]
admin_key = "{CANARY}"
[providers.token-factory]
base_url = "https://user:{CANARY}@h/v1?api-version=1&api_key={CANARY}"
api_key = "{CANARY}"
keys = ["{CANARY}", "env:FINE"]
max_tokens = 4096
models = ["m"]
[providers.token-factory.headers]
X-Auth-Token = "{CANARY}"
Accept = "text/plain"
[providers.token-factory.secrets]
a = "{CANARY}"
b = {{ c = ["{CANARY}"], d = 12345 }}
[[providers.token-factory.accounts]]
password = "{CANARY}"
[engines.x]
client_secret = "{CANARY}"
nested = {{ deep = [ {{ token = "{CANARY}" }} ] }}
[aliases]
my-secret-model = "m"
"""


def test_no_canary_is_ever_shown(tmp_path: Path) -> None:
    (tmp_path / "aldgate.toml").write_text(TOML)
    settings = load(flags={}, environment={"HOME": "/h", "OPENAI_API_KEY": CANARY}, directory=tmp_path)
    shown = show(settings)
    for text in (
        repr(shown),
        repr(settings),
        str(settings),
        f"{settings}",
        repr(settings.auth),
        msgspec.json.encode(shown).decode(),
    ):
        assert CANARY not in text
    provider: dict[str, Any] = shown["providers"]["token-factory"]
    assert provider["base_url"] == "https://***@h/v1?api-version=1&api_key=***"
    assert provider["keys"] == ["***", "env:FINE"]
    assert provider["secrets"] == {"a": "***", "b": {"c": ["***"], "d": "***"}}
    assert (provider["max_tokens"], provider["models"], provider["headers"]["Accept"]) == (4096, ["m"], "text/plain")
    assert shown["aliases"] == {"my-secret-model": "m"}
    assert shown["auth"]["admin_key"] == "***"
    assert shown["store"] == "postgresql://***@db/aldgate"
    assert "environment" not in shown


def test_references_and_unset_secrets_stay_visible() -> None:
    assert redacted({"api_key": "env:NAME", "token": "", "secret": None}) == {"api_key": "env:NAME", "token": "", "secret": None}
