"""Reads usage out of OpenAI replies, whole or streamed, while their bytes pass through."""

import math
from decimal import Decimal
from typing import Any, cast

import msgspec

from aldgate.core.errors import GatewayError, UpstreamBroken, UpstreamInvalid
from aldgate.core.prices import MILLION
from aldgate.core.tiers import tier_of
from aldgate.core.usage import Usage
from aldgate.dialects.openai.errors import ErrorBody, error_in_reply
from aldgate.dialects.sse import MAX_EVENT_BYTES

_MOST_DOLLARS = 1_000_000
Tokens = int | float | None
"""Some servers count in `12.0`."""


class _InputDetails(msgspec.Struct):
    cached_tokens: Tokens = None
    cache_write_tokens: Tokens = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: Tokens = None


class UsageBody(msgspec.Struct):
    """`usage`, as loosely as servers in the wild write it."""

    prompt_tokens: Tokens = None
    completion_tokens: Tokens = None
    total_tokens: Tokens = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    prompt_cache_hit_tokens: Tokens = None
    """DeepSeek's word (https://api-docs.deepseek.com/guides/kv_cache)."""
    cost: Any = None
    """OpenRouter's bill in dollars; other providers mean other things by it."""
    cost_details: Any = None
    is_byok: Any = None

    def canonical(self, tier: object = None) -> Usage:
        """As the ledger counts, with the service tier that the reply names.

        Where the total says more than its parts, the provider left reasoning out of the output.
        """
        given, made, total = _count(self.prompt_tokens), _count(self.completion_tokens), _count(self.total_tokens)
        if total > given + made:
            made = total - given
        cached = _count(self.prompt_cache_hit_tokens) if self.prompt_cache_hit_tokens else 0
        written = reasoning = 0
        if (details := self.prompt_tokens_details) is not None and (details.cached_tokens or details.cache_write_tokens):
            cached, written = _count(details.cached_tokens) or cached, _count(details.cache_write_tokens)
        if (output := self.completion_tokens_details) is not None and output.reasoning_tokens:
            reasoning = _count(output.reasoning_tokens)
        return Usage(given, made, cached, written, reasoning, tier=tier_of(tier) if tier else "")

    def billed(self, served: str | None) -> Usage:
        """With what the provider says it charged, and the model that it says answered.

        With a key of the operator's own at the provider behind it, OpenRouter's `cost` is its fee alone
        (https://openrouter.ai/docs/use-cases/usage-accounting).
        """
        charged, details = _microusd(self.cost), self.cost_details
        if charged is not None and self.is_byok is True and isinstance(details, dict):
            charged += _microusd(cast("dict[str, Any]", details).get("upstream_inference_cost")) or 0
        return msgspec.structs.replace(self.canonical(), charged_microusd=charged, served=served or "")


def _microusd(dollars: Any) -> int | None:
    """Whole micro-dollars, rounded up; None for what is no sum."""
    if not isinstance(dollars, int | float) or isinstance(dollars, bool) or not 0 <= dollars <= _MOST_DOLLARS:
        return None
    return math.ceil(Decimal(str(dollars)) * MILLION)


def _count(tokens: float | None) -> int:
    """A figure of a provider's; below nothing is nonsense that must not pay anybody's bill."""
    return int(tokens) if tokens and tokens > 0 else 0


class _Reply(msgspec.Struct):
    usage: UsageBody | None = None
    service_tier: Any = None
    error: ErrorBody | str | None = None


class _Served(msgspec.Struct):
    model: Any = None


_served = msgspec.json.Decoder(_Served)
_reply = msgspec.json.Decoder(_Reply)


def read_reply(body: bytes, *, tells_bill: bool = False) -> Usage | None:
    """The usage of a whole reply, None if it reports none. `tells_bill`: with what it charged, and who answered.

    Raises:
        UpstreamInvalid: Not a JSON object.
        UpstreamError: It is an error in the dress of a 200 (https://openrouter.ai/docs/api-reference/errors).
    """
    try:
        reply = _reply.decode(body)
    except msgspec.ValidationError:
        return None if body.lstrip().startswith(b"{") else _not_a_reply()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _not_a_reply()
    if reply.error is not None:
        raise error_in_reply(reply.error)
    if reply.usage is None:
        return None
    return reply.usage.billed(_model_of(body)) if tells_bill else reply.usage.canonical(reply.service_tier)


def _model_of(body: bytes) -> str:
    """The model that a reply or a chunk names."""
    model = _served.decode(body).model
    return model if isinstance(model, str) else ""


def _not_a_reply() -> None:
    raise UpstreamInvalid("The provider's reply is not a JSON object.")


class _Delta(msgspec.Struct):
    content: str | list[Any] | None = None
    tool_calls: list[Any] | None = None
    reasoning_content: str | list[Any] | None = None
    reasoning: str | list[Any] | None = None
    refusal: str | None = None

    def says_something(self) -> bool:
        """True if it carries output."""
        return bool(self.content or self.tool_calls or self.reasoning_content or self.reasoning or self.refusal)


class _WholeChoice(msgspec.Struct):
    message: _Delta | None = None
    text: str | None = None

    def output_bytes(self) -> int:
        """Bytes of what was said."""
        said = self.message or _Delta()
        parts = (said.content, said.tool_calls, said.reasoning_content, said.reasoning, said.refusal, self.text)
        return sum(len(part.encode() if isinstance(part, str) else msgspec.json.encode(part)) for part in parts if part)


class _WholeReply(msgspec.Struct):
    choices: list[_WholeChoice] = []


_whole = msgspec.json.Decoder(_WholeReply)


def count_output(body: bytes) -> int:
    """Output tokens of a whole reply that reports none: about one for four bytes of what it says."""
    try:
        choices = _whole.decode(body).choices
    except msgspec.ValidationError:
        return len(body) // 4
    return -(-sum(choice.output_bytes() for choice in choices) // 4)


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Groq(msgspec.Struct):
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: UsageBody | None = None
    error: ErrorBody | str | None = None
    x_groq: _Groq | None = None
    service_tier: Any = None


_chunk = msgspec.json.Decoder(_Chunk)
SHORT = 16
"""Characters of text that are one token, where they come in a chunk of their own; few tokens are longer."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class PassThrough:
    """Implements `ports.Relay` for a provider that speaks as the caller does: reads what a reply cost and whether it ended well.

    Whole events are passed on as the bytes that came. The usage chunk is held back unless the caller asked for it.

    Args:
        tells_bill: The provider says which model answered and what that cost.
    """

    __slots__ = ("_carry", "_is_finished", "_tells_bill", "_wants_usage", "delivered", "failure", "is_done", "usage")

    def __init__(self, *, wants_usage: bool, tells_bill: bool = False) -> None:
        self._wants_usage = wants_usage
        self._tells_bill = tells_bill
        self._carry = b""
        self._is_finished = False
        self.usage: Usage | None = None
        self.delivered = 0
        """Chunks passed on that carried output: a token each; of longer ones, one for four characters."""
        self.is_done = False
        """`[DONE]` has come."""
        self.failure: GatewayError | None = None
        """The error that followed the events returned last; to be raised once they are passed on."""

    def whole(self, body: bytes) -> bytes:
        """See `ports.Relay`: the very bytes."""
        self.usage = read_reply(body, tells_bill=self._tells_bill)
        if self.usage is None:
            self.delivered = count_output(body)
        return body

    def feed(self, piece: bytes) -> bytes:
        """Take a piece as the wire gave it; return the events to pass on.

        How the wire cut the stream decides nothing: an error behind good events of the same piece is left in `failure`.

        Raises:
            UpstreamError: The provider reported an error in the stream, or sent something that is no chunk.
        """
        if not self._carry and not self.is_done and _is_one_event(piece):
            return piece if self._keep(piece[6:-2]) else b""
        data = self._carry + piece if self._carry else piece
        end = _last_event_end(data)
        self._carry = data[end:]
        if len(self._carry) > MAX_EVENT_BYTES:
            raise UpstreamInvalid("The provider sent an event that does not end.")
        if not end:
            return b""
        events = data if end == len(data) else data[:end]
        return self._sift(events)

    def _sift(self, events: bytes) -> bytes:
        if self.is_done:
            return b""
        if _is_one_event(events):
            return events if self._keep(events[6:-2]) else b""
        return self._sift_many(events)

    def _sift_many(self, events: bytes) -> bytes:
        kept: list[bytes] = []
        dropped = False
        for event in events.replace(b"\r\n", b"\n").split(b"\n\n"):
            if not event or self.is_done:
                continue
            lines = event.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
            payload = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
            try:
                if payload and not self._keep(payload):
                    dropped = True
                    continue
            except GatewayError as error:
                if not (kept and self.delivered):
                    raise  # nothing was said yet that would be worth passing on
                self.failure = error
                break
            kept.append(event)
        is_whole = not (dropped or self.is_done or self.failure)
        return events if is_whole else b"".join(event + b"\n\n" for event in kept)

    def _keep(self, payload: bytes) -> bool:
        if payload == b"[DONE]":
            self.is_done = True
            return True
        try:
            chunk = _chunk.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if isinstance(error, msgspec.ValidationError) and payload.startswith(b"{"):
                self.delivered += 1  # an object, but an odd one: whoever asked for it may know what it means
                return True
            raise UpstreamInvalid("The provider sent an event that is not a chunk of a completion.") from None
        if chunk.error is not None:
            raise error_in_reply(chunk.error)
        usage, groq = chunk.usage, chunk.x_groq
        if groq is not None:
            if groq.error is not None:
                raise error_in_reply(groq.error)
            usage = usage or groq.usage
        is_openais = self._count(chunk)
        if usage is None:
            return is_openais
        self.usage = usage.billed(_model_of(payload)) if self._tells_bill else usage.canonical(chunk.service_tier)
        return is_openais if chunk.choices else self._wants_usage

    def _count(self, chunk: _Chunk) -> bool:
        """Count what is said. False for what only Azure's content filter says: no choice at all, or one without a delta.

        Clients of OpenAI's API expect neither (https://learn.microsoft.com/azure/foundry/openai/concepts/content-streaming).
        """
        is_openais = chunk.choices is None
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self._is_finished = is_openais = True
            said = choice.text or (choice.delta is not None and choice.delta.content)
            if said or (choice.delta is not None and choice.delta.says_something()):
                self.delivered += 1 if not said or len(said) <= SHORT else len(said) // 4
                is_openais = True
            elif choice.delta is not None or choice.text is not None:
                is_openais = True
        return is_openais

    def end(self) -> bytes:
        """The upstream's body is over. Returns what is still owed to the caller.

        Raises:
            UpstreamBroken: It ended without `[DONE]` and before any choice was finished.
        """
        if self.is_done:
            return b""
        owed = b""
        if self._carry.strip():
            owed, self._carry = self._sift(self._carry + b"\n\n"), b""
            if self.failure is not None:
                raise self.failure
        if self.is_done:
            return owed
        if not self._is_finished:
            raise UpstreamBroken("The provider's stream ended before the answer did.")
        self.is_done = True
        return owed + b"data: [DONE]\n\n"


def _is_one_event(data: bytes) -> bool:
    """The commonest piece by far: a single event in a single line."""
    return data.endswith(b"\n\n") and data.startswith(b"data: ") and data.find(b"\n") == len(data) - 2


def _last_event_end(data: bytes) -> int:
    if data.endswith(b"\n\n"):
        return len(data)
    return max(data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0, data.rfind(b"\n\r\n") + 3 if b"\n\r\n" in data else 0)
