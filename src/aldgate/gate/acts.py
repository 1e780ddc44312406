"""Administrative acts: who is told of them, and the log, which is told when nothing else is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from aldgate.core.principals import Principal

log = logging.getLogger("aldgate.acts")


class Acts(Protocol):
    """Is told of every administrative act, once it is done."""

    async def did(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """`who` did `act`, as in `user.disable`, to what has the id `target`. No secret is in `details`."""
        ...


class LoggedActs:
    """Writes them to the log."""

    async def did(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """See `Acts`."""
        log.info("%s", act, extra={"principal": who.id, "target": target, "details": dict(details)})
