"""What a caller's dialect has no place for stands in the text by name; what it has a place for stands there."""

from __future__ import annotations

import json

import pytest

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Conversation, Media, Message, Opaque, Part, Text
from aldgate.core.events import PartGiven, unfold
from aldgate.dialects.anthropic.dialect import ANTHROPIC
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.ollama.dialect import GENERATE, OLLAMA
from aldgate.dialects.omitted import omitted
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.dialects.responses.answers import read
from aldgate.dialects.responses.decoder import ResponsesDecoder
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.ports import FaceDialect

FACES = [OPENAI, RESPONSES, ANTHROPIC, GEMINI, OLLAMA, GENERATE]
IMAGE = Media("image", "image/png", "iVBO")
FOREIGN = Opaque("elsewhere", "weather_report", {"type": "weather_report"})


def told(face: FaceDialect, part: Part) -> tuple[str, str]:
    """An answer with that part, whole and streamed."""
    peek = Peek(b'{"model":"m","input":"Draw"}', "m", True, None)
    asked = Conversation("x", [Message("user", [Text("Draw")])])
    answer = Answer([Text("See: "), part])
    encoder = face.encoder("req-1", peek, asked)
    streamed = encoder.feed(list(unfold(answer))) + encoder.end()
    return face.write("req-1", peek, asked, answer).decode(), streamed.decode()


@pytest.mark.parametrize("face", FACES, ids=lambda face: type(face).__name__)
def test_what_only_another_dialect_knows_is_named(face: FaceDialect) -> None:
    for said in told(face, FOREIGN):
        assert "[weather_report omitted]" in said


@pytest.mark.parametrize("face", FACES, ids=lambda face: type(face).__name__)
def test_sound_is_named_or_given(face: FaceDialect) -> None:
    for said in told(face, Media("audio", "audio/mpeg", "SUQz")):
        assert ("SUQz" if face is GEMINI else "[audio omitted]") in said


@pytest.mark.parametrize("face", FACES, ids=lambda face: type(face).__name__)
def test_an_image_is_given_or_named(face: FaceDialect) -> None:
    for said in told(face, IMAGE):
        assert ("[image omitted]" if face is ANTHROPIC else "iVBO") in said


def test_an_address_is_kept() -> None:
    assert omitted(Media("video", url="https://example.com/a.mp4")) == "[video omitted: https://example.com/a.mp4]"


def test_an_image_that_openais_own_tool_made_is_read() -> None:
    item = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBO"}
    response = {"id": "resp_1", "status": "completed", "output": [item, {**item, "result": None}]}
    assert read(json.dumps(response).encode()).parts == [IMAGE]
    event = {"type": "response.output_item.done", "output_index": 0, "item": item}
    assert PartGiven(IMAGE) in ResponsesDecoder().feed(b"data: " + json.dumps(event).encode() + b"\n\n")
