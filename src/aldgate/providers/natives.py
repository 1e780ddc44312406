"""Providers with a wire of their own: one file each, and one line here.

Their `build` takes what `section.Build` takes, and decodes the table by a section type of its own.
"""

import msgspec


class Native(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a native provider before it is imported.

    Attributes:
        build: `module:attr` of its builder.
        key_names: Environment names its key usually has, most usual first. A key found there adds the provider by itself.
    """

    build: str
    key_names: tuple[str, ...] = ()


NATIVES: dict[str, Native] = {
    "bedrock": Native(build="aldgate.providers.bedrock.section:build", key_names=("AWS_BEARER_TOKEN_BEDROCK",)),
    "anthropic": Native(build="aldgate.providers.anthropic:build", key_names=("ANTHROPIC_API_KEY", "LLM_API_ANTHROPIC_API_KEY")),
    "gemini": Native(
        build="aldgate.providers.gemini:build",
        key_names=("GEMINI_API_KEY", "GOOGLE_API_KEY", "LLM_API_GOOGLE_API_KEY"),
    ),
}
