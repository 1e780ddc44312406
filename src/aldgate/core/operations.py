"""Requests and answers, in no provider's words, of the operations that are not a chat."""

from typing import Any, Literal

from msgspec import Struct

from aldgate.core.conversation import Answer, Conversation
from aldgate.core.usage import Usage


class EmbedRequest(Struct):
    """Texts (or their token ids) to be embedded.

    Attributes:
        origin: The dialect it came in.
        dimensions: Length of each vector, where the model leaves a choice.
        as_base64: The caller reads vectors as base64 of little-endian float32.
        task: What for: `query`, `document`, `similarity`, `classification`, `clustering`; None: not said.
    """

    origin: str
    inputs: list[str] | list[list[int]]
    dimensions: int | None = None
    as_base64: bool = False
    task: Literal["query", "document", "similarity", "classification", "clustering"] | None = None
    user: str | None = None


class Embeddings(Struct):
    """A vector for each input, in order."""

    vectors: list[list[float]]
    usage: Usage | None = None
    model: str = ""


class RerankRequest(Struct):
    """Documents to be put in the order of how well they answer `query`.

    Attributes:
        most: How many to name, best first; None: all.
        wants_documents: The answer should repeat the texts.
        max_tokens_per_doc: Longer documents are cut there; None: the provider's own bound.
        others: The caller's fields that have no place above, by their names in `origin`.
    """

    origin: str
    query: str
    documents: list[str]
    most: int | None = None
    wants_documents: bool = False
    max_tokens_per_doc: int | None = None
    others: dict[str, Any] = {}


class Ranked(Struct):
    """One document's place: `index` in the request, `score` the higher the better (mostly 0 to 1)."""

    index: int
    score: float


class Ranking(Struct):
    """The documents that were asked for, best first."""

    results: list[Ranked]
    usage: Usage | None = None
    id: str = ""
    model: str = ""


class CompletionRequest(Struct):
    """A text to be gone on with, as before there were chats.

    Attributes:
        suffix: What shall follow the answer.
        others: The caller's fields that have no place above, by their names in `origin`.
    """

    origin: str
    prompt: str
    suffix: str | None = None
    max_output_tokens: int | None = None
    others: dict[str, Any] = {}


class ModerationRequest(Struct):
    """Texts, or parts of one message, to be judged.

    Attributes:
        is_list: The caller sent a list.
    """

    origin: str
    inputs: list[str | dict[str, Any]]
    is_list: bool = True


class Moderations(Struct):
    """Verdicts, as the provider words them."""

    raw: dict[str, Any]
    usage: Usage | None = None


Request = Conversation | EmbedRequest | RerankRequest | CompletionRequest | ModerationRequest
Result = Answer | Embeddings | Ranking | Moderations
