"""The shape of Gemini's requests, once their fields are in camel case, as far as other providers can be told of them.

Shapes: https://ai.google.dev/api/generate-content, /caching#Content and /embeddings. proto3 may write an integer as a text.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from aldgate.core.errors import InvalidRequest

T = TypeVar("T")
Object = dict[str, Any]
Integer = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, Meta(ge=-(2**53), le=2**53)]
    | Annotated[str, Meta(pattern=r"^-?[0-9]{1,18}$")]
)


class _Blob(msgspec.Struct, rename="camel"):
    data: str
    mime_type: str | None = None
    display_name: str | None = None


class _File(msgspec.Struct, rename="camel"):
    file_uri: str
    mime_type: str | None = None
    display_name: str | None = None


class _Call(msgspec.Struct):
    name: str
    id: str | None = None
    args: Object | None = None


class _Response(msgspec.Struct):
    name: str
    id: str | None = None
    parts: list[_Part] | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: _Blob | None = None
    file_data: _File | None = None
    function_call: _Call | None = None
    function_response: _Response | None = None


class _Content(msgspec.Struct):
    role: str | None = None
    parts: list[_Part] = []


class _Function(msgspec.Struct, rename="camel"):
    name: str
    description: str | None = None
    parameters: Object | None = None
    parameters_json_schema: Object | None = None


class _Tools(msgspec.Struct, rename="camel"):
    function_declarations: list[_Function] = []


class _Calling(msgspec.Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class _ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: _Calling | None = None


class _Thinking(msgspec.Struct, rename="camel"):
    thinking_level: str | None = None
    thinking_budget: Integer | None = None
    include_thoughts: bool | None = None


class _Config(msgspec.Struct, rename="camel"):
    temperature: float | None = None
    top_p: float | None = None
    top_k: Integer | None = None
    candidate_count: Integer | None = None
    max_output_tokens: Integer | None = None
    stop_sequences: list[str] | None = None
    seed: Integer | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_mime_type: str | None = None
    response_schema: Object | None = None
    response_json_schema: Object | None = None
    response_modalities: list[str] | None = None
    response_logprobs: bool | None = None
    logprobs: Integer | None = None
    thinking_config: _Thinking | None = None


class GenerateShape(msgspec.Struct, rename="camel"):
    """Body of `generateContent`."""

    contents: list[_Content]
    system_instruction: _Content | None = None
    tools: list[_Tools] | None = None
    tool_config: _ToolConfig | None = None
    generation_config: _Config | None = None
    labels: Object | None = None
    service_tier: str | None = None


class _Said(msgspec.Struct):
    text: str


class _Embedded(msgspec.Struct):
    parts: list[_Said]


class EmbedShape(msgspec.Struct, rename="camel"):
    """Body of `embedContent`, and each request of `batchEmbedContents`."""

    content: _Embedded
    task_type: str | None = None
    output_dimensionality: Integer | None = None


def check_shape(asked: object, shape: type[msgspec.Struct]) -> None:
    """See that a request has the shape of its verb.

    Raises:
        InvalidRequest: Names what is wrong, and where.
    """
    try:
        msgspec.convert(asked, shape)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        param = path.rstrip("`").lstrip(".") or None
        raise InvalidRequest(f"{text}{f' (`{param}`)' if param else ''}.", param=param) from None
