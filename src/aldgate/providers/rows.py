"""Providers that speak OpenAI's wire, one row each. A new one costs a row; the rest is data in a configuration file.

Base URLs and key names are the vendors' own (their "OpenAI compatibility" pages); local ports are the servers' defaults.
"""

from typing import Literal

import msgspec

from aldgate.dialects.openai.quirks import Quirk, nine_letters, reasoning_kept


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is special about one OpenAI-compatible provider. Defaults suit a server nobody has heard of.

    Attributes:
        base_url: Up to and including the version, as in `https://host/v1`.
        key_names: Environment names its key usually has, most usual first. A key found there adds the provider by itself.
        local_url: Where a local server of this kind listens when nobody configured it. Found by asking, never by port alone.
        owned_by: What `owned_by` (or the `server` header) says when the answer really comes from such a server.
        output_cap_field: Body field that bounds output tokens.
        stream_usage: Whether usage in a stream must be asked for.
        responses: It answers OpenAI's Responses API too, whole enough that callers' bytes may pass.
        compacts: It compacts conversations, too (`/responses/compact`), and reads again what it wrote.
        quirks: What it wants otherwise than OpenAI.
        tells_bill: It may send a call on to another model, and says which one answered (`model`) and what that cost in dollars
            (`usage.cost`).
        has_own_words: It says of answers what OpenAI never would: other reasons for their end, or text as a list.
        catalogue: Name of the provider in the price catalogue; empty: prices are not looked up.
        is_free: Runs on the operator's own machine: calls cost nothing unless a price is configured.
    """

    base_url: str = ""
    key_names: tuple[str, ...] = ()
    local_url: str = ""
    owned_by: str = ""
    output_cap_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    stream_usage: Literal["asked", "always"] = "asked"
    responses: bool = False
    compacts: bool = False
    quirks: tuple[Quirk, ...] = ()
    tells_bill: bool = False
    has_own_words: bool = False
    catalogue: str = ""
    is_free: bool = False


OLDER_CAP = Quirk(field="max_completion_tokens", becomes="max_tokens")
"""They know the older name alone; some pass over the newer one in silence, so that nothing would bound the answer."""
_THINKS = r"^(?:ft:)?(?:o[1-9](?:-|$)|gpt-[5-9])"
_NEVER_SAMPLES = r"^(?:ft:)?(?:o[1-9](?:-|$)|gpt-5(?:-mini|-nano)?(?:-20|$))"
"""OpenAI's models that refuse sampling whatever the effort; later ones take it at effort `none`, so theirs is left alone."""

_OPENAI = (  # https://platform.openai.com/docs/guides/reasoning and /latest-model
    Quirk(field="max_tokens", becomes="max_completion_tokens", models=_THINKS),
    Quirk(field="temperature", models=_NEVER_SAMPLES, stays=1),
    Quirk(field="top_p", models=_NEVER_SAMPLES, stays=1),
    Quirk(field="presence_penalty", models=_NEVER_SAMPLES, stays=0),
    Quirk(field="frequency_penalty", models=_NEVER_SAMPLES, stays=0),
)
_GROQ = (Quirk(field="logit_bias"),)  # https://console.groq.com/docs/openai, "Currently unsupported OpenAI features"
_XAI = (  # https://docs.x.ai/docs/guides/reasoning
    Quirk(field="presence_penalty", models=r"^grok-(?!2|3(?!-mini))(?!.*non-reasoning)"),
    Quirk(field="frequency_penalty", models=r"^grok-(?!2|3(?!-mini))(?!.*non-reasoning)"),
    Quirk(field="reasoning_effort", models=r"^grok-4(?:-0\d+|-fast.*)?$"),
)
_MISTRAL = (  # https://docs.mistral.ai/api: what a request does not know is refused with 422
    OLDER_CAP,
    Quirk(field="seed", becomes="random_seed"),
    Quirk(field="stream_options", is_silent=True),  # usage comes anyway
    Quirk(field="user"),
    Quirk(field="safety_identifier"),
    Quirk(field="logit_bias"),
    Quirk(field="store"),
    Quirk(field="verbosity"),
    Quirk(field="messages", mend=nine_letters, sign="tool_calls"),
)
_DEEPSEEK = (  # https://api-docs.deepseek.com/guides/thinking_mode
    OLDER_CAP,
    Quirk(field="messages", mend=reasoning_kept, sign="tool_calls", warning="messages.reasoning_content (missing)"),
)
_CEREBRAS = (  # https://inference-docs.cerebras.ai/resources/openai
    Quirk(field="frequency_penalty"),
    Quirk(field="presence_penalty"),
    Quirk(field="logit_bias"),
)

ROWS: dict[str, Row] = {
    "openai": Row(
        base_url="https://api.openai.com/v1",
        key_names=("OPENAI_API_KEY", "LLM_API_OPENAI_API_KEY"),
        output_cap_field="max_completion_tokens",
        responses=True,
        compacts=True,
        quirks=_OPENAI,
        catalogue="openai",
    ),
    "groq": Row(
        base_url="https://api.groq.com/openai/v1",
        key_names=("GROQ_API_KEY", "LLM_API_GROQ_API_KEY"),
        output_cap_field="max_completion_tokens",
        quirks=_GROQ,
        catalogue="groq",
    ),
    "xai": Row(
        base_url="https://api.x.ai/v1",
        key_names=("XAI_API_KEY", "LLM_API_XAI_API_KEY"),
        responses=True,
        quirks=_XAI,
        catalogue="x-ai",
    ),
    "mistral": Row(
        base_url="https://api.mistral.ai/v1",
        key_names=("MISTRAL_API_KEY",),
        stream_usage="always",
        quirks=_MISTRAL,
        has_own_words=True,  # https://docs.mistral.ai/capabilities/reasoning
        catalogue="mistral",
    ),
    "deepseek": Row(
        base_url="https://api.deepseek.com/v1",
        key_names=("DEEPSEEK_API_KEY", "LLM_API_DEEPSEEK_API_KEY"),
        quirks=_DEEPSEEK,
        has_own_words=True,  # https://api-docs.deepseek.com/api/create-chat-completion
        catalogue="deepseek",
    ),
    "openrouter": Row(
        base_url="https://openrouter.ai/api/v1",
        key_names=("OPENROUTER_API_KEY",),
        tells_bill=True,  # https://openrouter.ai/docs/use-cases/usage-accounting
        has_own_words=True,  # https://openrouter.ai/docs/api-reference/overview
        catalogue="openrouter",
    ),
    "together": Row(
        base_url="https://api.together.xyz/v1",
        key_names=("TOGETHER_API_KEY",),
        quirks=(OLDER_CAP,),
        has_own_words=True,  # https://docs.together.ai/reference/chat-completions-1
        catalogue="together",
    ),
    "fireworks": Row(
        base_url="https://api.fireworks.ai/inference/v1",
        key_names=("FIREWORKS_API_KEY",),
        quirks=(OLDER_CAP,),
        catalogue="fireworks",
    ),
    "perplexity": Row(
        base_url="https://api.perplexity.ai", key_names=("PERPLEXITY_API_KEY",), quirks=(OLDER_CAP,), catalogue="perplexity"
    ),
    "cerebras": Row(
        base_url="https://api.cerebras.ai/v1",
        key_names=("CEREBRAS_API_KEY",),
        output_cap_field="max_completion_tokens",
        quirks=_CEREBRAS,
        catalogue="cerebras",
    ),
    "llamacpp": Row(local_url="http://127.0.0.1:8080/v1", owned_by="llamacpp", is_free=True),
    "lmstudio": Row(local_url="http://127.0.0.1:1234/v1", owned_by="organization_owner", quirks=(OLDER_CAP,), is_free=True),
    "vllm": Row(local_url="http://127.0.0.1:8000/v1", owned_by="vllm", is_free=True),
}
