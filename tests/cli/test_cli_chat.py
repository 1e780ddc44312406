import io
import json
from typing import Any

import pytest

from tests.cli.loopback_gate import Aldgate, LoopbackGate

PATH = "/v1/chat/completions"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def stream(*pieces: str, end: bytes = b"data: [DONE]\n\n") -> bytes:
    events: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]
    events += [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    events += [{"choices": [], "usage": {"total_tokens": 1}}]
    return b": hello\n\n" + b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + end


def test_a_message_is_answered_on_stdout(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("POST", PATH, stream("Hel", "lo", "é\n"))
    result = aldgate("chat", "hi", "--model", "m")
    assert (result.code, result.out, result.err) == (0, "Helloé\n\n", "")
    assert gate.requests[0].body == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def test_without_a_model_the_first_is_taken(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/models", {"data": [{"id": "builtin/echo"}, {"id": "other"}]})
    gate.reply("POST", PATH, stream("ok"))
    result = aldgate("chat", "hi")
    assert (result.out, result.err) == ("ok\n", "model: builtin/echo\n")
    assert gate.requests[1].body["model"] == "builtin/echo"


def test_without_any_model_there_is_a_hint(aldgate: Aldgate, gate: LoopbackGate) -> None:
    gate.reply("GET", "/v1/models", {"data": []})
    assert aldgate("chat", "hi").err.startswith("error: the gate has no model\nhint: ")


def test_standard_input_is_the_message(aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("two\nlines\n"))
    gate.reply("POST", PATH, stream("ok"))
    assert aldgate("chat", "--model", "m").out == "ok\n"
    assert gate.requests[0].body["messages"][0]["content"] == "two\nlines\n"


def test_nothing_to_say_is_an_error(aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert aldgate("chat").err.startswith("error: there is nothing to say\nhint: ")
    assert gate.requests == []


def test_a_conversation_remembers_and_survives_a_failed_turn(
    aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("one\ntwo\nthree\n\nnever sent\n"))
    gate.reply("POST", PATH, stream("1"))
    gate.reply("POST", PATH, {"error": {"message": "slow down"}}, status=429, Retry_After="3")
    gate.reply("POST", PATH, stream("3"))
    result = aldgate("chat", "--model", "m")
    assert (result.code, result.out) == (0, "1\n3\n")
    assert "error: slow down\nhint: try again in 3 s" in result.err
    said = [[(turn["role"], turn["content"]) for turn in request.body["messages"]] for request in gate.requests]
    assert said[-1] == [("user", "one"), ("assistant", "1"), ("user", "three")]
    assert len(said) == 3


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (b"", "the reply broke off before its end"),
        (b'data: {"error": {"message": "upstream gone", "code": "upstream_broken"}}\n\n', "upstream gone"),
        (b"data: {half\n\n", "is not a gate"),
    ],
)
def test_a_reply_that_fails_midway_keeps_what_came(aldgate: Aldgate, gate: LoopbackGate, end: bytes, message: str) -> None:
    gate.reply("POST", PATH, stream("partial", end=end))
    result = aldgate("chat", "hi", "--model", "m")
    assert (result.code, result.out) == (1, "partial\n")
    assert message in result.err and "\nhint: " in result.err


def test_a_model_cannot_drive_the_terminal(aldgate: Aldgate, gate: LoopbackGate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.reply("POST", PATH, stream("a\x1b[2Jb"))
    assert aldgate("chat", "hi", "--model", "m").out == "a\x1b[2Jb\n"
    terminal = Terminal()
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        aldgate("chat", "hi", "--model", "m")
    assert terminal.getvalue() == "a[2Jb\n"
