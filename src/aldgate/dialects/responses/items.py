"""Input items of a Responses request, folded into messages.

One turn of the assistant is several items here (thoughts, text, each call) and one message anywhere else.
Items: https://platform.openai.com/docs/api-reference/responses/create (input)
"""

from __future__ import annotations

from typing import Any, cast

from aldgate.core.conversation import Media, Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.responses.content import pieces_of
from aldgate.dialects.responses.sealed import recalled, summary_in, unseal
from aldgate.dialects.responses.tools import flat_name, wrapped

Object = dict[str, Any]

_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_UNSAYABLE = frozenset({"compaction", "compaction_summary", "context_compaction", "compaction_trigger", "item_reference"})
"""Items that stand for text which only the provider that wrote them holds: without them the conversation is another one."""


class Folded:
    """Messages of a request, as they grow item by item.

    Attributes:
        messages: So far.
        left_out: Records of tools that OpenAI's servers ran, as `input.TYPE`; the answer's text tells what they found.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.left_out: list[str] = []
        self._names: dict[str, str] = {}
        self._proofs: dict[str, tuple[str, str]] = {}
        """Signature and origin by the id of the call that they belong to."""

    def add(self, item: object, index: int) -> None:
        """Take the next item.

        Raises:
            InvalidRequest: It lacks something, or only OpenAI knows what it means.
        """
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise InvalidRequest(f"`{where}` must be an object.", param=where)
        given = cast(Object, item)
        kind = _text(given, "type", where) if given.get("type") else "message"
        if kind == "compaction" and (summary := summary_in(_text(given, "encrypted_content", where))) is not None:
            return self._say("user", [Text(recalled(summary))])
        if kind in _UNSAYABLE:
            raise InvalidRequest(f"`{where}`: this model cannot follow an item of type `{kind}`.", param=where)
        match kind:
            case "message":
                self._message(given, where)
            case "function_call":
                self._called(given, where, _text(given, "arguments", where))
            case "custom_tool_call":
                self._called(given, where, wrapped(_text(given, "input", where)))
            case "function_call_output" | "custom_tool_call_output":
                self._output(given, where)
            case "reasoning":
                self._thought(given, where)
            case "additional_tools":
                pass  # see `tools.added_by`
            case _:
                self.left_out.append(f"input.{kind}")

    def _message(self, item: Object, where: str) -> None:
        role = _ROLES.get(_text(item, "role", where))
        if role is None:
            raise InvalidRequest(f"`{where}.role` is not one that messages have.", param=f"{where}.role")
        parts: list[Part] = [*pieces_of(item.get("content"), f"{where}.content")]
        if role == "system" and not all(isinstance(part, Text) for part in parts):
            raise InvalidRequest(f"`{where}`: a `{item['role']}` message can only be text.", param=f"{where}.content")
        if parts:
            self._say(role, parts)

    def _say(self, role: Role, parts: list[Part]) -> None:
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == role and role in ("assistant", "tool"):
            last.parts += parts
        else:
            self.messages.append(Message(role, parts))

    def _called(self, item: Object, where: str, arguments: str) -> None:
        call_id = _text(item, "call_id", where)
        name = flat_name(_text(item, "name", where), item.get("namespace"))
        self._names[call_id] = name
        signature, origin = self._proofs.get(call_id, (None, ""))
        self._say("assistant", [ToolCall(call_id, name, arguments, False, signature, origin)])

    def _output(self, item: Object, where: str) -> None:
        call_id = _text(item, "call_id", where)
        pieces = pieces_of(item.get("output"), f"{where}.output")
        parts = [piece for piece in pieces if isinstance(piece, Text | Media)]
        self._say("tool", [ToolResult(call_id, parts or [Text("")], name=self._names.get(call_id))])

    def _thought(self, item: Object, where: str) -> None:
        said = pieces_of(item.get("content"), f"{where}.content") or pieces_of(item.get("summary"), f"{where}.summary")
        text = "\n\n".join(piece.text for piece in said if isinstance(piece, Text))
        proof = unseal(_text(item, "encrypted_content", where)) if item.get("encrypted_content") else None
        if proof is not None and proof.call is not None:
            self._proofs[proof.call] = (proof.signature or "", proof.origin)
        elif proof is not None:
            self._say("assistant", [Reasoning(text, proof.signature, proof.redacted, proof.origin)])
        elif text:
            self._say("assistant", [Reasoning(text)])


def _text(item: Object, field: str, where: str) -> str:
    value = item.get(field)
    if not isinstance(value, str):
        raise InvalidRequest(f"`{where}` needs a string `{field}`.", param=f"{where}.{field}")
    return value
