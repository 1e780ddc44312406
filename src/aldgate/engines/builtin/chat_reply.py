"""An answer to a chat on the wire, whole or streamed."""

from collections.abc import Iterator

from msgspec import UNSET, Struct, UnsetType

from aldgate.dialects.openai.types import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChunkChoice,
    CompletionUsage,
    CustomCall,
    CustomCallDelta,
    CustomTool,
    CustomToolCall,
    Delta,
    FinishReason,
    FunctionCall,
    FunctionCallDelta,
    FunctionToolCall,
    Tool,
    ToolCall,
    ToolCallDelta,
)
from aldgate.engines.builtin.chat_answer import Answer
from aldgate.engines.builtin.frames import DONE, encoder, frames
from aldgate.engines.builtin.reply import Piece
from aldgate.engines.builtin.words import split_words

Pending = UnsetType | None
"""The usage field before the usage is told: null where it was asked for, else not there."""


class ChatReply(Struct):
    """One answer for `choices` choices.

    Attributes:
        name: 24 hex digits of the call, from which the reply's and its tool calls' ids are made.
        created: Unix seconds.
        model: The model's full id.
    """

    name: str
    created: int
    model: str
    answer: Answer
    choices: int

    def whole(self) -> Iterator[Piece]:
        """The reply as one piece that takes as long as all words of a choice."""
        choices = [ChatChoice(index, self._message(index), self.answer.finish_reason) for index in range(self.choices)]
        reply = ChatCompletion(f"chatcmpl-{self.name}", self.created, self.model, choices, self._usage())
        return iter(((self.answer.words, encoder.encode(reply)),))

    def stream(self, include_usage: bool) -> Iterator[Piece]:
        """The reply word by word, all choices in step."""
        pending = None if include_usage else UNSET
        yield self._step([self._opening(index) for index in range(self.choices)], pending)
        for word in split_words(self.answer.text):
            yield self._step([self._addition(word)] * self.choices, pending, words=1)
        yield self._step([Delta()] * self.choices, pending, reason=self.answer.finish_reason)
        if include_usage:
            yield frames([self._chunk([], self._usage())])
        yield DONE

    def _step(self, deltas: list[Delta], usage: Pending, *, words: int = 0, reason: FinishReason | None = None) -> Piece:
        return frames([self._chunk([ChunkChoice(*pair, reason)], usage) for pair in enumerate(deltas)], words)

    def _chunk(self, choices: list[ChunkChoice], usage: CompletionUsage | Pending) -> ChatChunk:
        return ChatChunk(f"chatcmpl-{self.name}", self.created, self.model, choices, usage)

    def _usage(self) -> CompletionUsage:
        prompt, completion = self.answer.prompt_words, self.answer.words * self.choices
        return CompletionUsage(prompt, completion, prompt + completion)

    def _message(self, index: int) -> AssistantMessage:
        tool, text = self.answer.tool, self.answer.text
        if tool is None:
            return AssistantMessage(text, annotations=[])
        return AssistantMessage(None, annotations=[], tool_calls=[_tool_call(self._tool_id(index), tool, text)])

    def _opening(self, index: int) -> Delta:
        tool = self.answer.tool
        if tool is None:
            return Delta(role="assistant", content="", refusal=None)
        if isinstance(tool, CustomTool):
            call = ToolCallDelta(0, self._tool_id(index), "custom", custom=CustomCallDelta(tool.custom.name, ""))
        else:
            call = ToolCallDelta(0, self._tool_id(index), "function", FunctionCallDelta(tool.function.name, ""))
        return Delta(role="assistant", content=None, refusal=None, tool_calls=[call])

    def _addition(self, word: str) -> Delta:
        tool = self.answer.tool
        if tool is None:
            return Delta(content=word)
        if isinstance(tool, CustomTool):
            return Delta(tool_calls=[ToolCallDelta(0, custom=CustomCallDelta(input=word))])
        return Delta(tool_calls=[ToolCallDelta(0, function=FunctionCallDelta(arguments=word))])

    def _tool_id(self, choice: int) -> str:
        return f"call_{self.name}{choice}"


def _tool_call(id: str, tool: Tool, text: str) -> ToolCall:
    if isinstance(tool, CustomTool):
        return CustomToolCall(id, CustomCall(tool.custom.name, text))
    return FunctionToolCall(id, FunctionCall(tool.function.name, text))
