"""Bodies of `/v1/responses` as far as every model understands them; what else OpenAI takes passes to providers that speak it.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from aldgate.core.conversation import Effort

JsonObject = dict[str, Any]
ModelName = Annotated[str, Meta(min_length=1)]
Cap = Annotated[int, Meta(ge=1)]
Input = str | list[Any]


class TextFormat(Struct):
    """What the answer must be."""

    type: Literal["text", "json_object", "json_schema"]
    name: str = "answer"
    schema: JsonObject | None = None
    strict: bool | None = None
    description: str | None = None


class TextConfig(Struct):
    """How the answer is to be written."""

    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningConfig(Struct):
    """How much the model should think, and whether its thoughts are wanted."""

    effort: Effort | None = None
    summary: str | None = None
    generate_summary: str | None = None


class ResponseRequest(Struct):
    """Body of `POST /v1/responses`."""

    model: ModelName
    input: Input | None = None
    background: bool | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: Cap | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    reasoning: ReasoningConfig | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: float | None = None
    text: TextConfig | None = None
    tool_choice: str | JsonObject | None = None
    tools: list[JsonObject] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None


class InputTokensRequest(Struct):
    """Body of `POST /v1/responses/input_tokens`."""

    model: ModelName | UnsetType = UNSET
    input: Input | None = None
    previous_response_id: str | None = None


class InputTokens(Struct):
    """How many tokens an input is, by the gate's own estimate."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class CompactionRequest(Struct):
    """Body of `POST /v1/responses/compact`."""

    model: ModelName
    input: Input | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None


class CompactionObject(Struct):
    """A compacted conversation: `output` is the input to go on with."""

    id: str
    object: Literal["response.compaction"]
    created_at: float
    output: list[JsonObject]
    usage: JsonObject


class ResponseObject(Struct):
    """A response."""

    id: str
    object: Literal["response"]
    created_at: float
    model: str
    output: list[JsonObject]
    parallel_tool_calls: bool
    tool_choice: str | JsonObject
    tools: list[JsonObject]
    status: str
    error: JsonObject | None = None
    incomplete_details: JsonObject | None = None
    usage: JsonObject | None = None


class DeletedResponse(Struct):
    """The answer to a deletion."""

    id: str
    object: Literal["response"]
    deleted: bool


class ItemList(Struct):
    """A page of input items."""

    object: Literal["list"]
    data: list[JsonObject]
    first_id: str
    last_id: str
    has_more: bool
