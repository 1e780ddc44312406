"""`aldgate serve` and its providers: those of the file, those of the environment, and those found on this machine."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aldgate.testing.upstream import FakeUpstream, Valve, faults
from tests.cli.loopback_gate import LoopbackGate
from tests.cli.serving import COMMAND, PATIENCE_S, Serving, surroundings

ADMIN_KEY = "k9Xw2-Lq7Zt4_Rv8Nc1Bd5Hm3Js6Fg0Pa"
LAB = """
[providers.lab]
kind = "openai"
base_url = "http://127.0.0.1:9001/v1"
api_key = "env:LAB_KEY"
models = ["gpt-4.1"]
"""
LAB_PORT, OLLAMA_PORT = 9001, 11434
BUILTIN = ["builtin/echo", "builtin/embed", "builtin/rerank", "builtin/moderate"]


@contextlib.asynccontextmanager
async def served(home: Path, *arguments: str, **environment: str) -> AsyncIterator[Serving]:
    """A gate while the test's own loop goes on."""
    gate = await asyncio.to_thread(Serving, home, "--port", "0", *arguments, ALDGATE_ADMIN_KEY=ADMIN_KEY, **environment)
    try:
        yield gate
    finally:
        assert await asyncio.to_thread(gate.stop) == 0


async def upstream_on(port: int, stack: contextlib.AsyncExitStack) -> FakeUpstream:
    """A provider on this port; on any other if somebody has it, which changes one digit of the file and nothing else."""
    try:
        return await stack.enter_async_context(FakeUpstream(port=port))
    except OSError:
        return await stack.enter_async_context(FakeUpstream())


@pytest.mark.anyio
@pytest.mark.parametrize("port", [0, LAB_PORT])
async def test_a_provider_of_the_file_is_called_by_three_names(tmp_path: Path, port: int) -> None:
    async with contextlib.AsyncExitStack() as stack:
        upstream = await upstream_on(port, stack)
        (tmp_path / "my.toml").write_text(LAB.replace(f":{LAB_PORT}/", f":{upstream.port}/"))
        gate = await stack.enter_async_context(served(tmp_path, "--config", "my.toml", LAB_KEY="sk-lab-canary"))
        assert gate.models == ["lab/gpt-4.1", *BUILTIN]
        assert upstream.requests == []  # the file lists its models, so nobody is asked
        for name in ("gpt-4.1", "lab/gpt-4.1", "lab:gpt-4.1"):
            said = await asyncio.to_thread(gate.aldgate, "chat", "hi", "--model", name, key=ADMIN_KEY)
            assert (said.out, said.err) == ("Hello from the fake upstream.\n", "")
            assert upstream.requests[-1].json()["model"] == "gpt-4.1"
            assert upstream.requests[-1].header("authorization") == "Bearer sk-lab-canary"
        (row,) = (await asyncio.to_thread(gate.aldgate, "usage", "--json", key=ADMIN_KEY)).json["data"]
        assert (row["calls"], row["prompt_tokens"], row["completion_tokens"]) == (3, 30, 15)
        assert row["cost_microusd"] > 0
        assert "sk-lab-canary" not in gate.log + gate.banner


@pytest.mark.anyio
async def test_chat_prints_what_comes_as_it_comes(tmp_path: Path) -> None:
    valve = Valve()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(PATIENCE_S))
        upstream = await upstream_on(0, stack)
        upstream.script(faults.stall_mid_stream(after=3, valve=valve))
        (tmp_path / "aldgate.toml").write_text(LAB.replace(f":{LAB_PORT}/", f":{upstream.port}/"))
        gate = await stack.enter_async_context(served(tmp_path, LAB_KEY="sk-lab"))
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("chat", "hi", "--model", "gpt-4.1"),
            cwd=tmp_path,
            env=surroundings(tmp_path, ALDGATE_URL=gate.urls[0], ALDGATE_API_KEY=ADMIN_KEY),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readexactly(11) == b"Hello from "
        valve.turn()
        assert await process.stdout.read() == b"the fake upstream.\n"
        assert await process.wait() == 0


def test_a_key_in_the_environment_adds_its_provider(tmp_path: Path) -> None:
    # So short a time to connect in reaches nobody: what is added is known without an answer.
    keys = {"OPENAI_API_KEY": "sk-canary-1", "GROQ_API_KEY": "gsk-canary-2"}
    with Serving(tmp_path, "--port", "0", ALDGATE_UPSTREAM_CONNECT_TIMEOUT_S="0.001", **keys) as gate:
        assert gate.models == [*BUILTIN, "openai/...", "groq/..."]
        assert gate.log.count("a provider did not list its models") == 2
        assert "canary" not in gate.log + gate.banner
        assert "canary" not in gate.aldgate("config", "show", **keys).out


def test_a_provider_that_does_not_answer_does_not_hold_up_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        (tmp_path / "aldgate.toml").write_text(f'[providers.silent]\nkind = "openai"\nbase_url = "{url}"\n')
        with Serving(tmp_path, "--port", "0", ALDGATE_UPSTREAM_CONNECT_TIMEOUT_S="0.3") as gate:
            assert gate.models == [*BUILTIN, "silent/..."]
            assert '"error_code": "upstream_timeout"' in gate.log


@pytest.fixture
def ollama() -> LoopbackGate:
    try:
        return LoopbackGate(OLLAMA_PORT)
    except OSError:
        pytest.skip(f"port {OLLAMA_PORT} is in use")


def test_a_model_server_on_this_machine_is_found(tmp_path: Path, ollama: LoopbackGate) -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
    ollama.reply("GET", "/api/tags", {"models": [{"name": "llama3:8b", "digest": "365c"}]})
    ollama.reply("POST", "/v1/chat/completions", stream, Content_Type="text/event-stream")
    with ollama, Serving(tmp_path, "--port", "0", ALDGATE_DISCOVERY_LOCAL="true") as gate:
        assert gate.models[0] == "ollama/llama3:8b" and gate.models[-4:] == BUILTIN
        assert "found a model server on this machine" in gate.log
        for name in ("llama3:8b", "ollama/llama3:8b", "ollama:llama3:8b"):
            assert gate.aldgate("chat", "hi", "--model", name).out == "hi\n"
            assert (ollama.requests[-1].authorization, ollama.requests[-1].body["model"]) == (None, "llama3:8b")
        (row,) = gate.aldgate("usage", "--json").json["data"]
        assert (row["calls"], row["cost_microusd"]) == (3, 0)


def test_a_port_alone_proves_nothing(tmp_path: Path, ollama: LoopbackGate) -> None:
    ollama.reply("GET", "/v1/models", {"object": "list", "data": [{"id": "gpt-9", "owned_by": "somebody"}]})
    with ollama, Serving(tmp_path, "--port", "0", ALDGATE_DISCOVERY_LOCAL="true") as gate:
        assert ollama.requests and not [name for name in gate.models if name.startswith("ollama/")]


def test_something_silent_on_a_usual_port_does_not_hold_up_the_start(tmp_path: Path) -> None:
    try:
        silent = socket.create_server(("127.0.0.1", OLLAMA_PORT))
    except OSError:
        pytest.skip(f"port {OLLAMA_PORT} is in use")
    with silent, Serving(tmp_path, "--port", "0", ALDGATE_DISCOVERY_LOCAL="true") as gate:
        assert not [name for name in gate.models if name.startswith("ollama/")]
