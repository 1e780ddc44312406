"""One answer in every wire: `saying(Said(text="Hi", calls=(...)))` answers a chat by whichever API it came to.

For tests that ask every provider the same: what is said is written in the words of the wire that the request's path names.
"""

import json
import re

from aldgate.testing.upstream import wire as http
from aldgate.testing.upstream.plays import Act, Billed, Piece, Play, Step, Valve
from aldgate.testing.upstream.replies import Asked, encode
from aldgate.testing.upstream.said import anthropic, cohere, converse, gemini, ollama, openai, responses
from aldgate.testing.upstream.said.words import RETRY_AFTER_S, Called, Finish, Refused, Said, Wire, halves

__all__ = [
    "RETRY_AFTER_S",
    "WIRES",
    "Called",
    "Finish",
    "Refused",
    "Said",
    "broken_off",
    "cut_clean",
    "given_up",
    "held_back",
    "refusing",
    "saying",
    "wire_at",
]

WIRES: dict[str, Wire] = {
    "openai": openai.WIRE,
    "responses": responses.WIRE,
    "anthropic": anthropic.WIRE,
    "gemini": gemini.WIRE,
    "ollama": ollama.WIRE,
    "cohere": cohere.WIRE,
    "converse": converse.WIRE,
}
_PATHS = (
    ("openai", re.compile(r"/chat/completions")),
    ("responses", re.compile(r"/responses$")),
    ("anthropic", re.compile(r"/messages$|:(?:streamRaw|raw)Predict$")),
    ("gemini", re.compile(r":(?:streamG|g)enerateContent")),
    ("ollama", re.compile(r"/api/chat$")),
    ("cohere", re.compile(r"/v2/chat$")),
    ("converse", re.compile(r"/converse(?:-stream)?$")),
)
_STREAMS = re.compile(r"streamRawPredict$|streamGenerateContent|converse-stream$")


def wire_at(path: str) -> str:
    """The name of the wire that is spoken at a path.

    Raises:
        LookupError: None is.
    """
    found = next((name for name, pattern in _PATHS if pattern.search(path)), None)
    if found is None:
        raise LookupError(f"no wire is spoken at {path}")
    return found


def saying(said: Said) -> Step:
    """A step that answers so, whole or streamed as it was asked."""

    def play(asked: Asked) -> Play:
        wire, model, is_stream = _asked(asked)
        yield Billed(said.input_tokens, said.output_tokens, calls=1)
        if not is_stream:
            yield http.whole(encode(wire.whole(said, model)))
            return
        yield wire.head + b"".join(map(http.chunk, wire.events(said, model))) + http.LAST_CHUNK

    return Step("saying", play)


def broken_off(said: Said) -> Step:
    """A step whose stream dies: the first half of the text comes, then the connection closes."""
    return _halved(said, Act.CLOSE)


def cut_clean(said: Said) -> Step:
    """A step whose stream ends as HTTP, but not as an answer: the first half of the text comes, then the last chunk."""
    return _halved(said, http.LAST_CHUNK, Act.CLOSE)


def given_up(said: Said) -> Step:
    """A step whose stream says after the first half of the text that it failed."""

    def play(asked: Asked) -> Play:
        yield from _first_half(asked, said)
        yield http.chunk(_asked(asked)[0].trouble) + http.LAST_CHUNK

    return Step("given_up", play)


def held_back(said: Said, valve: Valve) -> Step:
    """A step whose stream stops after the first half of the text until the valve is turned, and then ends too soon."""
    return _halved(said, valve)


def _halved(said: Said, *stop: Piece) -> Step:
    def play(asked: Asked) -> Play:
        yield from _first_half(asked, said)
        yield from stop
        yield http.LAST_CHUNK

    return Step("halved", play)


def _first_half(asked: Asked, said: Said) -> Play:
    wire, model, _ = _asked(asked)
    events = wire.events(said, model)
    told = halves(said.text)[0].encode()
    first = next(place for place, event in enumerate(events, 1) if told in event)
    yield Billed(said.input_tokens, calls=1)
    yield wire.head + b"".join(map(http.chunk, events[:first]))


def refusing(why: Refused) -> Step:
    """A step that refuses in the words of the wire."""

    def play(asked: Asked) -> Play:
        yield WIRES[wire_at(asked.request.path)].refused(why)

    return Step("refusing", play)


def _asked(asked: Asked) -> tuple[Wire, str, bool]:
    """The wire, the model and whether a stream is wanted: Ollama streams unless told not to."""
    path = asked.request.path
    name = wire_at(path)
    body = json.loads(asked.request.body)
    is_stream = bool(_STREAMS.search(path)) or body.get("stream", name == "ollama") is True
    return WIRES[name], str(body.get("model", "said")), is_stream
