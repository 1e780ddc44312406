from pathlib import Path
from typing import Any

import pytest

from aldgate.config.changes import changed, takes_effect
from aldgate.config.errors import ConfigError
from aldgate.config.issuers import IssuerEntry, is_safe_url
from aldgate.config.loader import load
from aldgate.config.settings import Settings, show

GOOD = """
[auth.issuers.corp]
issuer = "https://id.example.com/"
audience = ["aldgate"]
client_id = "console"
client_secret = "env:CORP_SECRET"
required = { hd = "example.com", mfa = true }

[auth.issuers.corp.claims]
roles = "realm_access.roles"

[auth.issuers.corp.roles]
admins = "admin"
"""


def read(directory: Path, text: str, **environment: str) -> Settings:
    (directory / "aldgate.toml").write_text(text)
    return load(flags={}, environment={"HOME": "/home/ada", **environment}, directory=directory)


def one(directory: Path, text: str, **environment: str) -> IssuerEntry:
    return read(directory, f"[auth.issuers.corp]\n{text}", **environment).auth.issuers["corp"]


def test_an_issuer_is_read_and_its_secret_never_shown(tmp_path: Path) -> None:
    settings = read(tmp_path, GOOD, CORP_SECRET="canary")
    corp = settings.auth.issuers["corp"]
    assert corp.issuer == "https://id.example.com/" and corp.client_secret is not None
    assert corp.client_secret.reveal() == "canary"
    assert corp.mapping.names.roles == "realm_access.roles" and corp.mapping.roles == {"admins": "admin"}
    assert "canary" not in f"{settings!r}{show(settings)}{settings.auth}{corp}"


def test_its_authorities_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    corp = one(tmp_path, 'issuer = "https://i"\naudience = ["a"]\nca_bundle = "ca.pem"')
    assert corp.ca_bundle == str(tmp_path / "ca.pem")


@pytest.mark.parametrize("algorithm", ["none", "HS256", "HS384", "HS512", "rs256", ""])
def test_no_signature_can_be_configured_that_others_could_make(tmp_path: Path, algorithm: str) -> None:
    with pytest.raises(ConfigError) as raised:
        one(tmp_path, f'issuer = "https://i"\naudience = ["a"]\nalgorithms = ["{algorithm}"]')
    assert "algorithms" in raised.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('audience = ["a"]', "issuer"),
        ('issuer = "http://id.example.com"\naudience = ["a"]', "cannot be trusted"),
        ('issuer = "https://i"', "good for nothing"),
        ('issuer = "https://i"\naudience = [""]', "audience is empty"),
        ('issuer = "https://i"\naudience = ["a"]\nalgorithms = []', "algorithms"),
        ('issuer = "https://i"\naudience = ["a"]\nclock_skew_s = 601', "clock_skew_s"),
        ('issuer = "https://i"\naudience = ["a"]\njwks_url = "http://10.0.0.1/keys"', "jwks_url"),
        ('issuer = "https://i"\nclient_id = "c"\njwks_url = "https://i/keys"', "jwks_url"),
        ('issuer = "https://i"\nclient_id = "c"\nscopes = ["email"]', "openid"),
        ('issuer = "https://i"\naudience = ["a"]\nclient_secret = "env:S"', "client_id"),
        ('issuer = "https://i"\nclient_id = "c"\nclient_secret = "written-here"', "client_secret"),
        ('issuer = "https://i"\nclient_id = "c"\nclient_secret = "env:NONE"', "NONE"),
        ('issuer = "https://i"\naudience = ["a"]\nroles = { x = "root" }', "roles"),
        ('issuer = "https://i"\naudience = ["a"]\nclaims = { rolls = "x" }', "rolls"),
        ('issuer = "https://i"\naudiences = ["a"]', "audiences"),
        ('issuer = "https://i"\naudience = ["a"]\nca_bundle = "none.pem"', "none.pem"),
    ],
)
def test_what_cannot_be_checked_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        one(tmp_path, text, S="s")
    assert message in raised.value.message and raised.value.hint and "written-here" not in raised.value.message


def test_issuers_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too"):
        read(tmp_path, "".join(f'[auth.issuers.{name}]\nissuer = "https://i"\naudience = ["{name}"]\n' for name in "ab"))
    with pytest.raises(ConfigError, match="called so"):
        read(tmp_path, '[auth.issuers."../x"]\nissuer = "https://i"\naudience = ["a"]')


@pytest.mark.parametrize(
    "url", ["https://i", "https://i:8443/a/b/", "http://127.0.0.1:9", "http://[::1]:9/x", "http://localhost"]
)
def test_urls_that_can_be_believed(url: str) -> None:
    assert is_safe_url(url)


@pytest.mark.parametrize(
    "url",
    ["", "i", "http://i", "http://127.0.0.1.example.com", "http://2130706433", "ftp://127.0.0.1", "https://", "https://i:0"]
    + [
        "https://a:b@i",
        "https://@i",
        "https://i?x=1",
        "https://i#x",
        "https://i\\@j",
        "https://i /",
        "https://i:x",
        "https://[::1",
    ]
    + ["https://i\r\n", "https://ï"],
)
def test_urls_that_cannot(url: str) -> None:
    assert not is_safe_url(url)


@pytest.mark.parametrize("url", ["", "http://gate.example.com", "gate.example.com"])
def test_where_browsers_come_back_to_is_https(tmp_path: Path, url: str) -> None:
    if url:
        with pytest.raises(ConfigError, match="public_url"):
            read(tmp_path, f'[auth]\npublic_url = "{url}"')
    else:
        assert read(tmp_path, "").auth.public_url == ""


def test_a_change_waits_for_a_restart(tmp_path: Path) -> None:
    old: Any = read(tmp_path, "")
    new = read(tmp_path, GOOD, CORP_SECRET="s")
    assert changed(old, new) == ["auth.issuers.corp"]
    assert not takes_effect("auth.issuers.corp", new)
