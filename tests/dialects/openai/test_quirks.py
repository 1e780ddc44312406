import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.dialects.openai.quirks import Quirk, marked, mended, nine_letters, reasoning_kept

ANY = tuple(Quirk(field=field) for field in ("a", "b"))


def mend(body: Any, *quirks: Quirk, model: str = "m") -> tuple[Any, list[str]]:
    warnings: list[str] = []
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads(mended(sent, marked(quirks, model), warnings)), warnings


def test_a_field_is_renamed_or_left_out_and_named() -> None:
    assert mend({"seed": 7, "x": [1]}, Quirk(field="seed", becomes="random_seed")) == ({"random_seed": 7, "x": [1]}, [])
    assert mend({"seed": 7}, Quirk(field="seed")) == ({}, ["seed"])
    assert mend({"seed": None}, Quirk(field="seed")) == ({}, [])
    assert mend({"seed": 7}, Quirk(field="seed", is_silent=True)) == ({}, [])
    assert mend({"max_tokens": 5, "cap": 3}, Quirk(field="max_tokens", becomes="cap")) == ({"cap": 3}, [])


def test_a_value_that_is_taken_stays() -> None:
    quirk = Quirk(field="temperature", stays=1)
    assert mend({"temperature": 1.0}, quirk) == ({"temperature": 1.0}, [])
    assert mend({"temperature": 0.2}, quirk) == ({}, ["temperature"])


def test_a_quirk_of_other_models_concerns_nobody_else() -> None:
    quirk = Quirk(field="seed", models="^o[1-9]")
    assert marked((quirk,), "gpt-4.1") == () and len(marked((quirk,), "o3-mini")) == 1


def test_what_is_not_met_stays_to_the_byte() -> None:
    for body in (b'{ "x" : 1.00 }', b'{"x": {"a": 1}, "y": "\\"b\\""}', b'{ "a" :1, "mine" : 1.50}'):
        warnings: list[str] = []
        quirks = marked((*ANY, Quirk(field="messages", mend=reasoning_kept, sign="tool_calls")), "m")
        sent = mended(body, quirks, warnings)
        assert sent is body or b'"mine":1.50' in sent.replace(b" ", b"")
        assert warnings == (["a"] if b"mine" in body else [])


CALL = {"id": "call_abc", "type": "function", "function": {"name": "go", "arguments": "{}"}}


def test_mistrals_call_ids_are_short_and_the_same_on_both_sides() -> None:
    kept = {"role": "assistant", "tool_calls": [{**CALL, "id": "abcDEF123"}]}
    messages = [{"role": "user"}, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_abc"}, kept]
    sent, warnings = mend({"messages": messages}, Quirk(field="messages", mend=nine_letters, sign="tool_calls"))
    call, result, other = sent["messages"][1]["tool_calls"][0], sent["messages"][2], sent["messages"][3]
    assert call["id"] == result["tool_call_id"] and len(call["id"]) == 9 and call["id"].isalnum()
    assert other == kept and call["function"] == CALL["function"] and warnings == []


def test_c9_a_deepseek_turn_with_calls_has_thoughts() -> None:
    """A client that did not keep `reasoning_content` is not refused on the next turn (langchain 34166, llm-gateway 992, 2339)."""
    quirk = Quirk(field="messages", mend=reasoning_kept, sign="tool_calls", warning="thoughts")
    lost = {"role": "assistant", "tool_calls": [CALL], "reasoning_content": ""}
    kept = {"role": "assistant", "tool_calls": [CALL], "reasoning_content": "Hm."}
    sent, warnings = mend({"messages": [lost, kept, {"role": "assistant", "content": "So."}]}, quirk)
    assert sent["messages"][0]["reasoning_content"].strip() and sent["messages"][1:] == [
        kept,
        {"role": "assistant", "content": "So."},
    ]
    assert warnings == ["thoughts"] and mend({"messages": [kept]}, quirk) == ({"messages": [kept]}, [])


@pytest.mark.parametrize("messages", ["x", [1], [{"tool_calls": "x"}], [{"tool_calls": [1]}], [{"tool_call_id": 5}], {}])
def test_messages_that_are_none_are_left_to_the_provider(messages: Any) -> None:
    assert nine_letters(messages) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), lambda each: st.lists(each, max_size=3)
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "a b", '"a"']), VALUES))
def test_other_members_keep_their_values(body: dict[str, Any]) -> None:
    sent, warnings = mend(body, Quirk(field="a", becomes="z"), Quirk(field="b"))
    renamed = {"z": body["a"]} if "a" in body else {}
    assert sent == {key: value for key, value in body.items() if key not in ("a", "b")} | renamed
    assert warnings == (["b"] if body.get("b") is not None else [])
