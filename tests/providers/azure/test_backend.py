from types import MappingProxyType
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Upstream
from aldgate.core.calls import Attempt, Peek
from aldgate.core.principals import Operation
from aldgate.providers.azure.backend import Azure, path_of
from aldgate.providers.finding import in_environment
from aldgate.providers.section import Surroundings, build_provider
from aldgate.testing.upstream import FakeUpstream, Step, azure, faults

HOST = "https://lab.openai.azure.com"
KEY = {"KEY": "azure-key"}


def surroundings(environment: dict[str, str]) -> Surroundings:
    return Surroundings(Upstream(), 1_000_000, MappingProxyType(environment))


def build(environment: dict[str, str] | None = None, **table: Any) -> Azure:
    provider = build_provider("azure", table, "file", surroundings(KEY if environment is None else environment))
    assert isinstance(provider, Azure)
    return provider


def attempt(provider: Azure) -> Attempt:
    deployment = provider.unlisted().deployments[0]
    return Attempt("req-1", "chat", deployment, b'{"model":"my chat","messages":[]}', False)


@pytest.mark.parametrize(
    ("dialect", "operation", "version", "path"),
    [
        ("openai", "chat", "2024-10-21", "/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21"),
        ("openai", "embed", "2024-10-21", "/openai/deployments/my%20chat/embeddings?api-version=2024-10-21"),
        ("openai", "complete", "", "/openai/v1/completions"),
        ("openai", "chat", "", "/openai/v1/chat/completions"),
        ("responses", "chat", "2025-03-01-preview", "/openai/responses?api-version=2025-03-01-preview"),
        ("responses", "chat", "", "/openai/v1/responses"),
    ],
)
def test_the_deployment_stands_in_the_path_where_there_is_a_version(
    dialect: str, operation: Operation, version: str, path: str
) -> None:
    assert path_of(dialect, operation, "my chat", version) == path


@pytest.mark.parametrize("suffix", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
@pytest.mark.anyio
async def test_an_endpoint_may_be_copied_with_its_paths(suffix: str) -> None:
    async with FakeUpstream() as upstream:
        url = f"http://127.0.0.1:{upstream.port}/proxy"
        provider = build(base_url=url + suffix, api_key="env:KEY", models=["my chat"])
        await (await provider.start(attempt(provider))).read()
        assert upstream.requests[0].path == "/proxy/openai/v1/chat/completions"
        assert upstream.requests[0].header("api-key") == "azure-key" and upstream.requests[0].header("authorization") is None
        await provider.aclose()


@pytest.mark.anyio
async def test_an_application_asks_entra_and_again_when_azure_refuses_its_token() -> None:
    async with FakeUpstream() as upstream, FakeUpstream() as authority:
        for value in ("one", "two"):
            authority.script(Step("token", lambda _, value=value: iter([azure.token(3600, value)])))
        environment = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "app", "SECRET": "s"}
        provider = build(
            environment,
            base_url=upstream.url,
            authority=f"http://127.0.0.1:{authority.port}",
            client_secret="env:SECRET",
            api_version="2024-10-21",
            models=["my chat"],
        )
        upstream.script(faults.status(401))
        for status in (401, 200, 200):
            exchange = await provider.start(attempt(provider))
            await exchange.read()
            assert exchange.status == status
        assert [seen.header("authorization") for seen in upstream.requests] == ["Bearer one", "Bearer two", "Bearer two"]
        assert all(seen.header("api-key") is None for seen in upstream.requests)
        assert len(provider.pools) == 2
        await provider.aclose()


def test_deployments_are_priced_as_the_models_they_serve() -> None:
    source = build(base_url=HOST, api_key="env:KEY", deployments={"chat-prod": "gpt-4.1", "odd": ""}).unlisted()
    prices = [each.price for each in source.deployments]
    assert prices[0] is not None and prices[0].version.startswith("genai-prices") and prices[1] is None
    assert not source.accepts_any
    assert build(base_url=HOST, api_key="env:KEY").unlisted().accepts_any
    named = build(base_url=HOST, api_key="env:KEY", models=["gpt-4.1"]).unlisted()
    assert named.deployments[0].price == prices[0]


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        ("", b'"max_completion_tokens":5'),
        ("2025-01-01-preview", b'"max_completion_tokens":5'),
        ("2024-10-21", b'"max_tokens":5'),
    ],
)
def test_older_versions_bound_output_by_the_older_field(version: str, sent: bytes) -> None:
    provider = build(base_url=HOST, api_key="env:KEY", api_version=version, models=["m"])
    peek = Peek(body=b'{"model":"x","messages":[]}', model="x")
    assert sent in provider.dialects["openai"].outgoing("chat", peek, provider.unlisted().deployments[0], cap=5, warnings=[])


@pytest.mark.parametrize(("version", "names"), [("", ["openai", "responses", "responses-compact"]), ("2024-10-21", ["openai"])])
def test_responses_are_spoken_where_the_version_has_them(version: str, names: list[str]) -> None:
    assert list(build(base_url=HOST, api_key="env:KEY", api_version=version).dialects) == names


@pytest.mark.parametrize(("version", "asks"), [("", True), ("2024-10-21", True), ("2024-06-01", False)])
def test_older_versions_are_not_asked_for_a_streams_usage(version: str, asks: bool) -> None:
    provider = build(base_url=HOST, api_key="env:KEY", api_version=version, models=["m"])
    peek = Peek(body=b'{"model":"x","stream":true,"messages":[]}', model="x", stream=True)
    body = provider.dialects["openai"].outgoing("chat", peek, provider.unlisted().deployments[0], cap=None, warnings=[])
    assert (b"include_usage" in body) is asks


def test_the_usual_names_in_the_environment_add_it_only_with_an_endpoint() -> None:
    names = {"LLM_API_AZURE_OPENAI_API_KEY": "k", "LLM_API_AZURE_OPENAI_ENDPOINT": HOST, "OPENAI_API_VERSION": "2024-10-21"}
    ((kind, table),) = in_environment(names, []).items()
    found = build_provider(kind, table, "environment", surroundings(names))
    assert (found.name, found.pools[0].origin.host) == ("azure", "lab.openai.azure.com")
    assert in_environment({"AZURE_OPENAI_API_KEY": "k"}, []) == {}
    assert in_environment(names, ["azure"]) == {}


@pytest.mark.parametrize(
    ("environment", "table", "message"),
    [
        ({}, {}, "no endpoint is known"),
        ({}, {"base_url": HOST}, "no credential for Azure"),
        ({"AZURE_OPENAI_API_KEY": "k"}, {"base_url": HOST}, "no credential for Azure"),
        ({}, {"base_url": HOST, "client_secret": "env:NOBODY"}, "`NOBODY` is not set"),
        ({}, {"base_url": "lab.openai.azure.com"}, "not an http or https URL"),
        (KEY, {"base_url": HOST, "api_key": "env:KEY", "deployments": ["a"]}, "Expected `object | null`"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(environment: dict[str, str], table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(environment, **table)
    assert message in raised.value.message and raised.value.hint
