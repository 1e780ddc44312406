import json

import msgspec
import pytest

from aldgate.dialects.openai import types

STRUCTS = [value for value in vars(types).values() if isinstance(value, type) and issubclass(value, msgspec.Struct)]
BODIES = [
    types.ChatRequest,
    types.CompletionRequest,
    types.EmbeddingRequest,
    types.ChatCompletion,
    types.ChatChunk,
    types.Completion,
    types.EmbeddingList,
    types.Model,
    types.ModelList,
    types.ErrorBody,
]


def test_openapi_components() -> None:
    references, components = msgspec.json.schema_components(BODIES, ref_template="#/components/schemas/{name}")
    assert [reference["$ref"].rpartition("/")[2] for reference in references] == [body.__name__ for body in BODIES]
    assert components["ChatRequest"]["required"] == ["model", "messages"]
    assert components["CompletionRequest"]["required"] == ["model", "prompt"]
    assert components["EmbeddingRequest"]["required"] == ["model", "input"]
    assert json.loads(json.dumps(components)) == components


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_unknown_fields_are_allowed(struct: type[msgspec.Struct]) -> None:
    assert not struct.__struct_config__.forbid_unknown_fields


@pytest.mark.parametrize(
    ("struct", "body"),
    [
        (
            types.ChatRequest,
            {
                "model": "m",
                "messages": [
                    {"role": "developer", "content": "be brief"},
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}]},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    },
                    {"role": "tool", "tool_call_id": "c", "content": "4"},
                ],
                "tools": [
                    {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
                    {"type": "custom", "custom": {"name": "g"}},
                ],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "g"}}]},
                },
                "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}, "strict": True}},
                "stop": ["a", "b"],
                "stream": True,
                "stream_options": {"include_usage": True},
                "an_option_of_tomorrow": {"x": 1},
            },
        ),
        (types.CompletionRequest, {"model": "m", "prompt": [[1, 2], [3]], "best_of": 2, "echo": True}),
        (types.EmbeddingRequest, {"model": "m", "input": ["a"], "dimensions": 8, "encoding_format": "base64"}),
        (types.ErrorBody, {"error": {"message": "m", "type": "invalid_request_error", "param": None, "code": None}}),
        (types.ModelList, {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "o"}]}),
    ],
)
def test_bodies_decode(struct: type[msgspec.Struct], body: dict[str, object]) -> None:
    decoded = msgspec.json.decode(json.dumps(body), type=struct)
    again = msgspec.json.decode(msgspec.json.encode(decoded), type=struct)
    assert again == decoded
