"""A kept response told again says what the stream said."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Peek
from aldgate.core.conversation import Answer, Conversation, Finish, Reasoning, Refusal, Text, ToolCall
from aldgate.core.events import fold
from aldgate.dialects.responses.dialect import RESPONSES
from aldgate.dialects.responses.pen import DONE, Pen
from aldgate.dialects.responses.replay import later, replayed

PEEK = Peek(b'{"model":"m","input":"Hi","tools":[{"type":"custom","name":"patch"}]}', "m")
PARTS = [Reasoning("Hm", "sig", origin="responses"), Text("Hi"), Refusal("No"), ToolCall("c", "look", "{}")]


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_it_folds_to_the_same_answer(finish: Finish):
    kept = RESPONSES.write("req-0123456789abcdef01234567", PEEK, Conversation("responses", []), Answer(list(PARTS), finish))
    decoder = RESPONSES.decoder()
    events = decoder.feed(replayed(kept, None))
    assert decoder.is_done
    assert fold(events) == RESPONSES.read("chat", kept)


def test_custom_calls_and_other_items_are_told_too():
    search = {"id": "ws_1", "type": "web_search_call", "status": "completed"}
    patch = {"id": "fc_1", "type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "x"}
    kept = {"id": "resp_1", "status": "completed", "model": "m", "output": [search, patch], "usage": None}
    told = replayed(json.dumps(kept).encode(), None).decode()
    kinds = [line.removeprefix("event: response.") for line in told.split("\n") if line.startswith("event: ")]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]


@pytest.mark.parametrize(("after", "first"), [(None, 0), (0, 1), (3, 4)])
def test_it_goes_on_where_the_caller_left(after: int | None, first: int):
    kept: dict[str, Any] = {"id": "r", "status": "completed", "output": [{"id": "x", "type": "x"}]}
    told = replayed(json.dumps(kept).encode(), after).decode()
    assert told.startswith("event: ") and f'"sequence_number":{first},' in told.split("\n\n")[0]


def test_of_events_as_they_went_out_the_later_ones_are_told():
    pen = Pen(7)
    said = [pen.item("added", 0, {"sequence_number": 99, "text": "\n\ndata: [DONE]"}), pen.item("done", 0, {}), DONE]
    events = b"".join(said)
    assert later(events, 6) == events
    assert later(events, 7) == b"".join(said[1:])
    assert later(events, 8) == later(events, 1 << 53) == DONE
    assert later(b'event: x\ndata: {"type":"x"}\n\n', 5) != b""
