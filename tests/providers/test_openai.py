from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Upstream
from aldgate.core.calls import Attempt
from aldgate.core.errors import GatewayError, UpstreamAuth, UpstreamInvalid, UpstreamOverloaded
from aldgate.core.prices import FREE
from aldgate.core.principals import Operation
from aldgate.providers.openai import OpenAICompatible
from aldgate.providers.section import Surroundings, build_provider
from aldgate.testing.upstream import FakeUpstream, Reply, Step, faults, wire

ENVIRONMENT = {"LAB_KEY": "sk-lab", "ODD_KEY": "sk-\u00e9"}


def build(name: str = "lab", **table: Any) -> OpenAICompatible:
    surroundings = Surroundings(Upstream(), 1_000_000, ENVIRONMENT)
    return build_provider(name, table, "file", surroundings)


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("", {}, "cannot be called"),
        ("a/b", {}, "cannot be called `a/b`"),
        ("a:b", {}, "cannot be called"),
        ("lab", {"kind": "nonsense"}, "no kind is called `nonsense`"),
        ("lab", {"base": "http://h"}, "unknown field `base`"),
        ("lab", {"models": "gpt-4.1"}, "Expected `array | null`"),
        ("lab", {"total_timeout_s": 0}, "> 0"),
        ("lab", {"max_connections": 0}, ">= 1"),
        ("lab", {"verify_tls": "no"}, "Expected `bool | null`"),
        ("lab", {"base_url": "localhost:8000"}, "is not an http or https URL"),
        ("lab", {"base_url": "http://h/v1?key=1"}, "no credentials, query or fragment"),
        ("lab", {"base_url": "http://\u4f8b/v1"}, "only printable ASCII"),
        ("lab", {"api_key": "env:ODD_KEY"}, "characters that no header can carry"),
    ],
)
def test_a_section_that_cannot_be_used_says_why(name: str, table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build(name, **table)
    assert message in raised.value.message and raised.value.hint


def test_what_a_section_leaves_out_comes_from_the_settings() -> None:
    plain, own = build(), build(connect_timeout_s=1, idle_timeout_s=2, max_connections=3)
    usual = Upstream()
    assert plain.pools[0].timeouts == (
        usual.connect_timeout_s,
        usual.first_byte_timeout_s,
        usual.idle_timeout_s,
        usual.total_timeout_s,
    )
    assert plain.pools[0].max_connections == usual.max_connections
    assert own.pools[0].timeouts == (1, usual.first_byte_timeout_s, 2, usual.total_timeout_s)
    assert own.pools[0].max_connections == 3


@pytest.mark.anyio
async def test_its_models_are_the_operators_or_its_own() -> None:
    async with FakeUpstream() as upstream:
        asked = build(base_url=upstream.url, api_key="env:LAB_KEY")
        source = await asked.discover()
        assert [each.id for each in source.deployments] == ["lab/gpt-4.1", "lab/gpt-4.1-mini", "lab/text-embedding-3-small"]
        assert source.accepts_any and source.origin == "file"
        assert upstream.requests[0].header("authorization") == "Bearer sk-lab"
        told = build(base_url=upstream.url, models=["b", "a", "b"])
        assert [each.model for each in (await told.discover()).deployments] == ["b", "a"]
        assert not (await told.discover()).accepts_any
        assert asked.unlisted().deployments == () and asked.unlisted().accepts_any
        assert [each.model for each in told.unlisted().deployments] == ["b", "a"]
        assert len(upstream.requests) == 1
        await asked.aclose()


@pytest.mark.anyio
async def test_what_runs_here_is_free_where_no_list_has_a_price() -> None:
    async with FakeUpstream() as upstream:
        provider = build(base_url=upstream.url, models=["gpt-4.1", "other"])
        source = await provider.discover()
        assert source.deployments[1].price is FREE
        listed = source.deployments[0].price
        assert listed is not None and listed.version.startswith("genai-prices")
        assert source.unlisted_price is FREE
        assert build(base_url="https://gpu.example/v1").unlisted().unlisted_price is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "models"),
    [(b'{"data":[{"id":"a"},{"id":"b","owned_by":null,"x":1}]}', ["a", "b"]), (b'[{"id":"a"}]', ["a"]), (b'{"data":[]}', [])],
)
async def test_lists_come_in_two_shapes(body: bytes, models: list[str]) -> None:
    async with FakeUpstream(default=Step("list", lambda _: iter([wire.whole(body)]))) as upstream:
        provider = build(base_url=upstream.url)
        assert [model.id for model in await provider.list_models()] == models
        await provider.aclose()


BAD_LISTS = [b"", b"null", b"{}", b'"x"', b'{"data":null}', b'[{"id":5}]', b"[1]", b'{"data":[{"id":"\xff"}]}', b"[" * 100_000]


@pytest.mark.anyio
@pytest.mark.parametrize("body", BAD_LISTS, ids=range(len(BAD_LISTS)))
async def test_what_is_no_list_of_models_is_an_invalid_reply(body: bytes) -> None:
    async with FakeUpstream(default=Step("list", lambda _: iter([wire.whole(body)]))) as upstream:
        provider = build(base_url=upstream.url)
        with pytest.raises(UpstreamInvalid):
            await provider.discover()
        await provider.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(("step", "kind"), [(faults.status(401), UpstreamAuth), (faults.status(503), UpstreamOverloaded)])
async def test_a_refusal_to_list_is_classed(step: Step, kind: type[GatewayError]) -> None:
    async with FakeUpstream(default=step) as upstream:
        provider = build(base_url=upstream.url)
        with pytest.raises(kind):
            await provider.discover()
        await provider.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("operation", "path"), [("chat", "/chat/completions"), ("complete", "/completions"), ("embed", "/embeddings")]
)
async def test_an_attempt_goes_to_its_path_with_the_gates_own_credential(operation: Operation, path: str) -> None:
    async with FakeUpstream(reply=Reply(text="hi")) as upstream:
        provider = build(base_url=upstream.url + "/", api_key="env:LAB_KEY", models=["m"])
        deployment = provider.unlisted().deployments[0]
        exchange = await provider.start(Attempt("req-1", operation, deployment, b'{"model":"m"}', False))
        await exchange.read()
        (seen,) = upstream.requests
        assert (exchange.status, seen.method, seen.path, seen.body) == (200, "POST", f"/v1{path}", b'{"model":"m"}')
        assert seen.header("authorization") == "Bearer sk-lab"
        assert seen.header("host") == f"127.0.0.1:{upstream.port}"
        assert seen.header("content-type") == "application/json" and seen.header("accept-encoding") == "identity"
        await provider.aclose()
