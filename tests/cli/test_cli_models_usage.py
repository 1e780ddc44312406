from typing import Any

import pytest

from tests.cli.loopback_gate import Aldgate, LoopbackGate

MODELS = {"object": "list", "data": [{"id": "builtin/echo", "object": "model", "created": 0, "owned_by": "builtin"}]}
ROW: dict[str, Any] = {
    "key_id": "key_1",
    "key": "app",
    "model": "m",
    "day": "2026-11-21",
    "calls": 3,
    "errors": 1,
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "cached_tokens": 0,
    "cost_microusd": 1_500_001,
}


def test_models_are_listed(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/models", MODELS)
    assert [line.split() for line in aldgate("models", "list").out.splitlines()] == [
        ["model", "owned", "by"],
        ["builtin/echo", "builtin"],
    ]
    assert aldgate("models", "list", "--json").json == MODELS


def test_models_are_listed_with_what_is_known_of_them(aldgate: Aldgate, gate: LoopbackGate) -> None:
    known = {"context_window": 1000, "max_output_tokens": 100, "capabilities": {"output_formats": ["text"], "tools": True}}
    known |= {"prices": {"input": "2.00", "output": "8.00"}, "shutdown_date": "2027-01-31", "owned_by": "lab"}
    gate.reply("GET", "/v1/models", {"data": [{"id": "lab/m", **known}, {"id": "x"}]})
    lines = aldgate("models", "list", "--long").out.splitlines()
    assert lines[1].split() == ["lab/m", "lab", "1000", "100", "2.00", "8.00", "tools", "2027-01-31"]
    assert lines[2].split() == ["x", *"-------"]


def test_long_names_are_whole_in_a_pipe(aldgate: Aldgate, gate: LoopbackGate) -> None:
    name = "provider/" + "x" * 300
    gate.reply("GET", "/v1/models", {"data": [{"id": name}]})
    assert aldgate("models", "list").out.splitlines()[1].split() == [name, "-"]


def test_markup_in_a_name_is_no_markup(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/models", {"data": [{"id": "[red]m[/red]"}]})
    assert "[red]m[/red]" in aldgate("models", "list").out


def test_usage_is_summed_by_what_was_asked(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/usage?group_by=model%2Cday&since=2026-11-01&until=2026-12-01", {"object": "list", "data": [ROW]})
    lines = aldgate("usage", "--by", "model, day", "--since", "2026-11-01", "--until", "2026-12-01").out.splitlines()
    assert lines[0].split() == ["model", "day", "calls", "errors", "input", "tokens", "output", "tokens", "cached", "cost"]
    assert lines[1].split() == ["m", "2026-11-21", "3", "1", "100", "20", "0", "$1.500001"]


def test_usage_as_json_is_the_answer_itself(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/usage?group_by=key%2Cmodel%2Cday", {"object": "list", "data": [ROW]})
    assert aldgate("usage", "--json").json == {"object": "list", "data": [ROW]}


def test_usage_by_something_else_is_wrong_usage(aldgate: Aldgate, gate: LoopbackGate) -> None:
    result = aldgate("usage", "--by", "colour")
    assert (result.code, gate.requests) == (2, [])
    assert "`colour` is none of key, user, client" in result.err
    assert aldgate("usage", "--where", "model").code == aldgate("usage", "--where", "colour=red").code == 2


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version(aldgate: Aldgate, arguments: list[str]) -> None:
    assert aldgate(*arguments).out.startswith("aldgate 0.")
