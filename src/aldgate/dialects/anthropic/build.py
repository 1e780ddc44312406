"""Neutral requests as Messages bodies, for Claude and whatever else speaks its form.

Wire: https://platform.claude.com/docs/en/api/messages. What the model behind a name takes is told by `families`.
"""

from __future__ import annotations

from typing import Any

from aldgate.core.conversation import Conversation, Tool
from aldgate.core.errors import InvalidRequest
from aldgate.core.routes import Deployment
from aldgate.dialects.anthropic import answer_tool
from aldgate.dialects.anthropic.carried import ORIGIN
from aldgate.dialects.anthropic.families import Family, family_of
from aldgate.dialects.anthropic.schemas import answer_schema, input_schema
from aldgate.dialects.anthropic.thinking import set_thinking
from aldgate.dialects.anthropic.turns import cache_control, marked, write_turns
from aldgate.dialects.unsayable import names

Object = dict[str, Any]

JSON_WANTED = "Answer with one JSON object and nothing else."
"""Added to the instructions for `json_object`, which the API has no field for."""
HOTTEST = 1.0
"""OpenAI's scale goes on to 2; what is hotter is as hot as it gets here."""
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_SAMPLING = ("temperature", "top_p", "top_k")


def build(asked: Conversation, deployment: Deployment, *, stream: bool, warnings: list[str]) -> Object:
    """Body of `POST /v1/messages`; `warnings` takes the names of what was left out.

    Raises:
        InvalidRequest: It asks for what the API cannot do; `param` is the field.
    """
    _refuse(asked)
    family = family_of(deployment.model)
    body: Object = {"model": deployment.model}
    by_tool = answer_tool.is_needed(asked, family)
    set_thinking(body, asked, family, deployment.facts.max_output, warnings, is_forced=by_tool)
    system, turns = write_turns(asked.messages, takes_system=family.takes_system_turns, origin=asked.origin, warnings=warnings)
    if asked.output_format is not None and (family.takes_schema or asked.output_format.schema is None):
        _set_format(body, asked, system, warnings)
    if not turns:  # OpenAI answers to instructions alone, here somebody has to speak
        if not system:
            raise InvalidRequest("The messages say nothing.", param="messages")
        system, turns = [], [{"role": "user", "content": system}]
    if system:
        body["system"] = system
    body["messages"] = turns
    if asked.tools:
        _set_tools(body, asked, family)
    if by_tool:
        answer_tool.add(body, asked)
    _set_sampling(body, asked, family, warnings)
    _set_rest(body, asked, warnings)
    if stream:
        body["stream"] = True
    return body


def _refuse(asked: Conversation) -> None:
    if asked.choices > 1:
        raise InvalidRequest("Claude models give one answer at a time.", param="n")
    if asked.top_logprobs is not None:
        raise InvalidRequest("Claude models tell no log probabilities.", param="logprobs")
    if any(tool.name == answer_tool.NAME for tool in asked.tools):
        raise InvalidRequest(f"No tool can be called `{answer_tool.NAME}`: answers by a schema come through one.", param="tools")
    if any(tool.is_custom for tool in asked.tools):
        raise InvalidRequest("Claude models have no custom tools; describe the arguments by a schema.", param="tools")


def _set_format(body: Object, asked: Conversation, system: list[Object], warnings: list[str]) -> None:
    wanted = asked.output_format
    assert wanted is not None
    if wanted.schema is None:
        system.append({"type": "text", "text": JSON_WANTED})
        return
    lost: list[str] = []
    schema = wanted.schema if asked.origin == ORIGIN else answer_schema(wanted.schema, lost)
    body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
    warnings.extend(dict.fromkeys(f"response_format.{name}" for name in lost))


def _set_tools(body: Object, asked: Conversation, family: Family) -> None:
    choice = asked.tool_choice
    may = set(choice.names) if choice and choice.names else None
    if choice and choice.mode == "one":
        may = None
    body["tools"] = [_tool(tool, family) for tool in asked.tools if may is None or tool.name in may]
    mode = choice.mode if choice else "auto"
    is_single = asked.parallel_tool_calls is False and mode != "none"
    if choice is None and not is_single:
        return
    named: Object = {"type": {"auto": "auto", "none": "none", "required": "any", "one": "tool"}[mode]}
    if choice and mode == "one":
        named["name"] = choice.names[0]
    if is_single:
        named["disable_parallel_tool_use"] = True
    body["tool_choice"] = named


def _tool(tool: Tool, family: Family) -> Object:
    written: Object = {"name": tool.name, "input_schema": input_schema(tool.parameters)}
    if tool.description:
        written["description"] = tool.description
    if tool.strict and family.takes_schema:
        written["strict"] = True
    return marked(written, tool.cache)


def _set_sampling(body: Object, asked: Conversation, family: Family, warnings: list[str]) -> None:
    """Sampling parameters, where the model takes any. Thinking forbids them, too."""
    thinks = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
    for field in _SAMPLING:
        value: float | int | None = getattr(asked, field)
        if value is None:
            continue
        is_refused = not family.takes_sampling or (thinks and not (field == "temperature" and value == 1))
        if is_refused or (field == "top_p" and "temperature" in body and not family.takes_both):
            warnings.append(field)
        elif field == "temperature" and value > HOTTEST:
            body[field] = HOTTEST
            warnings.append(field)
        else:
            body[field] = value


def _set_rest(body: Object, asked: Conversation, warnings: list[str]) -> None:
    stop = [text for text in asked.stop if text.strip()]
    if stop:
        body["stop_sequences"] = stop
    if len(stop) < len(asked.stop):
        warnings.append("stop")
    if asked.user:
        body["metadata"] = {"user_id": asked.user}
    if asked.cache is not None:
        body["cache_control"] = cache_control(asked.cache)
    tier = _TIERS.get(asked.service_tier or "")
    if tier is not None:
        body["service_tier"] = tier
    left = {
        "service_tier": asked.service_tier if tier is None else None,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty or None,
        "frequency_penalty": asked.frequency_penalty or None,
        "verbosity": asked.verbosity,
        "prompt_cache_key": asked.cache_key,
        "metadata": asked.metadata or None,
    }
    warnings.extend(name for name, value in left.items() if value is not None)
    warnings.extend(names(asked))
    if asked.origin == ORIGIN:
        said = ((name, value) for name, value in asked.others.items() if "." not in name and name not in body)
        body.update((name, value) for name, value in said if name != "anthropic_beta")  # which goes on as a header
    else:
        warnings.extend(asked.others)
