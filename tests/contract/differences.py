"""What a pair of face and provider does not carry, on purpose: a 400, or the name of a field in `x-aldgate-warnings`.

Everything that is not here arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Difference:
    """One or more pairs (names may hold `*`) and a case.

    Attributes:
        named: What `x-aldgate-warnings` says; empty: the call is refused.
        why: For the reader of `docs/translation.md`.
    """

    face: str
    provider: str
    case: str
    named: str
    why: str


_OLLAMA_CHOOSES = "Ollama's models cannot be made to call a tool"
_NO_FETCH = "fetches no images: send their bytes"
DIFFERENCES: tuple[Difference, ...] = (
    Difference("*", "responses-only", "stop", "", "Responses has no stop strings"),
    Difference("*", "bedrock", "image by address", "", f"Bedrock {_NO_FETCH}"),
    Difference("responses", "ollama", "image by address", "", f"Ollama {_NO_FETCH}"),
    Difference("anthropic", "ollama", "image by address", "", f"Ollama {_NO_FETCH}"),
    Difference("gemini", "ollama", "image by address", "", f"Ollama {_NO_FETCH}"),
    *(
        Difference(face, "ollama", case, "", _OLLAMA_CHOOSES)
        for face in ("responses", "anthropic", "gemini")
        for case in ("any tool", "one tool")
    ),
    *(
        Difference(face, provider, "one call at a time", word, f"{maker} decides how many calls it makes")
        for face, word in (
            ("openai", "parallel_tool_calls"),
            ("responses", "parallel_tool_calls"),
            ("anthropic", "tool_choice.disable_parallel_tool_use"),
        )
        for provider, maker in (("gemini", "Gemini"), ("vertex", "Gemini"), ("cohere", "Cohere"), ("ollama", "Ollama"))
        if (face, provider) != ("openai", "ollama")  # whose bytes pass through
    ),
)


def difference(face: str, provider: str, case: str) -> Difference | None:
    """How the pair differs in a case; None: not at all."""
    for each in DIFFERENCES:
        if each.case == case and fnmatchcase(face, each.face) and fnmatchcase(provider, each.provider):
            return each
    return None
