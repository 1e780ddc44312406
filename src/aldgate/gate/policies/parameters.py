"""Where each dialect keeps the parameters that policies speak of. Policies use OpenAI's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aldgate.core.errors import InvalidRequest
from aldgate.core.principals import Operation

NOT_PARAMETERS = frozenset(
    "background contents content context conversation documents functions images input instructions messages model models "
    "previous_response_id prompt query raw requests stream stream_options suffix system system_instruction template tool_config "
    "tools".split()
)
"""What is asked, and how the answer comes: no policy puts words into a caller's mouth."""
OUTPUT_CAPS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict"})
"""`max_output_tokens` of a policy bounds these, at admission."""
_OF_OPERATIONS: dict[str, frozenset[Operation]] = {
    "dimensions": frozenset({"embed"}),
    "encoding_format": frozenset({"embed"}),
    "truncate": frozenset({"embed"}),
    "top_n": frozenset({"rerank"}),
    "return_documents": frozenset({"rerank"}),
    "max_tokens_per_doc": frozenset({"rerank"}),
    "user": frozenset({"chat", "complete", "embed"}),
}
_GENERATES: frozenset[Operation] = frozenset({"chat", "complete"})

_NOWHERE = ""
_OPENAI_ONLY = dict.fromkeys(
    "logit_bias logprobs n presence_penalty frequency_penalty seed service_tier store user prediction verbosity".split(), _NOWHERE
)
_NAMES: dict[str, dict[str, str]] = {
    "anthropic": {
        **_OPENAI_ONLY,
        "max_output_tokens": "max_tokens",
        "max_completion_tokens": "max_tokens",
        "stop": "stop_sequences",
        "reasoning_effort": "output_config.effort",
    },
    "openai": {"max_output_tokens": "max_completion_tokens"},
    "responses": {
        "max_tokens": "max_output_tokens",
        "max_completion_tokens": "max_output_tokens",
        **dict.fromkeys("logit_bias logprobs n presence_penalty frequency_penalty seed stop prediction".split(), _NOWHERE),
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
    },
    "gemini": {
        **_OPENAI_ONLY,
        "n": "generationConfig.candidateCount",
        "top_p": "generationConfig.topP",
        "top_k": "generationConfig.topK",
        "stop": "generationConfig.stopSequences",
        "seed": "generationConfig.seed",
        "temperature": "generationConfig.temperature",
        "presence_penalty": "generationConfig.presencePenalty",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "max_tokens": "generationConfig.maxOutputTokens",
        "max_completion_tokens": "generationConfig.maxOutputTokens",
        "max_output_tokens": "generationConfig.maxOutputTokens",
        "logprobs": "generationConfig.responseLogprobs",
        "top_logprobs": "generationConfig.logprobs",
    },
    "ollama": {
        **{
            name: f"options.{name}"
            for name in "temperature top_p top_k min_p typical_p seed stop presence_penalty frequency_penalty repeat_penalty "
            "repeat_last_n mirostat mirostat_eta mirostat_tau num_ctx num_batch num_gpu num_thread num_keep num_predict".split()
        },
        **dict.fromkeys("n logit_bias service_tier store user prediction verbosity".split(), _NOWHERE),
        "max_tokens": "options.num_predict",
        "max_completion_tokens": "options.num_predict",
        "max_output_tokens": "options.num_predict",
        "reasoning_effort": "think",
        "response_format": "format",
    },
}
_FLAT_GEMINI = frozenset({"safetySettings", "safety_settings", "cachedContent", "labels", "serviceTier", "service_tier", "store"})
_FAMILIES = {
    "gemini": "gemini",
    "ollama": "ollama",
    "ollama-generate": "ollama",
    "ollama-embeddings": "ollama",
    "anthropic": "anthropic",
    "responses": "responses",
}


class Place(NamedTuple):
    """Where a parameter stands.

    Attributes:
        name: Its key there.
        section: The key of the object that it stands in; None: the body itself.
        is_proto: Keys may be spelled `likeThis` or `like_this`.
    """

    name: str
    section: str | None = None
    is_proto: bool = False

    def key_in(self, members: Mapping[str, Any]) -> str | None:
        """The key that it has there, None if it is not there.

        Raises:
            InvalidRequest: There is one that some parsers take for it, or two.
        """
        return only_key(self.name, members, is_proto=self.is_proto)


def place_of(dialect: str, operation: Operation, name: str, *, is_cap: bool) -> tuple[Place, ...]:
    """Where a parameter stands in requests of a dialect; empty where it has no such parameter, or the operation has not."""
    if name in NOT_PARAMETERS or (is_cap and name in OUTPUT_CAPS):
        return ()
    if not is_cap and operation not in _OF_OPERATIONS.get(name, _GENERATES):
        return ()
    family = _FAMILIES.get(dialect, "openai")
    known = _NAMES.get(family, {})
    usual = f"generationConfig.{name}" if family == "gemini" and operation == "chat" and name not in _FLAT_GEMINI else name
    path = known.get(name, usual)
    if path == _NOWHERE:
        return ()
    section, _, key = path.rpartition(".") if family != "openai" else ("", "", path)
    return (Place(_camel(key) if family == "gemini" else key, section or None, family == "gemini"),)


def section_of(place: Place, members: Mapping[str, Any]) -> str:
    """The key of the object that the parameter stands in, whether it is there yet or not.

    Raises:
        InvalidRequest: As `Place.key_in`.
    """
    assert place.section is not None
    return only_key(place.section, members, is_proto=place.is_proto) or place.section


def only_key(name: str, members: Mapping[str, Any], *, is_proto: bool = False) -> str | None:
    """The key under which `name` stands; None if it does not.

    Raises:
        InvalidRequest: It stands there in a spelling that some parsers take for it, or twice.
    """
    spellings = {name, _snake(name)} if is_proto else {name}
    folded = _folded(name, is_proto)
    found = [key for key in members if _folded(key, is_proto) == folded]
    if len(found) > 1 or not spellings.issuperset(found):
        raise InvalidRequest(f"`{found[-1][:100]}` is not how `{name}` is spelled, or it stands there twice.", param=name)
    return found[0] if found else None


def _folded(name: str, is_proto: bool) -> str:
    name = name.casefold()
    return name.replace("_", "") if is_proto else name


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
