"""Providers that speak OpenAI's wire, one row each. A new one costs a row; the rest is data in a configuration file.

Base URLs and key names are the vendors' own (their "OpenAI compatibility" pages); local ports are the servers' defaults.
"""

from typing import Literal

import msgspec


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
    catalogue: str = ""
    is_free: bool = False


ROWS: dict[str, Row] = {
    "openai": Row(
        base_url="https://api.openai.com/v1",
        key_names=("OPENAI_API_KEY", "LLM_API_OPENAI_API_KEY"),
        output_cap_field="max_completion_tokens",
        responses=True,
        catalogue="openai",
    ),
    "groq": Row(
        base_url="https://api.groq.com/openai/v1",
        key_names=("GROQ_API_KEY", "LLM_API_GROQ_API_KEY"),
        output_cap_field="max_completion_tokens",
        catalogue="groq",
    ),
    "xai": Row(
        base_url="https://api.x.ai/v1", key_names=("XAI_API_KEY", "LLM_API_XAI_API_KEY"), responses=True, catalogue="x-ai"
    ),
    "mistral": Row(
        base_url="https://api.mistral.ai/v1", key_names=("MISTRAL_API_KEY",), stream_usage="always", catalogue="mistral"
    ),
    "deepseek": Row(
        base_url="https://api.deepseek.com/v1",
        key_names=("DEEPSEEK_API_KEY", "LLM_API_DEEPSEEK_API_KEY"),
        catalogue="deepseek",
    ),
    "openrouter": Row(base_url="https://openrouter.ai/api/v1", key_names=("OPENROUTER_API_KEY",), catalogue="openrouter"),
    "together": Row(base_url="https://api.together.xyz/v1", key_names=("TOGETHER_API_KEY",), catalogue="together"),
    "fireworks": Row(base_url="https://api.fireworks.ai/inference/v1", key_names=("FIREWORKS_API_KEY",), catalogue="fireworks"),
    "perplexity": Row(base_url="https://api.perplexity.ai", key_names=("PERPLEXITY_API_KEY",), catalogue="perplexity"),
    "cerebras": Row(
        base_url="https://api.cerebras.ai/v1",
        key_names=("CEREBRAS_API_KEY",),
        output_cap_field="max_completion_tokens",
        catalogue="cerebras",
    ),
    "ollama": Row(local_url="http://127.0.0.1:11434/v1", owned_by="library", is_free=True),
    "llamacpp": Row(local_url="http://127.0.0.1:8080/v1", owned_by="llamacpp", is_free=True),
    "lmstudio": Row(local_url="http://127.0.0.1:1234/v1", owned_by="organization_owner", is_free=True),
    "vllm": Row(local_url="http://127.0.0.1:8000/v1", owned_by="vllm", is_free=True),
}
