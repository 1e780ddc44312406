"""Finding Ollama, by address and by what it answers, and what its models can do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Upstream
from aldgate.core.catalogue import build_catalogue
from aldgate.core.prices import FREE
from aldgate.core.routes import Facts
from aldgate.providers.finding import in_environment, on_this_machine
from aldgate.providers.natives import NATIVES
from aldgate.providers.ollama import OllamaServer, address_in, build
from aldgate.providers.section import Surroundings
from aldgate.testing.upstream import FakeUpstream, ollama

GENERATES = frozenset({"chat", "complete", "embed"})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server() -> AsyncIterator[FakeUpstream]:
    async with FakeUpstream() as upstream:
        yield upstream


def surroundings(**environment: str) -> Surroundings:
    return Surroundings(Upstream(), 1_000_000, environment)


def provider_at(server: FakeUpstream, **table: Any) -> OllamaServer:
    return build("ollama", {"base_url": f"http://127.0.0.1:{server.port}", **table}, "file", surroundings())


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("box", "http://box:11434"),
        ("box:9000", "http://box:9000"),
        (":9000", "http://127.0.0.1:9000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("[::]:9000", "http://127.0.0.1:9000"),
        ("[::1]", "http://[::1]:11434"),
        ("http://box:11434/", "http://box:11434"),
        ("https://box/ollama/v1", "https://box/ollama"),
    ],
)
@pytest.mark.parametrize("name", ["OLLAMA_HOST", "OLLAMA_BASE_URL", "OLLAMA_API_ENDPOINT"])
def test_an_address_in_any_of_its_spellings(name: str, said: str, url: str) -> None:
    assert address_in({name: said}) == url
    assert in_environment({name: said}, []) == {"ollama": {"kind": "ollama"}}


def test_names_that_agree_are_one_and_names_that_do_not_are_refused() -> None:
    assert address_in({"OLLAMA_HOST": "127.0.0.1", "OLLAMA_BASE_URL": "http://127.0.0.1:11434/v1"}) == "http://127.0.0.1:11434"
    assert address_in({"OLLAMA_HOST": " ", "OTHER": "x"}) is None
    with pytest.raises(ConfigError, match="OLLAMA_API_ENDPOINT.*OLLAMA_HOST"):
        address_in({"OLLAMA_HOST": "a", "OLLAMA_API_ENDPOINT": "http://b:11434"})


@pytest.mark.anyio
async def test_models_are_listed_with_what_they_can_do(server: FakeUpstream) -> None:
    provider = provider_at(server)
    source = await provider.discover()
    found = {each.model: (each.operations, each.facts) for each in source.deployments}
    window = 40_960
    chats = Facts(context_window=window, can=frozenset({"tools", "reasoning", "json_schema"}), cannot=frozenset({"vision"}))
    sees = Facts(context_window=window, can=frozenset({"vision", "json_schema"}), cannot=frozenset({"tools", "reasoning"}))
    assert found == {
        "qwen3:8b": (GENERATES, chats),
        "llava:latest": (GENERATES, sees),
        "nomic-embed-text:latest": (frozenset({"embed"}), Facts(context_window=window)),
    }
    assert all(each.price is FREE for each in source.deployments)
    catalogue, _ = build_catalogue([source], {})
    for name in ("llava", "llava:latest", "ollama/llava", "ollama:llava", "ollama/llava:latest"):
        assert catalogue.resolve(name).deployments[0].model == "llava:latest"
    assert [each.id for each in catalogue.models] == [each.id for each in source.deployments]
    asked = len(server.requests)
    await provider.discover()
    assert len(server.requests) == asked + 1  # what a version can do does not change
    await provider.aclose()


@pytest.mark.anyio
async def test_a_model_that_cannot_be_shown_is_listed_all_the_same(server: FakeUpstream) -> None:
    provider = provider_at(server)
    server.script(ollama.listing(), *(ollama.fault(500, "oops") for _ in ollama.MODELS))
    source = await provider.discover()
    assert [each.model for each in source.deployments] == list(ollama.MODELS)
    assert {each.operations for each in source.deployments} == {None}
    await provider.aclose()


@pytest.mark.anyio
async def test_the_operators_list_is_not_asked_for(server: FakeUpstream) -> None:
    provider = provider_at(server, models=["a", "a", "b"])
    source = await provider.discover()
    assert [each.id for each in source.deployments] == ["ollama/a", "ollama/b"]
    assert not (server.requests or source.accepts_any)


@pytest.mark.anyio
async def test_a_server_on_this_machine_says_what_it_is(server: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    native = NATIVES["ollama"]
    monkeypatch.setitem(NATIVES, "ollama", type(native)(build=native.build, local_url=f"http://127.0.0.1:{server.port}"))
    assert await on_this_machine(surroundings(), ["llamacpp", "lmstudio", "vllm"]) == {"ollama": {"kind": "ollama"}}
    server.script(ollama.fault(404, "not here"))
    assert await on_this_machine(surroundings(), ["llamacpp", "lmstudio", "vllm"]) == {}
