import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.calls import Named, Peek
from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest
from aldgate.core.routes import Deployment
from aldgate.dialects.gemini.dialect import GEMINI
from aldgate.dialects.gemini.signatures import written

HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]
NAMED = Named("models/gemini-3.8-flash", stream=True)
DEPLOYMENT = Deployment("google/g", "google", "gemini-3.8-flash", None, "file")


def peek(body: Any, named: Named = NAMED) -> Peek:
    return GEMINI.peek("chat", body if isinstance(body, bytes) else json.dumps(body).encode(), named)


def test_the_path_names_the_model_and_the_verb() -> None:
    seen = peek({"contents": HELLO})
    assert (seen.model, seen.stream, seen.cap, seen.choices) == ("gemini-3.8-flash", True, None, 1)


@pytest.mark.parametrize("config", ["generationConfig", "generation_config"])
@pytest.mark.parametrize("field", ["maxOutputTokens", "max_output_tokens"])
@pytest.mark.parametrize("value", [100, 100.0, "100"])
def test_a_bound_on_output_counts_in_every_spelling(config: str, field: str, value: Any) -> None:
    body = json.dumps({"contents": HELLO, config: {field: value, "candidate_count": 2}}).encode()
    seen = peek(body)
    assert (seen.cap, seen.choices, seen.body) == (100, 2, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"contents":[1],"generationConfig":{"maxOutputTokens":1},"generationConfig":{}}',
        b'{"contents":[1],"generationConfig":{"maxOutputTokens":1},"generation_config":{}}',
        b'{"contents":[1],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}',
        b'{"contents":[1],"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":9}}',
        b'{"contents":[1],"generationConfig":{"maxOutputTokens":1,"max\\u004futputTokens":9}}',
        b'{"contents":[1],"generationConfig":{"MaxOutputTokens":1}}',
        b'{"contents":[1],"GenerationConfig":{}}',
    ],
)
def test_what_parsers_could_read_differently_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        peek(body)


def test_a_model_in_the_body_cannot_contradict_the_path() -> None:
    seen = peek({"model": "models/other", "contents": HELLO, "generation_config": {"max_output_tokens": 5}})
    assert json.loads(seen.body) == {"contents": HELLO, "generationConfig": {"maxOutputTokens": 5}}
    assert (seen.model, seen.cap) == ("gemini-3.8-flash", 5)


def test_the_role_model_and_what_is_deeper_stay_to_the_byte() -> None:
    body = json.dumps({"contents": [*HELLO, {"role": "model", "parts": [{"text": '"maxOutputTokens"'}]}]}, indent=1).encode()
    assert peek(body).body is body
    tool = {"functionDeclarations": [{"name": "f", "parameters": {"properties": {"model": {"type": "STRING"}}}}]}
    seen = peek({"contents": HELLO, "tools": [tool]})
    assert json.loads(seen.body)["tools"] == [tool]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b"\xff", "UTF-8"),
        (b"[]", "object"),
        (b"{}", "contents"),
        (b'{"contents":[]}', "contents"),
        (b'{"contents":[1],"generationConfig":{"maxOutputTokens":-1}}', "maxOutputTokens"),
        (b'{"contents":[1],"generationConfig":{"maxOutputTokens":"many"}}', "maxOutputTokens"),
        (b'{"contents":[1],"generationConfig":{"candidateCount":1.5}}', "candidateCount"),
        (b'{"contents":' + b"[" * 100_000, "nested"),
    ],
)
def test_what_is_no_request_is_refused_in_words(body: bytes, word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        peek(body)
    with pytest.raises(InvalidRequest, match="model"):
        GEMINI.peek("chat", body, None)


def test_a_cap_is_put_where_the_callers_own_stands() -> None:
    plain = peek({"contents": HELLO})
    assert json.loads(GEMINI.outgoing("chat", plain, DEPLOYMENT, cap=7, warnings=[]))["generationConfig"] == {
        "maxOutputTokens": 7
    }
    assert GEMINI.outgoing("chat", plain, DEPLOYMENT, cap=None, warnings=[]) is plain.body
    own = peek({"contents": HELLO, "generation_config": {"max_output_tokens": 9, "temperature": 0.5}})
    sent = json.loads(GEMINI.outgoing("chat", own, DEPLOYMENT, cap=7, warnings=[]))
    assert sent == {"contents": HELLO, "generationConfig": {"maxOutputTokens": 7, "temperature": 0.5}}


def test_other_providers_proofs_are_not_told_to_google() -> None:
    foreign = written("proof", None, "anthropic")
    parts = [
        {"text": "Hm.", "thought": True, "thoughtSignature": foreign},
        {"text": "", "thought_signature": foreign},
        {"text": "Hi", "thoughtSignature": foreign},
        {"functionCall": {"name": "f"}, "thoughtSignature": foreign},
        {"functionCall": {"name": "g"}, "thoughtSignature": "c2ln"},
    ]
    seen = peek({"contents": [*HELLO, {"role": "model", "parts": parts}]})
    sent = json.loads(GEMINI.outgoing("chat", seen, DEPLOYMENT, cap=None, warnings=[]))["contents"][1]["parts"]
    assert sent == [
        {"text": "Hi"},
        {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
        {"functionCall": {"name": "g"}, "thoughtSignature": "c2ln"},
    ]


def test_embedding_requests_go_on_under_the_providers_name() -> None:
    content = {"parts": [{"text": "a"}]}
    body = json.dumps({"requests": [{"model": "models/mine", "content": content}, {"content": content}]}).encode()
    seen = GEMINI.peek("embed", body, Named("mine"))
    sent = json.loads(GEMINI.outgoing("embed", seen, DEPLOYMENT, cap=None, warnings=[]))
    assert sent == {"requests": [{"model": "models/gemini-3.8-flash", "content": content}, {"content": content}]}
    with pytest.raises(InvalidRequest, match="content"):
        GEMINI.peek("embed", b"{}", Named("mine"))


VALUES = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4), st.lists, max_leaves=4)
KEYS = st.sampled_from(["generationConfig", "generation_config", "GENERATIONCONFIG", "model", "contents", "x"])
INNER = st.sampled_from(["maxOutputTokens", "max_output_tokens", "MaxOutputTokens", "candidateCount", "topK"])


@given(st.lists(st.tuples(KEYS, VALUES | st.lists(st.tuples(INNER, st.integers(0, 99)), max_size=3)), max_size=5))
def test_a_body_that_is_let_through_says_each_governed_thing_once(pairs: list[tuple[str, Any]]) -> None:
    def written(value: Any) -> str:
        if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
            return "{" + ",".join(f"{json.dumps(key)}:{json.dumps(inner)}" for key, inner in value) + "}"
        return json.dumps(value)

    body = ("{" + ",".join(f"{json.dumps(key)}:{written(value)}" for key, value in pairs) + "}").encode()
    try:
        seen = peek(body)
    except InvalidRequest:
        return
    read = json.loads(seen.body, object_pairs_hook=list)
    configs = [value for key, value in read if key.replace("_", "").casefold() == "generationconfig"]
    assert len(configs) <= 1 and "model" not in dict(read)
    caps = [value for key, value in (configs[0] or []) if key.replace("_", "").casefold() == "maxoutputtokens"] if configs else []
    assert len(caps) <= 1
    assert (seen.cap or 0) == (caps[0] if caps else 0)


@given(st.sampled_from(["generationConfig", "generation_config", "generation__config"]), st.integers(0, 3), st.booleans())
def test_no_spelling_makes_more_answers_in_translation_than_were_counted(holder: str, underscores: int, both: bool) -> None:
    count = f"candidate{'_' * underscores}{'count' if underscores else 'Count'}"
    config = {count: 8, **({"candidateCount": 2} if both and underscores > 1 else {})}
    seen = peek({"contents": HELLO, holder: config})
    asked = GEMINI.parse("chat", seen)
    assert isinstance(asked, Conversation) and asked.choices == seen.choices
