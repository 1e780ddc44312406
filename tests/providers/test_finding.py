"""Providers that nobody configured: a key in the environment, a server that says what it is."""

import pytest

from aldgate.config.settings import Upstream
from aldgate.core.prices import FREE
from aldgate.providers.finding import in_environment, on_this_machine
from aldgate.providers.rows import ROWS, Row
from aldgate.providers.section import Surroundings, build_provider
from aldgate.testing.upstream import FakeUpstream, Step, faults, wire


def surroundings(**environment: str) -> Surroundings:
    return Surroundings(Upstream(), 1_000_000, environment)


def test_a_well_known_key_adds_its_provider_once() -> None:
    environment = {"GROQ_API_KEY": "a", "OPENAI_API_KEY": "", "LLM_API_OPENAI_API_KEY": "b", "XAI_API_KEY": ""}
    assert in_environment(environment, []) == {
        "openai": {"kind": "openai", "api_key": "env:LLM_API_OPENAI_API_KEY"},
        "groq": {"kind": "groq", "api_key": "env:GROQ_API_KEY"},
    }


def test_the_file_comes_first_and_the_usual_name_before_the_older_one() -> None:
    both = {"OPENAI_API_KEY": "new", "LLM_API_OPENAI_API_KEY": "old", "MISTRAL_API_KEY": "c"}
    assert list(in_environment(both, {"openai": 1})) == ["mistral"]
    assert in_environment(both, ["mistral"])["openai"]["api_key"] == "env:OPENAI_API_KEY"


def saying(owner: str) -> Step:
    body = b'{"object":"list","data":[{"id":"m","owned_by":"%s"}]}' % owner.encode()
    return Step("list", lambda _: iter([wire.whole(body)]))


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Makes one row the only local one, at a given address: real ports may be somebody's."""

    def use(url: str) -> None:
        for name, row in list(ROWS.items()):
            if row.local_url:
                monkeypatch.delitem(ROWS, name)
        monkeypatch.setitem(ROWS, "vllm", Row(local_url=url, owned_by="vllm", is_free=True))

    return use


@pytest.mark.anyio
async def test_a_server_is_found_by_what_it_says(only) -> None:
    async with FakeUpstream(default=saying("vllm")) as upstream:
        only(upstream.url)
        tables = await on_this_machine(surroundings(), [])
        assert tables == {"vllm": {"kind": "vllm"}}
        found = build_provider("vllm", tables["vllm"], "discovered", surroundings())
        source = await found.discover()
        assert (found.name, source.origin, source.deployments[0].id) == ("vllm", "discovered", "vllm/m")
        assert source.deployments[0].price is FREE
        assert found.pools[0].timeouts.connect_s == Upstream().connect_timeout_s
        await found.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "step",
    [
        saying("somebody else"),
        faults.status(401),
        faults.garbage(),
        faults.error_page(),
        faults.die_mid_head(),
        Step("not text", lambda _: iter([wire.whole(b'{"data":[{"id":"\xff","owned_by":"vllm"}]}')])),
        Step("deep", lambda _: iter([wire.whole(b"[" * 100_000)])),
    ],
    ids=lambda step: step.name,
)
async def test_an_open_port_proves_nothing(only, step: Step) -> None:
    async with FakeUpstream(default=step) as upstream:
        only(upstream.url)
        assert await on_this_machine(surroundings(), []) == {}


@pytest.mark.anyio
async def test_nobody_is_asked_who_is_configured_already_and_silence_is_no_answer(only) -> None:
    async with FakeUpstream(default=saying("vllm")) as upstream:
        only(upstream.url)
        assert await on_this_machine(surroundings(), ["vllm"]) == {}
        assert upstream.connections == 0
        upstream.refuse()
        assert await on_this_machine(surroundings(), []) == {}
