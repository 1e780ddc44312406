"""Who may look at jobs, and at whose."""

from __future__ import annotations

from typing import get_args

from aldgate.core.errors import ScopeDenied
from aldgate.core.levels import Operation
from aldgate.core.principals import Principal

_MAY = frozenset(get_args(Operation)) | {"files", "admin"}
"""Any call can be a job."""


def check_may_look(who: Principal) -> None:
    """Refuse whoever can have no jobs.

    Raises:
        ScopeDenied: The principal may have nothing made, and call nothing.
    """
    if not who.rights.scopes & _MAY:
        raise ScopeDenied("This API key may not use jobs.")


def whose(who: Principal) -> str | None:
    """The account whose jobs somebody sees; None: everybody's."""
    return None if "admin" in who.rights.scopes else who.account
