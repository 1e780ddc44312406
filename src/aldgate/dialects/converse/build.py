"""A conversation as the body of a Converse request.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import re
from typing import Any, cast

import msgspec

from aldgate.core.conversation import Conversation, Message, OutputFormat, Text
from aldgate.core.errors import InvalidRequest
from aldgate.core.words import word
from aldgate.dialects.converse import families
from aldgate.dialects.converse.messages import Turns
from aldgate.dialects.converse.tools import has_calls, offered, told_as_text, tool_config
from aldgate.dialects.unsayable import details, names

Fields = dict[str, Any]

_HARMLESS = ("seed", "presence_penalty", "frequency_penalty", "verbosity", "cache_key", "user")
_MEANT = frozenset(
    {
        "audio",
        "cachedContent",
        "container",
        "conversation",
        "functions",
        "mcp_servers",
        "modalities",
        "previous_response_id",
        "prompt",
        "web_search_options",
    }
)
"""Callers' fields that change what the answer is, so that nobody may be answered as if they had not been there."""
_TIERS = {"priority": "priority", "fast": "priority", "flex": "flex", "default": "default", "standard": "default"}
_OWN = frozenset({"guardrailConfig", "performanceConfig", "promptVariables", "additionalModelResponseFieldPaths"})
"""Converse's own fields, for callers who know that they are there."""
_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}\Z")
_JSON_ONLY = "Answer with one JSON object and nothing else: no words around it, no Markdown."


def build_body(asked: Conversation, model: str, warnings: list[str]) -> bytes:
    """The body for `model`, which itself stands in the path. What cannot be said but does no harm is named in `warnings`.

    Raises:
        InvalidRequest: It asks for what Converse cannot say.
    """
    return msgspec.json.encode(_Build(asked, model, warnings).body())


class _Build:
    def __init__(self, asked: Conversation, model: str, warnings: list[str]) -> None:
        self._asked = asked
        self._model = model
        self._warnings = warnings
        self._own: Fields = {}
        self._body: Fields = {}

    def _warn(self, field: str) -> None:
        self._warnings.append(word(self._asked.origin, field))

    def _refuse(self, field: str, message: str) -> InvalidRequest:
        return InvalidRequest(message, param=word(self._asked.origin, field))

    def body(self) -> Fields:
        asked = self._asked
        if asked.choices > 1:
            raise self._refuse("choices", "This model gives one answer to a request.")
        if asked.top_logprobs is not None:
            raise self._refuse("top_logprobs", "This model does not tell log probabilities.")
        for field in _HARMLESS:
            if getattr(asked, field) is not None:
                self._warn(field)
        self._warnings += [*details(asked), *names(asked)]
        is_forced = self._tools()
        self._thinking(is_forced)
        self._inference()
        self._output_format()
        self._service()
        self._others()
        if self._own:
            self._body["additionalModelRequestFields"] = self._own
        return self._body

    def _tools(self) -> bool:
        """Say messages and tools. True if a tool must be called."""
        asked = self._asked
        messages = asked.messages
        tools = offered(asked)
        caches = families.caches(self._model)
        config: Fields | None = None
        if tools:
            config, own = tool_config(asked, self._model, tools, caches=caches, warnings=self._warnings)
            self._own |= own
        elif has_calls(messages):
            messages = told_as_text(messages)
        turns = Turns(word(asked.origin, "messages"), caches=caches)
        if asked.output_format is not None and asked.output_format.schema is None:
            messages = [Message("system", [Text(_JSON_ONLY)]), *messages]
        for message in messages:
            turns.add(message)
        turns.finish()
        if asked.cache and caches:
            turns.keep_all(asked.cache)
        if turns.has_cache_hints or (not caches and (asked.cache or any(tool.cache for tool in tools))):
            self._warn("cache")
        if not turns.messages:
            raise self._refuse("messages", "Nothing is asked: every message is empty.")
        self._body["messages"] = turns.messages
        if turns.system:
            self._body["system"] = turns.system
        if config is not None:
            self._body["toolConfig"] = config
        return bool(tools) and asked.tool_choice is not None and asked.tool_choice.mode in ("required", "one")

    def _thinking(self, is_forced: bool) -> None:
        thinking = self._asked.thinking
        if thinking is None:
            return
        said = families.thinking_fields(self._model, thinking, self._asked.max_output_tokens)
        if said is None:
            if thinking.effort != "none":
                self._warn("thinking")
            return
        own, effort = said
        if is_forced and families.thinks(own):  # Claude refuses to think before a call it is forced to make
            self._warn("thinking")
            return
        self._own |= own
        if effort is not None:
            self._body["outputConfig"] = {"effort": effort}

    def _inference(self) -> None:
        asked = self._asked
        config: Fields = {}
        if asked.max_output_tokens is not None:
            config["maxTokens"] = asked.max_output_tokens
        has_none = families.takes_no_sampling(self._model) or families.thinks(self._own)
        if asked.temperature is not None:
            if has_none:
                self._warn("temperature")
            else:
                if asked.temperature > 1:  # OpenAI's scale goes to 2
                    self._warn("temperature")
                config["temperature"] = min(asked.temperature, 1)
        if asked.top_p is not None:
            if has_none or ("temperature" in config and families.wants_either_temperature_or_top_p(self._model)):
                self._warn("top_p")
            else:
                config["topP"] = asked.top_p
        if asked.top_k is not None:
            if families.is_claude(self._model) and not has_none:
                self._own["top_k"] = asked.top_k
            else:
                self._warn("top_k")
        if stop := [text for text in asked.stop if text.strip()]:
            config["stopSequences"] = stop
        if len(stop) < len(asked.stop):  # ones of white space alone are refused
            self._warn("stop")
        if config:
            self._body["inferenceConfig"] = config

    def _output_format(self) -> None:
        wanted = self._asked.output_format
        if wanted is not None and wanted.schema is not None:
            self._body.setdefault("outputConfig", {})["textFormat"] = _text_format(wanted, wanted.schema)

    def _service(self) -> None:
        asked = self._asked
        if asked.service_tier in _TIERS:
            self._body["serviceTier"] = {"type": _TIERS[asked.service_tier]}
        elif asked.service_tier not in (None, "auto"):
            self._warn("service_tier")
        pairs = asked.metadata
        if pairs and len(pairs) <= 16 and all(_METADATA.match(key + value) and key for key, value in pairs.items()):
            self._body["requestMetadata"] = pairs
        elif pairs:
            self._warn("metadata")

    def _others(self) -> None:
        for name, value in self._asked.others.items():
            if name in _OWN:
                self._body[name] = value
            elif name == "additionalModelRequestFields" and isinstance(value, dict):
                self._own |= cast(Fields, value)
            elif name == "anthropic_beta" and isinstance(value, list):
                self._betas(cast(list[Any], value))
            elif name in _MEANT and not (name == "modalities" and value == ["text"]) and value is not None:
                raise InvalidRequest(f"This model's provider has nothing like `{name}`.", param=name)
            elif value is not None:
                self._warnings.append(name)

    def _betas(self, wanted: list[Any]) -> None:
        known, unknown = families.known_betas(wanted)
        if not families.is_claude(self._model):
            known, unknown = [], [*known, *unknown]
        if known:
            self._own["anthropic_beta"] = known
        self._warnings += [f"anthropic_beta: {name}" for name in unknown]


def _text_format(wanted: OutputFormat, schema: Fields) -> Fields:
    said = {"schema": msgspec.json.encode(schema).decode(), "name": wanted.name}
    if wanted.description:
        said["description"] = wanted.description
    return {"type": "json_schema", "structure": {"jsonSchema": said}}
