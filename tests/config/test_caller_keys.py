from pathlib import Path
from typing import Any

import pytest

from aldgate.config.caller_keys import caller_keys
from aldgate.config.errors import ConfigError
from aldgate.config.loader import load
from aldgate.core.policies import Policy

GOOD = "abcdefgh-0123456789-abcdefgh-0123"


def loaded(tmp_path: Path, host: str = "127.0.0.1", **environment: str) -> Any:
    return load(flags={"server.host": host}, environment=environment, directory=tmp_path)


@pytest.mark.parametrize("secret", ["change-me-in-production", "changeme", "secret", "a" * 40, "x" * 31, "change-me" * 5])
def test_a_known_or_short_admin_secret_does_not_start(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, ADMIN_SECRET=secret)
    assert "ADMIN_SECRET" in refused.value.message and "token_urlsafe" in refused.value.hint
    assert secret not in refused.value.message + refused.value.hint or secret == "secret"


def test_secrets_do_not_show(tmp_path: Path) -> None:
    settings = loaded(tmp_path, ADMIN_SECRET=GOOD, LLM_API_API_KEY=GOOD, GATEWAY_BEARER_TOKEN=GOOD)
    assert GOOD not in repr(settings)


def test_policies_of_tokens(tmp_path: Path) -> None:
    policies = """{"one": {"ip_allowlist": "10.0.0.0/8, ::1", "max_request_bytes": 4000, "tools_allowlist": "a,b",
        "tools_allow_fs": false, "tools_rate_limit_rps": 2}, "two": {"models": ["gpt-*"]}}"""
    settings = loaded(tmp_path, GATEWAY_BEARER_TOKENS="one,two three", GATEWAY_TOKEN_POLICIES_JSON=policies)
    found = [(key.secret.reveal(), key.policy) for key in caller_keys(settings.auth)]
    assert found == [
        ("one", Policy(networks=("10.0.0.0/8", "::1"), max_input_tokens=1000, tools=("a", "b"))),
        ("two", Policy(models=("gpt-*",))),
        ("three", Policy()),
    ]


@pytest.mark.parametrize("policies", ["{", "[]", '{"one": {"ip_alowlist": ""}}', '{"other-token": {}}', '{"one": {"models": 1}}'])
def test_policies_that_cannot_be_meant_do_not_start(tmp_path: Path, policies: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, GATEWAY_BEARER_TOKEN="one", GATEWAY_TOKEN_POLICIES_JSON=policies)
    assert "other-token" not in refused.value.message


@pytest.mark.parametrize("key", ["short", "change-me-please-now", "aaaaaaaaaaaaaaaaaaaaaaaa"])
@pytest.mark.parametrize("name", ["LLM_API_API_KEY", "GATEWAY_BEARER_TOKEN"])
def test_weak_keys_stay_on_loopback(tmp_path: Path, name: str, key: str) -> None:
    loaded(tmp_path, **{name: key})
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, "0.0.0.0", **{name: key})
    assert key not in refused.value.message
