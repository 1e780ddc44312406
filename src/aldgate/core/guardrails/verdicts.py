"""What is asked of those who judge for a guardrail, and what they say."""

from __future__ import annotations

from typing import Literal

import msgspec

from aldgate.core.guardrails.kinds import Judged


class Question(msgspec.Struct, frozen=True):
    """Texts to be judged.

    Attributes:
        place: Where they stand.
        texts: Of a request all at once; of an answer what was said since the last question.
        before: The end of what was said before the first text, in the same breath.
    """

    guardrail: Judged
    place: Literal["request", "answer"]
    texts: tuple[str, ...]
    before: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        found: Why they may not pass, in the words of an error; empty: they may.
        texts: What stands in their place; None: they stay.
    """

    found: str = ""
    texts: tuple[str, ...] | None = None


PASSES = Verdict()
