"""Embeddings in Gemini's words: one text, or a batch (https://ai.google.dev/api/embeddings)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from aldgate.core.errors import InvalidRequest, UpstreamInvalid
from aldgate.core.operations import Embeddings, EmbedRequest
from aldgate.dialects.gemini.errors import Status, error_in_reply
from aldgate.dialects.gemini.keys import Object, normalised
from aldgate.dialects.gemini.shapes import EmbedShape
from aldgate.dialects.gemini.signatures import ORIGIN
from aldgate.dialects.gemini.usage import UsageMetadata, metadata_of
from aldgate.dialects.reading import read_body

Task = Literal["query", "document", "similarity", "classification", "clustering"]

_TASKS: dict[str, Task] = {
    "RETRIEVAL_QUERY": "query",
    "QUESTION_ANSWERING": "query",
    "FACT_VERIFICATION": "query",
    "CODE_RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}
WORDS: dict[Task, str] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "similarity": "SEMANTIC_SIMILARITY",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


class _Vector(msgspec.Struct):
    values: list[float] = []


class _Reply(msgspec.Struct, rename="camel"):
    embedding: _Vector | None = None
    embeddings: list[_Vector] | None = None
    usage_metadata: UsageMetadata | None = None
    error: Status | None = None


_members = msgspec.json.Decoder(dict[str, Any])
_reply = msgspec.json.Decoder(_Reply)


def parse_embedding(body: bytes) -> EmbedRequest:
    """Body of `embedContent` or `batchEmbedContents`.

    Raises:
        InvalidRequest: An input is no text, or the requests of a batch want different things.
    """
    asked: Object = normalised(read_body(body, (), _members.decode))
    try:
        requests = msgspec.convert(asked.get("requests") or [asked], list[EmbedShape])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"Each `content` must be made of text parts: {error}.", param="content") from None
    wanted = {(int(each.output_dimensionality or 0), each.task_type) for each in requests}
    if len(wanted) > 1:
        raise InvalidRequest("The requests differ in `taskType` or `outputDimensionality`.", param="requests")
    inputs = ["".join(part.text for part in each.content.parts) for each in requests]
    dimensions, task = wanted.pop()
    return EmbedRequest(ORIGIN, inputs, dimensions or None, task=_TASKS.get(task or ""))


def build_embedding(asked: EmbedRequest, model: str, warnings: list[str]) -> Object:
    """Body of `batchEmbedContents`.

    Raises:
        InvalidRequest: The inputs are token ids.
    """
    more: Object = {"model": f"models/{model}"}
    if asked.dimensions is not None:
        more["outputDimensionality"] = asked.dimensions
    if asked.task is not None:
        more["taskType"] = WORDS[asked.task]
    if asked.user is not None:
        warnings.append("user")
    requests: list[Object] = []
    for text in asked.inputs:
        if not isinstance(text, str):
            raise InvalidRequest("This model reads texts, not token ids.", param="input")
        requests.append({"content": {"parts": [{"text": text}]}, **more})
    return {"requests": requests}


def read_embeddings(body: bytes) -> Embeddings:
    """A reply of either verb.

    Raises:
        UpstreamError: It is none, or an error in the dress of one.
    """
    try:
        reply = _reply.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamInvalid(f"The provider's reply is not what was asked for: {error}.") from None
    if reply.error is not None:
        raise error_in_reply(reply.error)
    vectors = [vector.values for vector in reply.embeddings or [reply.embedding or _Vector()]]
    if not all(vectors):
        raise UpstreamInvalid("The provider's reply lacks an embedding.")
    return Embeddings(vectors, reply.usage_metadata and reply.usage_metadata.canonical())


def write_embeddings(result: Embeddings, *, is_batch: bool) -> bytes:
    """A reply of either verb."""
    vectors = [{"values": vector} for vector in result.vectors]
    said: Object = {"embeddings": vectors} if is_batch else {"embedding": vectors[0]}
    if result.usage is not None:
        metadata = metadata_of(result.usage)
        said["usageMetadata"] = {name: metadata[name] for name in ("promptTokenCount", "totalTokenCount")}
    return msgspec.json.encode(said)
