"""A conversation's turns as Converse wants them: only users and assistants, taking turns, without empty blocks.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
"""

import hashlib
import re
from typing import Any

from aldgate.core.conversation import Media, Message, Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.converse.media import media_block
from aldgate.dialects.converse.tools import CACHE_POINT, arguments, cache_point

Block = dict[str, Any]

SIGNED_BY = frozenset({"anthropic", "converse"})
"""Whose signatures Claude takes back: they are the same on Anthropic's own API and here
(https://docs.claude.com/en/docs/build-with-claude/extended-thinking)."""
_CALL_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_NOTHING = "(no output)"


class Turns:
    """Collects the turns of one request.

    Attributes:
        system: The instructions that come before any turn.
        messages: The turns.
        has_cache_hints: Somebody wanted part of the prompt kept, and this model cannot.
    """

    def __init__(self, param: str, *, caches: bool) -> None:
        self.system: list[Block] = []
        self.messages: list[Block] = []
        self.has_cache_hints = False
        self._param = param
        self._caches = caches
        self._documents: set[str] = set()

    def add(self, message: Message) -> None:
        """Take the next message.

        Raises:
            InvalidRequest: It holds what Converse has no block for.
        """
        if message.role == "system" and not self.messages:
            for part in message.parts:
                self._say(self.system, part)
            return
        role = "assistant" if message.role == "assistant" else "user"
        blocks: list[Block] = []
        for part in message.parts:
            self._say(blocks, part)
        if message.role == "system":  # in the middle there are only users, so it is marked
            for block in blocks:
                if "text" in block:
                    block["text"] = f"<system>\n{block['text']}\n</system>"
        if not blocks:
            return
        if self.messages and self.messages[-1]["role"] == role:
            self.messages[-1]["content"] += blocks
        else:
            self.messages.append({"role": role, "content": blocks})

    def finish(self) -> None:
        """Put in order what only the whole conversation shows."""
        if not self.messages and self.system:  # somebody must ask: the last instruction does
            last = next(place for place in reversed(range(len(self.system))) if "text" in self.system[place])
            self.messages.append({"role": "user", "content": self.system[last:]})
            del self.system[last:]
        for message in self.messages:
            blocks = message["content"]
            if not _results_lead(blocks):
                blocks.sort(key=_follows_results)
            if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
                blocks.append({"text": "(see the document)"})  # a document alone is refused
        last = self.messages[-1] if self.messages else None
        if last and last["role"] == "assistant" and "text" in last["content"][-1]:
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()  # an answer begun may not end in white space

    def keep_all(self, ttl: str) -> None:
        """Ask for the whole prompt to be kept."""
        if self.messages:
            self._keep(self.messages[-1]["content"], ttl)

    def _keep(self, blocks: list[Block], ttl: str | None) -> None:
        if ttl is None:
            return
        if not self._caches:
            self.has_cache_hints = True
        elif blocks:
            blocks.append(cache_point(ttl))

    def _say(self, blocks: list[Block], part: Part) -> None:
        match part:
            case Text() | Refusal():
                if part.text.strip():  # an empty block is refused
                    blocks.append({"text": part.text})
                if isinstance(part, Text):
                    self._keep(blocks, part.cache)
            case Media():
                blocks.append(media_block(part, self._param, self._documents))
                self._keep(blocks, part.cache)
            case Reasoning():
                blocks += _thought(part)
            case ToolCall():
                call = {"toolUseId": call_id(part.id), "name": part.name, "input": arguments(part)}
                blocks.append({"toolUse": call})
            case ToolResult():
                content: list[Block] = []
                for each in part.parts:
                    self._say_in_result(content, each)
                points = [each for each in content if CACHE_POINT in each]  # they stand between blocks, not within a result
                blocks.append({"toolResult": _result(part, [each for each in content if CACHE_POINT not in each])})
                blocks += points[:1]
                self._keep(blocks, None if points else part.cache)
            case Opaque(origin="converse"):
                blocks.append(part.raw)
            case Opaque():
                raise InvalidRequest(f"This model cannot be sent a `{part.kind}` part.", param=self._param)

    def _say_in_result(self, content: list[Block], part: Text | Media) -> None:
        if isinstance(part, Media) and part.kind == "audio":
            raise InvalidRequest("This model takes no sound as the result of a tool.", param=self._param)
        self._say(content, part)


def _thought(thought: Reasoning) -> list[Block]:
    """The thought to be sent back. One without a valid signature is refused, so it is left out: models think anew anyway."""
    if thought.origin not in SIGNED_BY:
        return []
    if thought.redacted is not None:
        return [{"reasoningContent": {"redactedContent": thought.redacted}}]
    if thought.signature is None:
        return []
    return [{"reasoningContent": {"reasoningText": {"text": thought.text, "signature": thought.signature}}}]


def _result(result: ToolResult, content: list[Block]) -> Block:
    said: Block = {"toolUseId": call_id(result.call_id), "content": content or [{"text": _NOTHING}]}
    if result.is_error:
        said["status"] = "error"
    return said


def _follows_results(block: Block) -> bool:
    return "toolResult" not in block


def _results_lead(blocks: list[Block]) -> bool:
    """Whether nothing is said before the results of tools that a turn brings."""
    others = False
    for block in blocks:
        if "toolResult" in block and others:
            return False
        others = others or not ("toolResult" in block or CACHE_POINT in block)
    return True


def call_id(given: str) -> str:
    """A call's id in the letters and length that Converse takes; always the same for the same id."""
    if _CALL_ID.match(given):
        return given
    return "call_" + hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()[:32]
