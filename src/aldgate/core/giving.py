"""What an administrator may give to others: never more than they have themselves.

Whoever is restricted may give only what stands beneath the very levels that restrict them, so that one policy holds for both and
one counter counts for both. What restricts nobody but a key itself, nothing else can stand beneath. The scope `admin` is the
right to give any scope, so scopes are no restriction here; and an end is none of a kind that has to be shared: what is given ends
no later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from aldgate.core.errors import PolicyDenied
from aldgate.core.levels import Level
from aldgate.core.policies import ANYTHING, Policy
from aldgate.core.principals import Principal


def restriction(policy: Policy) -> str | None:
    """The first field by which a policy restricts, beyond scopes and an end; None: it does not."""
    return next((name for name in _RESTRICTING if getattr(policy, name) != getattr(ANYTHING, name)), None)


def check_given(maker: Principal, levels: Sequence[Level], expires_at: float | None = None) -> None:
    """See that what is made or changed, or whose secret is shown, is no more than its maker.

    Args:
        maker: Who gives it.
        levels: Whose policies will hold for it, the outermost first, as they will be.
        expires_at: Unix seconds at which it ends besides; None: never.

    Raises:
        PolicyDenied: It would be free of what restricts the maker, or outlive them.
    """
    check_beneath(maker, levels)
    last, end = end_of(maker), _earliest([expires_at, *(level.policy.expires_at for level in levels)])
    if last is not None and (end is None or end > last):
        at = datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds")
        raise PolicyDenied(f"Your own rights end at {at}, and this would outlive them: let it end by then, or ask somebody else.")


def check_beneath(maker: Principal, levels: Iterable[Level]) -> None:
    """`check_given` without regard to ends.

    Raises:
        PolicyDenied: As there.
    """
    given = {level.account: level.policy for level in levels}
    for level in maker.levels:
        field = restriction(level.policy)
        if field is not None and (level.account not in given or not _restricts_alike(level.policy, given[level.account])):
            raise PolicyDenied(
                f"The policy of {level} restricts you (`{field}`), and this would be free of that."
                " Only an administrator without this restriction may do it."
            )


def end_of(maker: Principal) -> float | None:
    """When a maker's rights end, in Unix seconds; None: never. A login ends, but not the rights of who logged in."""
    return maker.expires_at if maker.kind == "key" else maker.rights.expires_at


def ending(maker: Principal, expires_at: float | None) -> float | None:
    """The end of something new that was to end at `expires_at`: no later than its maker's rights."""
    return _earliest((expires_at, end_of(maker)))


def _earliest(ends: Iterable[float | None]) -> float | None:
    return min((at for at in ends if at is not None), default=None)


def _restricts_alike(one: Policy, other: Policy) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in _RESTRICTING)


_RESTRICTING = tuple(field.name for field in msgspec.structs.fields(Policy) if field.name not in ("scopes", "expires_at"))
