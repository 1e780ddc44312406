import base64
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from aldgate.core.errors import InvalidRequest
from aldgate.engines.builtin.lexical import WIDTH, add_tokens, tokens, unit_vector

from .conftest import Ask


def vector(text: str) -> list[float]:
    sums = [0] * WIDTH
    add_tokens(tokens(text), sums)
    return unit_vector(sums)


def closeness(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(vector(one), vector(other), strict=True))


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("the cat sat on the mat", "a cat is on a mat", "quarterly revenue grew by nine percent"),
        ("How do I reset my password?", "password reset", "opening hours of the museum"),
        ("connect to the database", "database connections", "chocolate cake recipe"),
        ("Der Zug nach Berlin fällt aus", "Züge nach Berlin", "Das Konto ist gesperrt"),
        ("東京の天気はどうですか", "東京の天気", "銀行口座を開設する"),
        ("Cat!", "cat", "dog"),
    ],
)
def test_texts_that_share_words_are_closer(text: str, near: str, far: str) -> None:
    assert closeness(text, near) > closeness(text, far) + 0.15


def test_the_same_bits_everywhere() -> None:
    """A vector kept by one process must mean the same to the next, whatever its hash seed or byte order."""
    sums = [0] * WIDTH
    add_tokens(["hello"], sums)
    assert {index: value for index, value in enumerate(sums) if value} == {0: 1, 2: -1, 159: -2, 222: -1, 234: 3}


@given(st.text())
def test_every_text_has_length_one(text: str) -> None:
    assert math.isclose(math.hypot(*vector(text)), 1)


@pytest.mark.anyio
async def test_reply(ask: Ask) -> None:
    reply = await ask("embed", {"input": "hello big world"})
    CreateEmbeddingResponse.model_validate(reply)
    (item,) = reply.pop("data")
    assert reply == {"object": "list", "model": "builtin/embed", "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    assert (item["object"], item["index"], len(item["embedding"])) == ("embedding", 0, WIDTH)


@pytest.mark.anyio
@pytest.mark.parametrize("dimensions", [None, 1, 7, 256])
async def test_encodings_say_the_same(ask: Ask, dimensions: int | None) -> None:
    body = {"input": ["one", "two words"], "dimensions": dimensions}
    floats = await ask("embed", body | {"encoding_format": "float"})
    packed = await ask("embed", body | {"encoding_format": "base64"})
    assert await ask("embed", body) == floats
    for numbers, text in zip(floats["data"], packed["data"], strict=True):
        raw = base64.b64decode(text["embedding"])
        assert list(struct.unpack(f"<{dimensions or WIDTH}f", raw)) == numbers["embedding"]
        assert math.isclose(math.hypot(*numbers["embedding"]), 1, rel_tol=1e-6)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "count", "used"),
    [
        ("one two", 1, 2),
        (" ", 1, 1),
        (["one", "two three"], 2, 3),
        ([1, 2, 3], 1, 3),
        ([[1, 2], [3]], 2, 3),
        (["x"] * 2048, 2048, 2048),
        ("word " * 20_000, 1, 20_000),
    ],
)
async def test_inputs(ask: Ask, given: Any, count: int, used: int) -> None:
    reply = await ask("embed", {"input": given, "dimensions": 4})
    assert [item["index"] for item in reply["data"]] == list(range(count))
    assert reply["usage"] == {"prompt_tokens": used, "total_tokens": used}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": 5}, "input"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": 257}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ],
)
async def test_wrong_requests_name_the_field(ask: Ask, body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await ask("embed", body)
    assert raised.value.param == param
