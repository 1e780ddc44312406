"""Events as a stream of `/api/chat` or `/api/generate` (https://docs.ollama.com/api/streaming)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from aldgate.core.conversation import Finish, Media, TokenLogprob, ToolCall
from aldgate.core.errors import UpstreamInvalid
from aldgate.core.events import (
    ArgumentsDelta,
    Event,
    Finished,
    LogprobsGiven,
    PartGiven,
    ReasoningDelta,
    RefusalDelta,
    Started,
    TextDelta,
    ToolCallStarted,
    UsageReported,
)
from aldgate.core.usage import Usage
from aldgate.dialects.ollama.answers import call_of, done_reason, instant, timings
from aldgate.dialects.omitted import omitted
from aldgate.dialects.openai.logprobs import content_of

Object = dict[str, Any]
Now = Callable[[], int]

_encode = msgspec.json.Encoder().encode


class ChatEncoder:
    """Implements `ports.Encoder` for `/api/chat`. Calls are held back until they are whole: their arguments are objects here.

    Args:
        model: The name the caller used.
        now_ns: Unix nanoseconds.
    """

    def __init__(self, model: str, now_ns: Now) -> None:
        self._now_ns = now_ns
        self._began_ns = now_ns()
        self._spoke_ns: int | None = None
        self._model = _encode(model)
        self._calls: dict[int, ToolCall] = {}
        self._arguments: defaultdict[int, list[str]] = defaultdict(list)
        self._usage: Usage | None = None
        self._tokens: list[TokenLogprob] = []
        self._finish: Finish = "stop"

    def feed(self, events: Sequence[Event]) -> bytes:
        """See `ports.Encoder`.

        Raises:
            UpstreamInvalid: A call's arguments are not a JSON object.
        """
        return b"".join(self._line(event) for event in events)

    def end(self) -> bytes:
        """See `ports.Encoder`."""
        ended_ns = self._now_ns()
        spoke_ns = ended_ns if self._spoke_ns is None else self._spoke_ns
        last: Object = {**self._said(), **self._logprobs(), "done": True, "done_reason": done_reason(self._finish)}
        last |= timings(self._usage, self._began_ns, spoke_ns, ended_ns)
        return self._head(ended_ns) + _encode(last)[1:] + b"\n"

    def _line(self, event: Event) -> bytes:
        match event:
            case TextDelta() | RefusalDelta():
                return self._told(self._said(event.text))
            case ReasoningDelta():
                return self._told(self._said(thinking=event.text)) if event.text else b""
            case ToolCallStarted():
                self._calls[event.index] = ToolCall(event.id, event.name)
            case ArgumentsDelta():
                self._arguments[event.index].append(event.text)
            case PartGiven(part=Media(kind="image", data=str(data))):
                return self._told(self._said(images=[data]))
            case PartGiven():
                return self._told(self._said(omitted(event.part)))
            case LogprobsGiven():
                self._tokens += event.tokens
            case UsageReported():
                self._usage = event.usage
            case Started():
                self._usage = event.usage or self._usage
            case Finished():
                self._finish = event.reason
                return self._told(self._said(tool_calls=calls)) if (calls := self._whole_calls()) else b""
            case _:
                pass
        return b""

    def _whole_calls(self) -> list[Object]:
        whole: list[Object] = []
        for index, call in sorted(self._calls.items()):
            call.arguments = "".join(self._arguments[index])
            try:
                whole.append(call_of(len(whole), call))
            except UpstreamInvalid:
                if self._finish != "length" or index != max(self._calls):
                    raise  # else it was cut off, as `done_reason` says
        return whole

    def _said(self, text: str = "", **more: Any) -> Object:
        return {"message": {"role": "assistant", "content": text, **more}}

    def _told(self, said: Object) -> bytes:
        now_ns = self._now_ns()
        if self._spoke_ns is None:
            self._spoke_ns = now_ns
        return self._head(now_ns) + _encode({**said, **self._logprobs()})[1:-1] + b',"done":false}\n'

    def _logprobs(self) -> Object:
        tokens, self._tokens = self._tokens, []
        return {"logprobs": content_of(tokens)} if tokens else {}

    def _head(self, now_ns: int) -> bytes:
        return b'{"model":%b,"created_at":"%b",' % (self._model, instant(now_ns).encode())


class GenerateEncoder(ChatEncoder):
    """The same for `/api/generate`, which has no messages and no calls."""

    def _said(self, text: str = "", **more: Any) -> Object:
        return {"response": text, **more}
