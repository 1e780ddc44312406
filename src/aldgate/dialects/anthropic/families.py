"""What each Claude model takes, read from its name: the API refuses what a model's generation has not, or has no more.

Sources: https://platform.claude.com/docs/en/build-with-claude/thinking, .../effort, .../structured-outputs,
.../mid-conversation-system-messages and https://platform.claude.com/docs/en/about-claude/models/migration-guide.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from aldgate.core.conversation import Effort

_NAME = re.compile(r"claude-(?:(opus|sonnet|haiku|fable|mythos|instant)-?)?(?:(\d)(?!\d)(?:[-.](\d)(?!\d))?)?")
_NEWEST: tuple[int, int] = (9, 9)
_OLDEST: tuple[int, int] = (1, 0)
_ALWAYS_THINK = frozenset({"fable", "mythos"})

_LOW_TO_HIGH: tuple[Effort, ...] = ("low", "medium", "high")


class Family(Struct, frozen=True):
    """What a generation of models takes.

    Attributes:
        takes_sampling: `temperature`, `top_p` and `top_k`; from 4.7 on they are refused.
        takes_both: `temperature` beside `top_p`.
        thinking: `budget`: as many tokens as named; `adaptive`: the model decides, guided by effort; `always`: so too, and it
            cannot be turned off.
        efforts: Levels of `output_config.effort`, least first.
        takes_schema: `output_config.format`.
        takes_system_turns: Messages of role `system` after the first turn.
    """

    takes_sampling: bool = True
    takes_both: bool = True
    thinking: Literal["none", "budget", "adaptive", "always"] = "budget"
    efforts: tuple[Effort, ...] = ()
    takes_schema: bool = True
    takes_system_turns: bool = False


OTHERS = Family(efforts=("low", "medium", "high", "max"))
"""Models of other makers behind an endpoint of this form. Most know budgets and ignore what they do not know."""


@lru_cache(maxsize=1024)
def family_of(model: str) -> Family:
    """The family that a model's name tells, with or without a date, a vendor's prefix or a region. Unknown Claudes are new."""
    found = _NAME.search(model)
    if found is None:
        return OTHERS
    line = found[1] or _line_after(model)
    version = (int(found[2]), int(found[3] or 0)) if found[2] else _OLDEST if line == "instant" else _NEWEST
    if version >= (4, 7):
        return Family(
            takes_sampling=False,
            thinking="always" if line in _ALWAYS_THINK else "adaptive",
            efforts=(*_LOW_TO_HIGH, "xhigh", "max"),
            takes_system_turns=line not in ("sonnet", "haiku") and version >= (4, 8),
        )
    if line in _ALWAYS_THINK:
        return Family(takes_sampling=False, thinking="always", efforts=(*_LOW_TO_HIGH, "max"))
    if version >= (4, 6):
        return Family(takes_both=False, thinking="adaptive", efforts=(*_LOW_TO_HIGH, "max"))
    return Family(
        takes_both=version < (4, 1),
        thinking="budget" if version >= (3, 7) else "none",
        takes_schema=version >= (4, 5),
    )


def _line_after(model: str) -> str:
    """The line in names of the older order, `claude-3-5-haiku` and `claude-4.7-opus`."""
    return next((line for line in ("opus", "sonnet", "haiku", "fable", "mythos") if line in model), "")
