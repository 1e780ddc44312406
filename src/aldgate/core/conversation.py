"""A conversation and its answer in no provider's words: what one dialect's request or reply becomes on its way into another's.

Only translated calls pass through here; where caller and provider speak the same dialect, their bytes do. So these types hold
what at least two dialects can say. What only one can is `Opaque`, or stands in `Conversation.others` under its own name.
"""

from typing import Any, Literal

from msgspec import Struct

from aldgate.core.usage import Usage

Role = Literal["system", "user", "assistant", "tool"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class Text(Struct):
    """Plain text. `cache`: keep the prompt up to here for so long (`5m`, `30m`, `1h`)."""

    text: str
    cache: str | None = None


class Refusal(Struct):
    """The model said why it will not answer."""

    text: str


class Media(Struct):
    """An image, sound, film or document: exactly one of `data`, `url` and `file_id` says where it is.

    Attributes:
        media_type: As in `image/png`; None where the caller did not say.
        data: Base64, without a `data:` prefix.
        file_id: A file at the provider of the dialect that the request came in.
        name: File name.
        detail: How closely to look at an image: `low`, `high`, `auto`, `original`.
    """

    kind: Literal["image", "audio", "video", "document"]
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    name: str | None = None
    detail: str | None = None
    cache: str | None = None


class Reasoning(Struct):
    """What a model thought before it spoke.

    Attributes:
        signature: Opaque proof (or the whole thought, encrypted) that the provider wants back with the text.
        redacted: A thought shown to nobody, only to be sent back.
        origin: The dialect that `signature` and `redacted` are written in; for other dialects' providers they mean nothing.
    """

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    origin: str = ""


class ToolCall(Struct):
    """The model calls a tool.

    Attributes:
        arguments: JSON text as the model wrote it, perhaps cut off; of a custom tool, its free text.
        signature: Opaque proof that the provider wants back with the call (Gemini's thought signature).
        origin: The dialect that `signature` is written in.
    """

    id: str
    name: str
    arguments: str = ""
    is_custom: bool = False
    signature: str | None = None
    origin: str = ""


class ToolResult(Struct):
    """What a tool answered. `name` is the tool's, where the caller said it."""

    call_id: str
    parts: list[Text | Media]
    is_error: bool = False
    name: str | None = None
    cache: str | None = None


class Opaque(Struct):
    """What only the dialect `origin` knows. Sent to another dialect it is refused, or named in a warning."""

    origin: str
    kind: str
    raw: dict[str, Any]


Part = Text | Refusal | Media | Reasoning | ToolCall | ToolResult | Opaque


class Message(Struct):
    """One turn. `tool` messages hold only `ToolResult`s, `system` ones only `Text`; ones of a role may follow each other."""

    role: Role
    parts: list[Part]
    name: str | None = None


class Tool(Struct):
    """A tool the model may call.

    Attributes:
        parameters: JSON Schema of the arguments; None: it takes none.
        strict: The arguments must fit the schema exactly.
        is_custom: It takes free text; `grammar` may bind that.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    is_custom: bool = False
    grammar: dict[str, Any] | None = None
    cache: str | None = None


class ToolChoice(Struct):
    """Whether tools may or must be called: `one` means the tool `names[0]`, other modes with names mean only those tools."""

    mode: Literal["auto", "none", "required", "one"]
    names: tuple[str, ...] = ()


class OutputFormat(Struct):
    """The answer must be JSON: any object, or what `schema` accepts."""

    schema: dict[str, Any] | None = None
    name: str = "answer"
    description: str | None = None
    strict: bool | None = None


class Thinking(Struct):
    """How much the model should think.

    Attributes:
        effort: In words; None leaves it to the model.
        budget_tokens: In tokens, as older models want it.
        is_shown: Whether the thoughts are wanted in the answer; None leaves it to the provider.
    """

    effort: Effort | None = None
    budget_tokens: int | None = None
    is_shown: bool | None = None


class Conversation(Struct):
    """A chat request. None and empty mean that the caller did not say.

    Attributes:
        origin: The dialect it came in.
        choices: How many answers are wanted.
        top_logprobs: Log probabilities are wanted, with so many alternatives.
        cache: Keep the whole prompt for so long.
        cache_key: Calls with one key likely share a prompt.
        user: Whoever sits before the caller's application; an opaque id.
        others: The caller's fields that have no place above, by their names in `origin`.
    """

    origin: str
    messages: list[Message]
    tools: list[Tool] = []
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: list[str] = []
    choices: int = 1
    top_logprobs: int | None = None
    output_format: OutputFormat | None = None
    thinking: Thinking | None = None
    verbosity: str | None = None
    service_tier: str | None = None
    cache: str | None = None
    cache_key: str | None = None
    user: str | None = None
    metadata: dict[str, str] = {}
    others: dict[str, Any] = {}


class TokenLogprob(Struct):
    """How likely a token was, and instead of it others.

    Attributes:
        logprob: Natural logarithm of the probability.
        raw: The token's bytes, where the provider told them apart from its text.
        instead: The likeliest tokens in its place, which may be itself.
    """

    token: str
    logprob: float
    raw: list[int] | None = None
    instead: list["TokenLogprob"] = []


class Answer(Struct):
    """A whole answer to a `Conversation`.

    Attributes:
        id: The provider's.
        model: The name the provider answered under.
        finish: `tool_calls` whenever tools were called and nothing was cut off.
        stop_sequence: Which of the caller's stop strings ended it, where the provider says so.
        logprobs: Of its tokens, where they were asked for.
        others: The second answer and those after it, where several were asked for. Usage is the first one's, of all.
    """

    parts: list[Part]
    finish: Finish = "stop"
    usage: Usage | None = None
    id: str = ""
    model: str = ""
    stop_sequence: str | None = None
    logprobs: list[TokenLogprob] = []
    others: list["Answer"] = []
