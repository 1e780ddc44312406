from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Upstream
from aldgate.providers.openai import OpenAICompatible
from aldgate.providers.section import Surroundings, build_provider


def build(name: str, **table: Any) -> OpenAICompatible:
    surroundings = Surroundings(Upstream(), 1024, MappingProxyType({"LAB_KEY": "sk-lab", "BROKEN": "sk\r\nx: y"}))
    return build_provider(name, table, "file", surroundings)


@pytest.mark.parametrize(
    ("name", "table", "host"),
    [
        ("groq", {}, "api.groq.com"),
        ("lab", {}, "api.openai.com"),
        ("lab", {"kind": "mistral"}, "api.mistral.ai"),
        ("groq", {"kind": "mistral"}, "api.mistral.ai"),
        ("groq", {"base_url": "https://proxy.example/v1"}, "proxy.example"),
    ],
)
def test_a_table_named_like_a_kind_is_of_that_kind(name: str, table: dict[str, str], host: str) -> None:
    assert build(name, api_key="env:LAB_KEY", **table).pools[0].origin.host == host


@pytest.mark.parametrize(
    ("table", "sends"), [({}, True), ({"models": ["gpt-4.1"]}, True), ({"base_url": "https://proxy.example/v1"}, False)]
)
def test_a_table_without_a_key_takes_its_kinds_usual_one_but_sends_it_nowhere_else(table: dict[str, Any], sends: bool) -> None:
    surroundings = Surroundings(Upstream(), 1024, MappingProxyType({"OPENAI_API_KEY": "sk-usual"}))
    provider = build_provider("openai", table, "file", surroundings)
    assert (b"sk-usual" in provider._heads["openai"]["chat"]) is sends


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "gate.pem")
    for key in ("ca_bundle", "client_cert"):
        with pytest.raises(ConfigError, match=missing):
            build("openai", **{key: missing})


@pytest.mark.parametrize("reference", ["sk-plain", "env:MISSING", "env:BROKEN", "file:/nowhere/key"])
def test_a_bad_key_names_its_provider_and_not_itself(reference: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build("lab", api_key=reference)
    assert raised.value.message.startswith("[providers.lab]: ") and raised.value.hint
    assert "sk-plain" not in raised.value.message and "x: y" not in raised.value.message


@pytest.mark.parametrize(
    ("name", "table", "spoken"),
    [
        ("openai", {}, ["openai", "responses"]),
        ("openai", {"responses": "no"}, ["openai"]),
        ("openai", {"base_url": "https://proxy.example/v1"}, ["openai"]),
        ("openai", {"base_url": "https://eu.api.openai.com/v1"}, ["openai", "responses"]),
        ("groq", {}, ["openai"]),
        ("lab", {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "responses": "yes"}, ["openai", "responses"]),
        ("lab", {"kind": "openai", "base_url": "http://127.0.0.1:1/v1", "responses": "only"}, ["responses"]),
    ],
)
def test_a_provider_speaks_responses_where_that_is_known_or_said(name: str, table: dict[str, Any], spoken: list[str]) -> None:
    provider = build_provider(name, table, "file", Surroundings(Upstream(), 1024, MappingProxyType({})))
    assert [dialect for dialect in provider.dialects if dialect in ("openai", "responses")] == spoken
    assert ("complete" in provider.operations) is ("openai" in spoken)
