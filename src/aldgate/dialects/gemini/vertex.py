"""Gemini's dialect as Vertex AI takes it: chats as ever, embeddings by verbs of its own.

`predict` (https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api) is what text-embedding
models and gemini-embedding-001 take, `embedContent` (https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/
projects.locations.publishers.models/embedContent) what later ones do. Neither is what Gemini's own API calls so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.core.calls import Peek
from aldgate.core.errors import InvalidRequest, UpstreamError, UpstreamInvalid
from aldgate.core.operations import Embeddings, EmbedRequest, Request, Result
from aldgate.core.principals import Operation
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.dialects.gemini import errors
from aldgate.dialects.gemini.decoder import Decoder
from aldgate.dialects.gemini.dialect import Gemini
from aldgate.dialects.gemini.embeddings import WORDS, read_embeddings
from aldgate.dialects.gemini.errors import Status, error_in_reply

Object = dict[str, Any]


def is_predicted(model: str) -> bool:
    """Whether the model embeds by `predict`; later ones of Gemini's do by `embedContent`."""
    return "gemini" not in model or model.startswith("gemini-embedding-001")


def reads_one(model: str) -> bool:
    """Whether it embeds one text a request."""
    return "gemini" in model


class _Statistics(msgspec.Struct):
    token_count: float = 0


class _Embedded(msgspec.Struct):
    values: list[float]
    statistics: _Statistics = msgspec.field(default_factory=_Statistics)


class _Prediction(msgspec.Struct):
    embeddings: _Embedded


class _Predictions(msgspec.Struct):
    predictions: list[_Prediction] | None = None
    error: Status | None = None


_predictions = msgspec.json.Decoder(_Predictions)


class GeminiOnVertex(Gemini):
    """Chats: callers of Gemini's own API pass through it."""

    operations: frozenset[Operation] = frozenset({"chat"})


class VertexEmbeddings:
    """Implements `ports.UpstreamDialect` for embeddings alone. Callers of every API are translated to it, Gemini's too."""

    name = "vertex-embeddings"
    stream_type = b"application/json"
    operations: frozenset[Operation] = frozenset({"embed"})

    def outgoing(
        self, operation: Operation, peek: Peek, deployment: Deployment, *, cap: int | None, warnings: list[str]
    ) -> bytes:
        """Nobody calls in this dialect."""
        raise InvalidRequest("Vertex AI's embeddings have no callers of their own.", param="model")

    def build(self, asked: Request, deployment: Deployment, *, stream: bool, warnings: list[str]) -> bytes:
        """`predict`'s body, or the bodies of `embedContent` as `requests`, which are sent one by one.

        What is longer than the model reads is refused; without our word it would be cut in silence.
        """
        if not isinstance(asked, EmbedRequest):
            raise InvalidRequest("This model only embeds.", param="model")
        if asked.user is not None:
            warnings.append("user")
        texts = [text for text in asked.inputs if isinstance(text, str)]
        if len(texts) < len(asked.inputs):
            raise InvalidRequest("This model reads texts, not token ids.", param="input")
        more: Object = {"autoTruncate": False}
        if asked.dimensions is not None:
            more["outputDimensionality"] = asked.dimensions
        if is_predicted(deployment.model):
            task: Object = {} if asked.task is None else {"task_type": WORDS[asked.task]}
            return msgspec.json.encode({"instances": [{"content": text, **task} for text in texts], "parameters": more})
        if asked.task is not None:
            more["taskType"] = WORDS[asked.task]
        return msgspec.json.encode({"requests": [{"content": {"parts": [{"text": text}]}, **more} for text in texts]})

    def read(self, operation: Operation, body: bytes) -> Result:
        """A reply of either verb, or several put together; see `ports.UpstreamDialect`."""
        try:
            reply = _predictions.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamInvalid(f"The provider's reply is not what was asked for: {error}.") from None
        if reply.error is not None:
            raise error_in_reply(reply.error)
        if reply.predictions is None:
            return read_embeddings(body)
        tokens = sum(int(each.embeddings.statistics.token_count) for each in reply.predictions)
        return Embeddings([each.embeddings.values for each in reply.predictions], Usage(input_tokens=tokens) if tokens else None)

    def decoder(self) -> Decoder:
        """Embeddings are never streamed."""
        raise InvalidRequest("Embeddings are not streamed.", param="stream")

    def read_error(self, status: int, body: bytes, retry_after_s: int | None) -> UpstreamError:
        """See `ports.UpstreamDialect`."""
        return errors.read_error(status, body, retry_after_s)


GEMINI_ON_VERTEX = GeminiOnVertex()
VERTEX_EMBEDDINGS = VertexEmbeddings()
