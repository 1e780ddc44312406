"""Codex and Claude Code, headless and unmodified but for address and key, each over every kind of provider.

They run commands of the shell when a model says so: here the fake upstream says what, in a directory of the test.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from aldgate.testing.upstream import Reply, faults
from tests.clients import installing, running
from tests.clients.house import MODELS, SAID, House
from tests.clients.house import house as started
from tests.support import RunningGate

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent / "agents"
LIMITED = faults.status(429, retry_after_s=1)


@pytest.fixture(scope="module")
def agents() -> Path:
    return installing.node_modules(HERE)


@pytest.fixture(scope="module")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with started(tmp_path_factory.mktemp("gate")) as house:
        yield house


@pytest.fixture
def house(everything: House) -> House:
    for upstream in everything.upstreams.values():
        upstream.requests.clear()
        upstream.reply = Reply()
    return everything


async def codex(agents: Path, gate: RunningGate, home: Path, model: str, prompt: str, key: str = "") -> list[dict[str, Any]]:
    """The events that Codex tells of a turn."""
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        f'model = "{model}"\nmodel_provider = "aldgate"\ncheck_for_update_on_startup = false\nanalytics.enabled = false\n'
        f'[model_providers.aldgate]\nname = "Aldgate"\nbase_url = "{gate.url}/v1"\nwire_api = "responses"\n'
        'env_key = "ALDGATE_API_KEY"\nrequest_max_retries = 1\n'
    )
    command = [installing.node(), str(agents / "@openai" / "codex" / "bin" / "codex.js"), "exec", "--json"]
    options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--disable", "plugins", prompt]
    named = {"HOME": str(home), "CODEX_HOME": str(home / ".codex"), "ALDGATE_API_KEY": key or await gate.key()}
    _, output = await running.run(*command, *options, cwd=home, **named)
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


async def claude(agents: Path, gate: RunningGate, home: Path, model: str, prompt: str, key: str = "") -> dict[str, Any]:
    """What Claude Code tells at the end of a turn."""
    command = [installing.node(), str(agents / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"), "-p"]
    options = ["--output-format", "json", "--allowed-tools", "Bash", "--", prompt]
    named = {"HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude"), "ANTHROPIC_MODEL": model}
    named |= {"ANTHROPIC_BASE_URL": gate.url, "ANTHROPIC_AUTH_TOKEN": key or await gate.key()}
    quiet = dict.fromkeys(("DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), "1")
    code, output = await running.run(*command, *options, cwd=home, **named, **quiet)
    return {"code": code, **json.loads(next(line for line in output.splitlines() if line.startswith("{")))}


def said(events: list[dict[str, Any]]) -> list[str]:
    """The agent's own words."""
    return [item["text"] for item in items(events) if item["type"] == "agent_message"]


def items(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event["item"] for event in events if event["type"] == "item.completed"]


async def test_codex_hears_its_echo(agents: Path, house: House, tmp_path: Path) -> None:
    events = await codex(agents, house.gate, tmp_path, "builtin/echo", "Say hello there")
    assert said(events) == ["Say hello there"], events
    assert events[-1]["type"] == "turn.completed" and events[-1]["usage"]["output_tokens"] == 3


async def test_claude_code_hears_its_echo(agents: Path, house: House, tmp_path: Path) -> None:
    told = await claude(agents, house.gate, tmp_path, "builtin/echo", "Say hello there")
    assert (told["code"], told["is_error"]) == (0, False)
    assert "Say hello there" in told["result"]


@pytest.mark.parametrize("model", MODELS)
async def test_codex_runs_what_it_is_told(agents: Path, house: House, tmp_path: Path, model: str) -> None:
    house.behind(model).reply = Reply(call=("exec_command", '{"cmd":"echo $((6*7))-from-the-shell"}'))
    events = await codex(agents, house.gate, tmp_path, model, "Compute it")
    ran = [item for item in items(events) if item["type"] == "command_execution"]
    assert [(each["exit_code"], each["aggregated_output"]) for each in ran] == [(0, "42-from-the-shell\n")], events
    assert said(events)[-1] == SAID
    assert b"42-from-the-shell" in house.behind(model).requests[-1].body


@pytest.mark.parametrize(("model", "provider"), [*((model, model) for model in MODELS), ("claude-sonnet-5-5", "lab")])
async def test_claude_code_runs_what_it_is_told(agents: Path, house: House, tmp_path: Path, model: str, provider: str) -> None:
    asked = {"command": "echo $((6*7))-from-the-shell", "description": "Compute it"}
    upstream = house.behind(provider)
    upstream.reply = Reply(call=("Bash", json.dumps(asked)))
    told = await claude(agents, house.gate, tmp_path, model, "Compute it")
    assert (told["code"], told["result"], told["num_turns"]) == (0, SAID, 2), told
    assert b"42-from-the-shell" in upstream.requests[-1].body


async def test_codex_runs_the_code_of_a_model_whose_name_it_knows(agents: Path, house: House, tmp_path: Path) -> None:
    """For such models it offers its tools among the input, and runs what they write in JavaScript."""
    code = 'const ran = await tools.exec_command({cmd: "echo $((6*7))-from-the-shell"}); text(ran.output)'
    house.upstreams["lab"].reply = Reply(call=("functions__exec", json.dumps({"input": code})))
    events = await codex(agents, house.gate, tmp_path, "gpt-6-sol", "Compute it")
    assert said(events)[-1] == SAID, events
    [*_, result] = [message for message in house.upstreams["lab"].requests[-1].json()["messages"] if message["role"] == "tool"]
    assert "42-from-the-shell" in json.dumps(result), events


async def test_a_wrong_key_is_no_turn(agents: Path, house: House, tmp_path: Path) -> None:
    events = await codex(agents, house.gate, tmp_path, "builtin/echo", "Hello", key="agk-nobody")
    assert events[-1]["type"] == "turn.failed" and "401" in events[-1]["error"]["message"], events
    told = await claude(agents, house.gate, tmp_path, "builtin/echo", "Hello", key="agk-nobody")
    assert (told["code"], told["is_error"], told["api_error_status"]) == (1, True, 401), told


async def test_an_unknown_model_is_named(agents: Path, house: House, tmp_path: Path) -> None:
    events = await codex(agents, house.gate, tmp_path, "lab/gone", "Hello")
    assert events[-1]["type"] == "turn.failed" and "lab/gone" in events[-1]["error"]["message"], events
    told = await claude(agents, house.gate, tmp_path, "lab/gone", "Hello")
    assert (told["code"], told["is_error"], told["api_error_status"]) == (1, True, 404), told


@pytest.mark.parametrize("agent", [codex, claude])
async def test_a_limited_provider_is_tried_again(
    agents: Path, house: House, tmp_path: Path, agent: Callable[..., Awaitable[Any]]
) -> None:
    house.upstreams["lab"].script(LIMITED)
    told = await agent(agents, house.gate, tmp_path, "lab/gpt-4.1", "Hello")
    assert SAID in json.dumps(told)
    assert len(house.upstreams["lab"].requests) == 2
