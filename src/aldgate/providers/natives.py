"""Providers with a wire of their own: one file each, and one line here.

Their `build` takes what `section.Build` takes, and decodes the table by a section type of its own.
"""

import msgspec


class Native(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a native provider before it is imported.

    Attributes:
        build: `module:attr` of its builder.
        key_names: Environment names its key usually has, most usual first. A key found there adds the provider by itself.
        address_names: Environment names of its address, for providers that have none of their own: without, a key adds nothing.
            One that needs no key is added by its address alone.
        local_url: Where a local server of this kind listens when nobody configured it. Found by asking for its models.
    """

    build: str
    key_names: tuple[str, ...] = ()
    address_names: tuple[str, ...] = ()
    local_url: str = ""


NATIVES: dict[str, Native] = {
    "azure": Native(
        build="aldgate.providers.azure.section:build",
        key_names=("AZURE_OPENAI_API_KEY", "LLM_API_AZURE_OPENAI_API_KEY"),
        address_names=("AZURE_OPENAI_ENDPOINT", "LLM_API_AZURE_OPENAI_ENDPOINT"),
    ),
    "cohere": Native(build="aldgate.providers.cohere:build", key_names=("COHERE_API_KEY", "CO_API_KEY")),
    "ollama": Native(
        build="aldgate.providers.ollama:build",
        address_names=("OLLAMA_BASE_URL", "OLLAMA_API_ENDPOINT", "OLLAMA_HOST"),
        local_url="http://127.0.0.1:11434",
    ),
    "bedrock": Native(build="aldgate.providers.bedrock.section:build", key_names=("AWS_BEARER_TOKEN_BEDROCK",)),
    "anthropic": Native(build="aldgate.providers.anthropic:build", key_names=("ANTHROPIC_API_KEY", "LLM_API_ANTHROPIC_API_KEY")),
    "gemini": Native(
        build="aldgate.providers.gemini:build",
        key_names=("GEMINI_API_KEY", "GOOGLE_API_KEY", "LLM_API_GOOGLE_API_KEY"),
    ),
    "vertex": Native(build="aldgate.providers.vertex.section:build"),
    "vertex-anthropic": Native(build="aldgate.providers.vertex.section:build_anthropic"),
}
