"""Kept responses put into requests, and listed."""

import json
from typing import Any

import pytest

from aldgate.core.calls import Peek
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.responses.history import continued, input_of, items_in, listed, output_of, references, resolved
from aldgate.dialects.responses.requests import peek

KEY = "0123456789abcdef01234567"
SAID = {"id": f"msg_{KEY}_0", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]}
HI = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}


def asked(given: Any, **more: Any) -> Peek:
    return peek(json.dumps({"model": "m", "input": given, **more}).encode())


def response(*output: dict[str, Any]) -> bytes:
    return json.dumps({"id": f"resp_{KEY}", "output": output}).encode()


@pytest.mark.parametrize("given", ["Hi", [HI], []])
def test_an_input_is_read_as_it_came(given: Any):
    assert json.loads(input_of(asked(given))) == given


def test_no_input_is_no_items():
    assert items_in(input_of(peek(b'{"model":"m","input":null}'))) == []
    assert items_in(input_of(peek(b'{"model":"m"}'))) == []
    assert items_in(b'"Hi"') == [HI]


def test_what_went_before_comes_first_without_ids():
    call = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"}
    turns = [(b'"Hi"', response(SAID)), (b'[{"role":"user","content":"Look"}]', response(call))]
    request = asked("And?", previous_response_id="resp_2", temperature=0.5)
    body = json.loads(continued(request, turns))
    assert body == {
        "model": "m",
        "previous_response_id": "resp_2",
        "temperature": 0.5,
        "input": [
            HI,
            {name: value for name, value in SAID.items() if name != "id"},
            {"role": "user", "content": "Look"},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And?"}]},
        ],
    }


def test_a_phase_is_kept_and_a_bare_thought_is_not():
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    spoken = {**SAID, "phase": "commentary"}
    body = json.loads(continued(asked([]), [(b"[]", response(thought, {**thought, "encrypted_content": "g"}, spoken))]))
    assert [item.get("phase", item.get("encrypted_content")) for item in body["input"]] == ["g", "commentary"]


def test_references_name_their_responses():
    reference = {"type": "item_reference", "id": SAID["id"]}
    foreign = {"type": "item_reference", "id": "msg_68af"}
    request = asked([reference, foreign, HI])
    assert references(request) == {f"resp_{KEY}"}
    assert references(asked("item_reference")) == set()
    body = json.loads(resolved(request, {f"resp_{KEY}": response(SAID)}, 100_000))
    assert body["input"] == [{name: value for name, value in SAID.items() if name != "id"}, foreign, HI]
    with pytest.raises(InvalidRequest):
        resolved(request, {}, 100_000)


def test_listed_items_have_ids_and_whole_contents():
    items = listed(
        f"resp_{KEY}", json.dumps([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}, SAID]).encode()
    )
    assert [item["id"] for item in items] == [f"msg_{KEY}_in0", f"msg_{KEY}_in1", SAID["id"]]
    assert [item["content"][0]["type"] for item in items] == ["input_text", "output_text", "output_text"]
    assert output_of(response(SAID)) == [SAID]
