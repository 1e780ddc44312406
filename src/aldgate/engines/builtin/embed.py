"""`builtin/embed`: lexical vectors in OpenAI's wire format."""

import asyncio
import base64
import struct
from itertools import islice
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from aldgate.core.calls import Attempt
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.openai.types import Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage
from aldgate.engines.builtin.frames import encoder
from aldgate.engines.builtin.inputs import texts_of
from aldgate.engines.builtin.lexical import WIDTH, add_tokens, tokens, unit_vector
from aldgate.engines.builtin.pause import Later, Pause, call_later
from aldgate.engines.builtin.reply import JSON, Reply
from aldgate.engines.builtin.request import decode
from aldgate.engines.builtin.words import count_words

_request = msgspec.json.Decoder(EmbeddingRequest)
_STEP = 1000
"""Most words between two turns of the event loop, so that neither a long text nor many short ones hold it up."""


class EmbedOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast embedding is, so that it can stand in for a model in a load test. Milliseconds; 0 is at once."""

    first_byte_ms: Annotated[float, Meta(ge=0)] = 0
    """Until the reply."""


class Embed:
    """The embedder.

    Args:
        options: Its pace.
        later: Where waiting comes from.
    """

    def __init__(self, options: EmbedOptions, *, later: Later = call_later) -> None:
        self._first_byte_s = options.first_byte_ms / 1000
        self._later = later

    async def start(self, attempt: Attempt) -> Reply:
        """Embed texts.

        Raises:
            InvalidRequest: The body is not such a request, or an input is empty.
        """
        request = decode(_request, attempt.body)
        texts, dimensions = texts_of(request.input, "input"), request.dimensions or WIDTH
        if "" in texts:
            raise InvalidRequest("`input` cannot be an empty string.", param="input")
        if dimensions > WIDTH:
            raise InvalidRequest(f"`dimensions` may be at most {WIDTH}.", param="dimensions")
        if self._first_byte_s:
            await Pause(self._later).wait(self._first_byte_s)
        vectors = [await lexical_vector(text, dimensions) for text in texts]
        data = [Embedding(index, _written(vector, request.encoding_format)) for index, vector in enumerate(vectors)]
        used = sum(count_words(text) for text in texts)
        body = encoder.encode(EmbeddingList(data, attempt.deployment.id, EmbeddingUsage(used, used)))
        return Reply(iter(((0, body),)), JSON)


async def lexical_vector(text: str, dimensions: int) -> list[float]:
    """The vector of a text, made in steps that let others have their turn."""
    sums = [0] * WIDTH
    words = tokens(text)
    while step := list(islice(words, _STEP)):
        add_tokens(step, sums)
        await asyncio.sleep(0)
    return unit_vector(sums, dimensions)


def _written(vector: list[float], encoding: str | None) -> list[float] | str:
    packed = struct.pack(f"<{len(vector)}f", *vector)
    if encoding == "base64":
        return base64.b64encode(packed).decode()
    # Both encodings say the same numbers: those that fit in 32 bits.
    return list(struct.unpack(f"<{len(vector)}f", packed))
