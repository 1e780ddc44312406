"""The OpenAI wire format as types: chat completions, legacy completions, embeddings, models and errors.

Unknown fields are allowed everywhere, so that a newer client's request still decodes. Where OpenAI takes several array
shapes (which msgspec cannot tell apart) the field is one array of the union of their items; whoever decodes checks that the
items are of one kind. `object` and an answer's `role` are tags, so that they come first on the wire and are always right.
Shapes: https://platform.openai.com/docs/api-reference
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

JsonObject = dict[str, Any]

Count = Annotated[int, Meta(ge=1)]
Choices = Annotated[int, Meta(ge=1, le=128)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
Temperature = Annotated[float, Meta(ge=0, le=2)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Stop = str | Annotated[list[str], Meta(max_length=4)]
Prompt = str | Annotated[list[str | int | list[int]], Meta(min_length=1, description="Strings, one token list, or token lists")]
EmbeddingInput = (
    str
    | Annotated[
        list[str | int | list[int]],
        Meta(min_length=1, max_length=2048, description="Strings, one token list, or token lists"),
    ]
)

# Requests -------------------------------------------------------------------------------------------------------------


class ImageUrl(Struct):
    """An image by address: https, or a data URL."""

    url: str
    detail: str | None = None


class InputAudio(Struct):
    """Base64 audio."""

    data: str
    format: str


class InputFile(Struct):
    """A file by id or as a data URL."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class ContentPart(Struct):
    """One part of a message: `type` names the field that holds it. Other types are let through."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | None = None
    input_audio: InputAudio | None = None
    file: InputFile | None = None


class FunctionCall(Struct):
    """A function's name, and its arguments as JSON text."""

    name: str
    arguments: str


class CustomCall(Struct):
    """A custom tool's name, and its free-text input."""

    name: str
    input: str


class FunctionToolCall(Struct, tag_field="type", tag="function"):
    """A call of a function tool."""

    id: str
    function: FunctionCall


class CustomToolCall(Struct, tag_field="type", tag="custom"):
    """A call of a custom tool."""

    id: str
    custom: CustomCall


ToolCall = FunctionToolCall | CustomToolCall


class ChatMessage(Struct):
    """One message of a conversation."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None


class FunctionDefinition(Struct):
    """A function the model may call; `parameters` is a JSON Schema."""

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class CustomDefinition(Struct):
    """A tool that takes free text."""

    name: str
    description: str | None = None
    format: JsonObject | None = None


class FunctionTool(Struct, tag_field="type", tag="function"):
    """A function offered as a tool."""

    function: FunctionDefinition


class CustomTool(Struct, tag_field="type", tag="custom"):
    """A free-text tool."""

    custom: CustomDefinition


Tool = FunctionTool | CustomTool


class ToolName(Struct):
    """Which tool is meant."""

    name: str


class FunctionChoice(Struct, tag_field="type", tag="function"):
    """Call this function."""

    function: ToolName


class CustomChoice(Struct, tag_field="type", tag="custom"):
    """Call this custom tool."""

    custom: ToolName


class AllowedTools(Struct):
    """A subset of the tools, each named as in a `tool_choice`."""

    mode: Literal["auto", "required"]
    tools: list[FunctionChoice | CustomChoice]


class AllowedToolsChoice(Struct, tag_field="type", tag="allowed_tools"):
    """Call only these tools."""

    allowed_tools: AllowedTools


ToolChoice = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice


class TextFormat(Struct, tag_field="type", tag="text"):
    """Answer in plain text."""


class JsonObjectFormat(Struct, tag_field="type", tag="json_object"):
    """Answer with some JSON object."""


class NamedSchema(Struct):
    """A JSON Schema with a name."""

    name: str
    schema: JsonObject | None = None
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Struct, tag_field="type", tag="json_schema"):
    """Answer with JSON that the schema accepts."""

    json_schema: NamedSchema


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat


class StreamOptions(Struct):
    """What a stream carries besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Struct):
    """Body of `POST /v1/chat/completions`."""

    model: str
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    audio: JsonObject | None = None
    frequency_penalty: Penalty | None = None
    function_call: Literal["none", "auto"] | ToolName | None = None
    functions: list[FunctionDefinition] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Count | None = None
    max_tokens: Count | None = None
    metadata: dict[str, str] | None = None
    modalities: list[str] | None = None
    n: Choices | None = None
    parallel_tool_calls: bool | None = None
    prediction: JsonObject | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JsonObject | None = None
    reasoning_effort: str | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: Stop | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    tool_choice: ToolChoice | None = None
    tools: list[Tool] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Probability | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: JsonObject | None = None


class CompletionRequest(Struct):
    """Body of `POST /v1/completions`."""

    model: str
    prompt: Prompt
    best_of: int | None = None
    echo: bool | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: int | None = None
    max_tokens: Count | None = None
    n: Choices | None = None
    presence_penalty: Penalty | None = None
    seed: int | None = None
    stop: Stop | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    user: str | None = None


class EmbeddingRequest(Struct):
    """Body of `POST /v1/embeddings`."""

    model: str
    input: EmbeddingInput
    dimensions: Count | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


# Replies --------------------------------------------------------------------------------------------------------------

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptTokensDetails(Struct, frozen=True):
    """Parts of the prompt tokens."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(Struct, frozen=True):
    """Parts of the completion tokens."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(Struct, frozen=True):
    """What a completion used, in tokens; the details are parts of the totals."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = PromptTokensDetails()
    completion_tokens_details: CompletionTokensDetails = CompletionTokensDetails()


class AssistantMessage(Struct, tag_field="role", tag="assistant"):
    """What the model answered."""

    content: str | None
    refusal: str | None = None
    annotations: list[JsonObject] | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class ChatChoice(Struct):
    """One of the answers."""

    index: int
    message: AssistantMessage
    finish_reason: FinishReason
    logprobs: JsonObject | None = None


class ChatCompletion(Struct, tag_field="object", tag="chat.completion"):
    """Reply of `POST /v1/chat/completions`. `created` in Unix seconds."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage | UnsetType = UNSET
    service_tier: str | None | UnsetType = UNSET
    system_fingerprint: str | None | UnsetType = UNSET


class FunctionCallDelta(Struct):
    """A piece of a function call: the name once, then the arguments in fragments that parse only when joined."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomCallDelta(Struct):
    """A piece of a custom tool's call."""

    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class ToolCallDelta(Struct):
    """A piece of the tool call at `index`; `id` and `type` come once."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionCallDelta | UnsetType = UNSET
    custom: CustomCallDelta | UnsetType = UNSET


class Delta(Struct):
    """What a chunk adds to a choice."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | None | UnsetType = UNSET
    refusal: str | None | UnsetType = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET


class ChunkChoice(Struct):
    """One choice's part of a chunk."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: JsonObject | None = None


class ChatChunk(Struct, tag_field="object", tag="chat.completion.chunk"):
    """One event of a streamed chat. `usage` is null until the last chunk, and there at all only when asked for."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None | UnsetType = UNSET
    service_tier: str | None | UnsetType = UNSET
    system_fingerprint: str | None | UnsetType = UNSET


class CompletionChoice(Struct):
    """One of the texts; in a stream, a piece of it, with the reason in the last."""

    index: int
    text: str
    finish_reason: FinishReason | None
    logprobs: JsonObject | None = None


class Completion(Struct, tag_field="object", tag="text_completion"):
    """Reply of `POST /v1/completions`, and each event of its stream."""

    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: CompletionUsage | None | UnsetType = UNSET
    system_fingerprint: str | None | UnsetType = UNSET


class EmbeddingUsage(Struct):
    """What an embedding used, in tokens."""

    prompt_tokens: int
    total_tokens: int


class Embedding(Struct, tag_field="object", tag="embedding"):
    """One vector: numbers, or base64 of little-endian float32."""

    index: int
    embedding: list[float] | str


class EmbeddingList(Struct, tag_field="object", tag="list"):
    """Reply of `POST /v1/embeddings`."""

    data: list[Embedding]
    model: str
    usage: EmbeddingUsage


class Model(Struct, tag_field="object", tag="model"):
    """One entry of `GET /v1/models`. `created` in Unix seconds."""

    id: str
    created: int
    owned_by: str


class ModelList(Struct, tag_field="object", tag="list"):
    """Reply of `GET /v1/models`."""

    data: list[Model]


class ErrorDetail(Struct):
    """What went wrong; `code` is text, never a number."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(Struct):
    """Body of every error."""

    error: ErrorDetail


class ModerationRequest(Struct):
    """Body of `POST /v1/moderations`; without a `model`, the alias `moderation` or the first model that moderates answers."""

    input: str | list[Any]
    model: str | None = None
