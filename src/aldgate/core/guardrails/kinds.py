"""Guardrails as a policy declares them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from aldgate.core.guardrails.automaton import MOST_STATES
from aldgate.core.guardrails.language import known_languages
from aldgate.core.guardrails.patterns import lengths, parse, states

Where = Literal["input", "output", "both"]
Action = Literal["redact", "mask", "block"]
"""`redact` puts a placeholder that is turned back in the answer, `mask` puts asterisks, `block` refuses."""
OnFailure = Literal["open", "closed"]
"""What becomes of a call that could not be judged: `open` lets it pass, `closed` blocks it."""
PiiKind = Literal["email", "phone", "credit_card", "iban", "ip", "us_ssn"]
SecretKind = Literal["api_key", "aws", "github", "private_key", "jwt", "password"]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=60)]
Word = Annotated[str, Meta(min_length=1, max_length=100)]


class _Guardrail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every guardrail has.

    Attributes:
        name: What errors call it; empty: its kind.
        applies_to: The request, the answer, or both.
    """

    name: Annotated[str, Meta(max_length=100)] = ""
    applies_to: Where = "both"

    @property
    def title(self) -> str:
        """What errors call it."""
        kind = self.__struct_config__.tag
        return self.name or str(kind)


class Pii(_Guardrail, frozen=True, kw_only=True, tag="pii"):
    """Personal data. `finds`: which kinds; empty: all."""

    finds: tuple[PiiKind, ...] = ()
    action: Action = "redact"


class Secrets(_Guardrail, frozen=True, kw_only=True, tag="secrets"):
    """Credentials. `finds`: which kinds; empty: all."""

    finds: tuple[SecretKind, ...] = ()
    action: Action = "redact"


class Words(_Guardrail, frozen=True, kw_only=True, tag="words"):
    """Words and regular expressions of the operator's.

    Attributes:
        patterns: In the syntax that `patterns.parse` takes.
        is_whole: A word does not count within a longer one.
        ignores_case: In words and patterns.

    Raises:
        ValueError: There is nothing to find, or too much, or a pattern is not one, or matches where there is nothing.
    """

    words: Annotated[tuple[Word, ...], Meta(max_length=10_000)] = ()
    patterns: Annotated[tuple[str, ...], Meta(max_length=100)] = ()
    is_whole: bool = True
    ignores_case: bool = True
    action: Action = "block"

    def __post_init__(self) -> None:
        if not self.words and not self.patterns:
            raise ValueError("`words` or `patterns` must name something")
        size = sum(map(len, self.words)) + 3 * len(self.words)
        for pattern in self.patterns:
            node = parse(pattern)
            if not lengths(node)[0]:
                raise ValueError(f"`{pattern}` would match where there is nothing")
            size += states(node)
        if size > MOST_STATES - 1_000:
            raise ValueError("the words and patterns are too many, or too long, together")


class Size(_Guardrail, frozen=True, kw_only=True, tag="size"):
    """How much text there may be in all. Tokens are counted as a quarter of the bytes.

    Raises:
        ValueError: No bound was given.
    """

    applies_to: Where = "input"
    most_characters: Count | None = None
    most_tokens: Count | None = None

    def __post_init__(self) -> None:
        if self.most_characters is None and self.most_tokens is None:
            raise ValueError("`most_characters` or `most_tokens` must be given")


class Language(_Guardrail, frozen=True, kw_only=True, tag="language"):
    """Languages that texts may be in, by ISO 639-1 code. A text too short to tell passes.

    Raises:
        ValueError: A language that cannot be told from others.
    """

    allowed: Annotated[tuple[str, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        unknown = sorted(set(self.allowed) - known_languages())
        if unknown:
            raise ValueError(f"`{unknown[0]}` is no language that is known here: {', '.join(sorted(known_languages()))}")


class Moderation(_Guardrail, frozen=True, kw_only=True, tag="moderation"):
    """Another model judges.

    Attributes:
        model: As a caller would name it; it must moderate.
        thresholds: Least score that blocks, by category; empty: whatever the model flags is blocked.
    """

    model: Annotated[str, Meta(min_length=1)]
    thresholds: dict[str, Annotated[float, Meta(ge=0, le=1)]] = {}
    on_failure: OnFailure = "closed"


class Webhook(_Guardrail, frozen=True, kw_only=True, tag="webhook"):
    """A service of the operator's judges, and may change texts.

    Attributes:
        url: http or https; nobody but who writes policies can name one, and redirects are not followed.
        timeout_s: For the whole question.
    """

    url: Annotated[str, Meta(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[!->@-~]*)?$", max_length=2_000)]
    timeout_s: Seconds = 5.0
    on_failure: OnFailure = "closed"


Guardrail = Pii | Secrets | Words | Size | Language | Moderation | Webhook
Judged = Moderation | Webhook
"""Those that ask somebody else."""


def united(*levels: tuple[Guardrail, ...]) -> tuple[Guardrail, ...]:
    """What holds where several levels have guardrails, the outermost level first: all of them, each once."""
    found: list[Guardrail] = []
    for level in levels:
        found += (each for each in level if each not in found)
    return tuple(found)
