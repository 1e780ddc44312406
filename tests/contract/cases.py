"""What is asked of every pair of face and provider, what the model says to it, and what must have arrived there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from aldgate.testing.upstream.said import Called, Said
from tests.contract.neutral import Ask, Call, Turn

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SHAPE = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = ("look", "listen")
HELLO = Said(text="Hello, caller.")
CALLED = Called("call_1a2b3c4d5", "look", '{"city":"Delft"}')
BOTH = (CALLED, Called("call_6e7f8a9b0", "listen", '{"city":"Gouda"}'))
LOOKS = Said(calls=(CALLED,), finish="tool_calls")


@dataclass(frozen=True)
class Case:
    """One question and its answer."""

    ask: Ask = Ask()
    said: Said = HELLO


def _calls(said: tuple[Called, ...]) -> tuple[Call, ...]:
    return tuple(Call(each.id, each.name, {"city": each.arguments[9:14]}) for each in said)


_RESULTS = (
    Turn("user", "What is there?"),
    Turn("assistant", "", calls=_calls(BOTH)),
    Turn("tool", results=((BOTH[0].id, "A church."), (BOTH[1].id, "Bells."))),
)
CASES: dict[str, Case] = {
    "text": Case(),
    "system and turns": Case(
        Ask(system="Be kind.", turns=(Turn("user", "Hi"), Turn("assistant", "Hello."), Turn("user", "And you?")))
    ),
    "image": Case(Ask(turns=(Turn("user", "What is it?", images=(PNG,)),))),
    "image by address": Case(Ask(turns=(Turn("user", "What is it?", images=("https://example.com/a.png",)),))),
    "tool call": Case(Ask(tools=TOOLS), LOOKS),
    "text and a call": Case(Ask(tools=TOOLS), replace(LOOKS, text="Let me look.")),
    "parallel calls": Case(Ask(tools=TOOLS), Said(calls=BOTH, finish="tool_calls")),
    "tool results": Case(Ask(tools=TOOLS, turns=_RESULTS)),
    "any tool": Case(Ask(tools=TOOLS, must_call="any"), LOOKS),
    "one tool": Case(Ask(tools=TOOLS, must_call="look"), LOOKS),
    "no tool": Case(Ask(tools=TOOLS, must_call="none")),
    "one call at a time": Case(Ask(tools=TOOLS, is_serial=True), LOOKS),
    "structured output": Case(Ask(schema=SHAPE), Said(text='{"city":"Delft"}')),
    "reasoning": Case(Ask(thinks=True), Said(text="Four.", thoughts="Two and two.", output_tokens=9, reasoning_tokens=4)),
    "stop": Case(Ask(stop=("END",))),
    "cap": Case(Ask(cap=2000)),
    "temperature": Case(Ask(temperature=0.5)),
    "cached tokens": Case(said=replace(HELLO, input_tokens=100, cached_tokens=64)),
    "cut short": Case(said=replace(HELLO, finish="length")),
    "content filter": Case(said=replace(HELLO, finish="content_filter")),
}
MAKES_IMAGES = frozenset({"openai", "gemini", "converse"})
"""Wires in which a model can answer with an image."""
PICTURE = Case(Ask(turns=(Turn("user", "Draw."),)), Said(text="Here it is.", images=(PNG,)))


def missing(ask: Ask, found: Ask) -> Iterator[str]:
    """The names of what was asked and did not arrive."""
    if ask.must_call == "none" and not found.tools:
        found = replace(found, tools=ask.tools, must_call="none")  # to offer none is to say it
    if ask.must_call in ask.tools and found.tools == (ask.must_call,):
        found = replace(found, tools=ask.tools)
    for name in ("system", "tools", "must_call", "is_serial", "schema", "thinks", "stop", "cap", "temperature"):
        wanted = getattr(ask, name)
        if wanted not in (None, "", (), False) and getattr(found, name) != wanted:
            yield name
    if list(map(_bare, found.turns)) != list(map(_bare, ask.turns)):
        yield "turns"
    for turn, other in zip(found.turns, found.turns[1:], strict=False):
        if other.results and [call.id for call in turn.calls] != [call_id for call_id, _ in other.results]:
            yield "the results' ids"


def _bare(turn: Turn) -> Turn:
    """A turn without ids, which a provider may know by other names."""
    calls = tuple(Call("", call.name, call.arguments) for call in turn.calls)
    return replace(turn, calls=calls, results=tuple(("", text) for _, text in turn.results))
