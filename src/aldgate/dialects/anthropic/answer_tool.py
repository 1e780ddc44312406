"""Answers by a schema from models that take none: the one tool that they are made to call has it, and its input is the answer.

Models before 4.5 have no `output_config.format`; the way round is Anthropic's own
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use#json-output).
"""

from __future__ import annotations

from typing import Any

from aldgate.core.conversation import Conversation
from aldgate.core.errors import InvalidRequest
from aldgate.dialects.anthropic.carried import ORIGIN
from aldgate.dialects.anthropic.families import Family

Object = dict[str, Any]

NAME = "aldgate_answer"
"""No caller's tool is called so: where replies are read, a call of it is the answer."""
_USE = "Gives the final answer. Call this once, with the whole answer, instead of writing it."


def is_needed(asked: Conversation, family: Family) -> bool:
    """Whether the answer has to come through the tool. Who has to call a tool of the caller's gives no answer yet.

    Raises:
        InvalidRequest: No input of a tool can be of that schema, or the caller reads the model's own words.
    """
    wanted = asked.output_format
    if wanted is None or wanted.schema is None or family.takes_schema:
        return False
    is_object = wanted.schema.get("type") == "object" or "properties" in wanted.schema
    if asked.origin == ORIGIN or not is_object:
        raise InvalidRequest("This model cannot be held to such a schema; ask for JSON in words.", param="response_format")
    return asked.tool_choice is None or asked.tool_choice.mode in ("auto", "none")


def add(body: Object, asked: Conversation) -> None:
    """Put the tool beside the caller's own; the model has to call it, or one of those where it may."""
    wanted, choice = asked.output_format, asked.tool_choice
    assert wanted is not None and wanted.schema is not None
    tools: list[Object] = body.setdefault("tools", [])
    may_call = bool(tools) and (choice is None or choice.mode != "none")
    described = f"{_USE} {wanted.description}" if wanted.description else _USE
    tools.append({"name": NAME, "description": described, "input_schema": {"type": "object", **wanted.schema}})
    if not may_call:
        body["tool_choice"] = {"type": "tool", "name": NAME, "disable_parallel_tool_use": True}
        return
    body["tool_choice"] = {**body.get("tool_choice", {}), "type": "any"}
