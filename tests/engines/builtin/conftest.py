"""What the builtin engines' tests share: a backend without pace, and a clock that moves by hand."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from aldgate.core.calls import Attempt
from aldgate.core.prices import FREE
from aldgate.core.routes import Deployment
from aldgate.engines.builtin.backend import Builtin

NAME = "0123456789abcdef01234567"


def attempt_of(operation: Any, body: dict[str, Any] | bytes) -> Attempt:
    """An attempt at the builtin model for `operation`."""
    model = "embed" if operation == "embed" else "echo"
    raw = body if isinstance(body, bytes) else json.dumps({"model": model} | body).encode()
    stream = isinstance(body, dict) and body.get("stream") is True
    deployment = Deployment(f"builtin/{model}", "builtin", model, FREE, "builtin")
    return Attempt(f"req-{NAME}", operation, deployment, raw, stream)


class Timer:
    def __init__(self, clock: "Clock", entry: tuple[float, Callable[[], None]]) -> None:
        self.clock, self.entry = clock, entry

    def cancel(self) -> None:
        if self.entry in self.clock.timers:
            self.clock.timers.remove(self.entry)


class Clock:
    """A `Later` whose time passes when the test says so."""

    def __init__(self) -> None:
        self.at = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        entry = (self.at + seconds, callback)
        self.timers.append(entry)
        return Timer(self, entry)

    def advance(self, seconds: float) -> None:
        self.at += seconds
        for entry in [entry for entry in self.timers if entry[0] <= self.at + 1e-9]:
            entry[1]()


@pytest.fixture
def clock() -> Clock:
    return Clock()


Ask = Callable[..., Any]


@pytest.fixture
def ask() -> Ask:
    """Ask the builtin backend; a whole reply comes back decoded, a stream as the list of its events' data."""
    backend = Builtin()

    async def ask(operation: str, body: dict[str, Any] | bytes) -> Any:
        attempt = attempt_of(operation, body)
        exchange = await backend.start(attempt)
        assert exchange.status == 200
        raw = await exchange.read()
        exchange.close()
        if not attempt.stream:
            assert exchange.header(b"content-type") == b"application/json"
            return msgspec.json.decode(raw)
        assert exchange.header(b"content-type") == b"text/event-stream; charset=utf-8"
        return events_of(raw)

    return ask


def events_of(raw: bytes) -> list[Any]:
    """Data of each event; `[DONE]` must be the last and is left out."""
    assert raw.endswith(b"\n\n")
    events = raw.decode().removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    assert events.pop() == "data: [DONE]"
    return [json.loads(event.removeprefix("data: ")) for event in events]


def fold(events: list[Any]) -> dict[int, dict[str, Any]]:
    """What a chat stream says in the end, by choice: content, tool calls and finish reason."""
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        for part in event["choices"]:
            choice = choices.setdefault(part["index"], {"content": None, "tool_calls": {}, "finish_reason": None})
            delta = part["delta"]
            if delta.get("content") is not None:
                choice["content"] = (choice["content"] or "") + delta["content"]
            for call in delta.get("tool_calls", ()):
                known = choice["tool_calls"].setdefault(call["index"], {})
                for key, value in call.items():
                    if isinstance(value, dict):
                        inner = known.setdefault(key, {})
                        for name, text in value.items():
                            inner[name] = inner.get(name, "") + text
                    elif key != "index":
                        assert key not in known
                        known[key] = value
            choice["finish_reason"] = part["finish_reason"] or choice["finish_reason"]
    return choices
