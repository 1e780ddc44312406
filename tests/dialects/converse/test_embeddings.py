from typing import Any

import msgspec
import pytest

from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.core.operations import Embeddings, EmbedRequest
from aldgate.core.usage import Usage
from aldgate.dialects.converse.embeddings import build_embedding, read_embedding

TITAN, TITAN_1 = "amazon.titan-embed-text-v2:0", "amazon.titan-embed-text-v1"
COHERE, COHERE_4 = "cohere.embed-english-v3", "us.cohere.embed-v4:0"


def body(model: str, inputs: Any, warned: list[str], **fields: Any) -> Any:
    warnings: list[str] = []
    built = msgspec.json.decode(build_embedding(EmbedRequest("openai", inputs, **fields), model, warnings))
    assert warnings == warned
    return built


def test_each_family_is_asked_in_its_words() -> None:
    assert body(TITAN, ["a"], ["user", "task"], dimensions=256, user="u", task="query") == {"inputText": "a", "dimensions": 256}
    assert body(COHERE, ["a", "b"], [], task="query") == {
        "texts": ["a", "b"],
        "input_type": "search_query",
        "embedding_types": ["float"],
    }
    said = body(COHERE_4, ["a"], ["task"], dimensions=512, task="similarity")
    assert (said["input_type"], said["output_dimension"]) == ("search_document", 512)


@pytest.mark.parametrize(
    ("model", "inputs", "fields", "param"),
    [
        (TITAN, ["a", "b"], {}, "input"),
        (TITAN, [[1, 2]], {}, "input"),
        (TITAN_1, ["a"], {"dimensions": 256}, "dimensions"),
        (COHERE, ["a"] * 97, {}, "input"),
        (COHERE, ["a"], {"dimensions": 256}, "dimensions"),
        ("amazon.nova-pro-v1:0", ["a"], {}, "model"),
    ],
)
def test_what_a_model_cannot_embed_is_refused(model: str, inputs: Any, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        body(model, inputs, [], **fields)
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("reply", "embeddings"),
    [
        (b'{"embedding":[0.5,1],"inputTextTokenCount":3}', Embeddings([[0.5, 1.0]], Usage(3))),
        (b'{"embeddings":[[1],[2]],"id":"x"}', Embeddings([[1.0], [2.0]])),
        (b'{"embeddings":{"float":[[1]]},"inputTextTokenCount":-3}', Embeddings([[1.0]], Usage(0))),
    ],
)
def test_vectors_come_in_three_shapes(reply: bytes, embeddings: Embeddings) -> None:
    assert read_embedding(reply) == embeddings


@pytest.mark.parametrize("reply", [b"", b"{}", b'{"embeddings":{"int8":[[1]]}}', b'{"embedding":"x"}', b"\xff"])
def test_what_holds_none_is_invalid(reply: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        read_embedding(reply)
