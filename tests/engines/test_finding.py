"""Engines nobody configured: known by what they answer, whatever else may listen on their ports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from aldgate.engines import finding
from aldgate.engines.finding import PROBES, Probe, in_environment, on_this_machine
from aldgate.engines.kinds import ENGINES
from aldgate.testing.engines.a1111 import FakeA1111
from aldgate.testing.engines.ace_step import FakeAceStep
from aldgate.testing.engines.alltalk import FakeAllTalk
from aldgate.testing.engines.comfyui import FakeComfy
from aldgate.testing.engines.gradio import FakeGradio
from aldgate.testing.engines.invokeai import FakeInvoke
from aldgate.testing.engines.llama_cpp import FakeLlamaCpp
from aldgate.testing.engines.ollama import FakeOllama
from aldgate.testing.engines.openai_speech import FakeSpeech
from aldgate.testing.engines.server import FAULTS, FakeEngine
from tests.support import running_gate

pytestmark = pytest.mark.anyio
PATIENCE_S = 30.0
"""A busy machine may take a while to answer."""
SECONDS = {"props": {"label": "Seconds total"}}
FAKES: dict[str, Callable[[], FakeEngine]] = {
    "a1111": FakeA1111,
    "ace-step": FakeAceStep,
    "alltalk": FakeAllTalk,
    "comfyui": FakeComfy,
    "invokeai": FakeInvoke,
    "llama-cpp": FakeLlamaCpp,
    "ollama": FakeOllama,
    "openai-speech": FakeSpeech,
}


def port_of(fake: FakeEngine) -> int:
    return int(fake.url.rsplit(":", 1)[1])


def everywhere(ports: tuple[int, ...]) -> tuple[Probe, ...]:
    return tuple(probe._replace(ports=ports) for probe in PROBES)


@pytest.fixture(params=sorted(FAKES))
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, FakeEngine]]:
    async with FAKES[request.param]() as fake:
        yield request.param, fake


def test_what_is_looked_for_is_there() -> None:
    assert {probe.kind for probe in PROBES} <= ENGINES.keys()


async def test_an_engine_is_found_by_its_own_words(fake: tuple[str, FakeEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    kind, engine = fake
    monkeypatch.setattr(finding, "PROBES", everywhere((port_of(engine),)))
    monkeypatch.setattr(finding, "ANSWER_S", PATIENCE_S)
    found = await on_this_machine((), ())
    assert kind in found and found[kind] == {"kind": kind, "base_url": engine.url}
    assert engine.works == engine.loads == 0
    assert await on_this_machine((), {port_of(engine)}) == {}  # a port of our own
    assert await on_this_machine((kind, engine.url), ()) == {}  # one that is configured


async def test_nobody_else_is_taken_for_an_engine(fake: tuple[str, FakeEngine], monkeypatch: pytest.MonkeyPatch) -> None:
    kind, engine = fake
    mine = (probe for probe in everywhere((port_of(engine),)) if probe.kind == kind)
    monkeypatch.setattr(finding, "PROBES", tuple(mine))
    monkeypatch.setattr(finding, "ANSWER_S", 0.3)
    for fault in sorted(FAULTS - {"refuses"}):
        engine.fault = fault
        assert kind not in await on_this_machine((), ()), fault


async def test_a_server_that_waits_for_us_to_speak_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(finding, "PROBES", everywhere((port,))[:1])
        monkeypatch.setattr(finding, "ANSWER_S", 0.2)
        assert await on_this_machine((), ()) == {}
        await asyncio.wait_for(gone.wait(), 10)


async def test_an_app_of_gradio_is_only_known_by_its_function(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeGradio() as app:
        monkeypatch.setattr(finding, "PROBES", everywhere((port_of(app),)))
        assert await on_this_machine((), ()) == {}


@pytest.mark.parametrize(
    ("kind", "config", "is_it"),
    [
        ("audiocraft", {"dependencies": [{"api_name": "predict_full"}], "components": []}, True),
        ("audiocraft", {"dependencies": [{"api_name": False}, {"api_name": None}, {}], "components": [{}]}, False),
        (
            "stable-audio",
            {"dependencies": [{"api_name": "/generate"}], "components": [{"props": {"label": "Seconds total"}}]},
            True,
        ),
        ("stable-audio", {"dependencies": [{"api_name": "generate"}], "components": [{"props": {"label": "Prompt"}}]}, False),
        ("openai-transcription", {"data": [{"id": "Systran/faster-whisper-small"}]}, True),
        ("openai-transcription", {"data": [{"id": "x", "task": "automatic-speech-recognition"}]}, True),
        ("openai-transcription", {"data": [{"id": "whisper-1"}, {"id": "gpt-4.1"}]}, False),
        ("openai-transcription", {"data": []}, False),
    ],
)
def test_what_an_answer_proves(kind: str, config: dict[str, Any], is_it: bool) -> None:
    (probe,) = [probe for probe in PROBES if probe.kind == kind]
    assert probe.is_it(msgspec.json.encode(config)) is is_it


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: (
        some.lists(inner) | some.dictionaries(some.sampled_from(["data", "system", "version", "voices", "models"]), inner)
    ),
    max_leaves=8,
)


@given(some.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_no_answer_breaks_a_probe(body: bytes) -> None:
    for probe in PROBES:
        assert probe.is_it(body) in (True, False)


def test_an_address_in_the_environment_is_an_engine() -> None:
    environment = {"HEARTMULA_BASE_URL": " http://music:9920 ", "OTHER_BASE_URL": "http://x"}
    assert in_environment(environment, ()) == {"heartmula": {"kind": "heartmula", "base_url": "http://music:9920"}}
    assert in_environment(environment, ("heartmula",)) == {} == in_environment({"HEARTMULA_BASE_URL": ""}, ())


async def test_a_gate_finds_engines_behind_the_configured_and_before_what_is_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeComfy() as comfy:
        monkeypatch.setattr(finding, "PROBES", (PROBES[0]._replace(ports=(port_of(comfy),)),))
        monkeypatch.setattr(finding, "ANSWER_S", PATIENCE_S)
        config = '[engines.mine]\nkind = "alltalk"\nbase_url = "http://127.0.0.1:9"\n'
        async with running_gate(tmp_path, config=config, flags={"discovery.local": "true"}) as gate:
            await gate.app.engine_watch.look()
            assert [*gate.app.worker.engines] == ["mine", "comfyui", "builtin", "calls"]
            assert any(name.startswith("comfyui/") for name in gate.app.gate.made_models)
            body = {"prompt": "a fox", "background": True}
            asked = (await gate.http.post("/v1/images/generations", json=body)).json()
            assert asked["engine"] == "comfyui"
            await comfy.refuse()
            await gate.app.engine_watch.look()
            assert (await gate.http.post("/v1/images/generations", json=body)).json()["engine"] == "builtin"


async def test_nobody_is_looked_for_where_that_is_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeComfy() as comfy:
        monkeypatch.setattr(finding, "PROBES", (PROBES[0]._replace(ports=(port_of(comfy),)),))
        async with running_gate(tmp_path) as gate:
            await gate.app.engine_watch.look()
            assert [*gate.app.worker.engines] == ["builtin", "calls"] and comfy.asked == []
