"""Administrative acts in the log, which is told when nothing else is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from aldgate.core.principals import Principal

log = logging.getLogger("aldgate.acts")


class LoggedActs:
    """Writes them to the log."""

    async def did(self, who: Principal, act: str, target: str, details: Mapping[str, Any]) -> None:
        """See `ports.Acts`."""
        log.info("%s", act, extra={"principal": who.id, "target": target, "details": dict(details)})
