"""Embedding models on Bedrock, which are invoked in their makers' own words: Amazon's Titan and Cohere's.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

from typing import Any

import msgspec

from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.core.operations import Embeddings, EmbedRequest
from aldgate.core.usage import Usage

_MOST_TEXTS = 96
_COHERE_TASKS = {"query": "search_query", "classification": "classification", "clustering": "clustering"}


class _Reply(msgspec.Struct):
    """Titan's or Cohere's. `inputTextTokenCount` is Titan's; for Cohere, the provider puts a header's figure there."""

    embedding: list[float] | None = None
    embeddings: list[list[float]] | dict[str, list[list[float]]] | None = None
    inputTextTokenCount: int | None = None


_reply = msgspec.json.Decoder(_Reply)


def build_embedding(asked: EmbedRequest, model: str, warnings: list[str]) -> bytes:
    """The body for `model`, which itself stands in the path.

    Raises:
        InvalidRequest: The model is of another family, or takes fewer texts, or no token ids.
    """
    texts: list[str] = []
    for each in asked.inputs:
        if not isinstance(each, str):
            raise InvalidRequest("This model embeds texts, not token ids.", param="input")
        texts.append(each)
    if asked.user is not None:
        warnings.append("user")
    said = _titan(asked, texts, model, warnings) if "titan-embed" in model else _cohere(asked, texts, model, warnings)
    return msgspec.json.encode(said)


def _titan(asked: EmbedRequest, texts: list[str], model: str, warnings: list[str]) -> dict[str, Any]:
    if len(texts) != 1:
        raise InvalidRequest("This model embeds one text in a call.", param="input")
    if asked.task is not None:
        warnings.append("task")
    said: dict[str, Any] = {"inputText": texts[0]}
    if asked.dimensions is not None:
        if "titan-embed-text-v1" in model:
            raise InvalidRequest("The length of this model's vectors is fixed.", param="dimensions")
        said["dimensions"] = asked.dimensions
    return said


def _cohere(asked: EmbedRequest, texts: list[str], model: str, warnings: list[str]) -> dict[str, Any]:
    if "cohere.embed" not in model:
        raise InvalidRequest(f"`{model}` is no embedding model that the gate knows on Bedrock.", param="model")
    if len(texts) > _MOST_TEXTS:
        raise InvalidRequest(f"This model embeds up to {_MOST_TEXTS} texts in a call.", param="input")
    if asked.task == "similarity":
        warnings.append("task")
    task = _COHERE_TASKS.get(asked.task or "", "search_document")
    said: dict[str, Any] = {"texts": texts, "input_type": task, "embedding_types": ["float"]}
    if asked.dimensions is not None:
        if "cohere.embed-v4" not in model:
            raise InvalidRequest("The length of this model's vectors is fixed.", param="dimensions")
        said["output_dimension"] = asked.dimensions
    return said


def read_embedding(body: bytes) -> Embeddings:
    """The vectors in a whole reply.

    Raises:
        UpstreamInvalid: There are none.
    """
    try:
        reply = _reply.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid("The provider's reply holds no embeddings.") from None
    vectors = [reply.embedding] if reply.embedding is not None else reply.embeddings
    if isinstance(vectors, dict):
        vectors = vectors.get("float")
    if vectors is None:
        raise UpstreamInvalid("The provider's reply holds no embeddings.")
    count = reply.inputTextTokenCount
    return Embeddings(vectors, None if count is None else Usage(max(count, 0)))
