"""Who may make a key without having one.

On a machine of one's own, the first key should need no other key. But a server on loopback is reached by more than its owner's
programs: by proxies that forward to it, by pages in a browser, and by names that point at 127.0.0.1 after the page was loaded.
So a request is only taken for the owner's own if nothing at all says that it came through anything.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from aldgate.core.addresses import is_forwarding, is_loopback
from aldgate.core.errors import MissingKey, RateLimited
from aldgate.surfaces.http.asgi import Scope, headers_of

MOST_PER_MINUTE = 10
_NEEDS = "Making a key needs an admin key: send it as `Authorization: Bearer KEY`, `X-API-Key` or `X-Admin-Secret`."


class Registration:
    """Decides on requests without a credential.

    Args:
        mode: `loopback`, `never` or `always`.
        is_bound_to_loopback: No listener of the server is reached from anywhere else.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        mode: Literal["loopback", "never", "always"],
        is_bound_to_loopback: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mode = mode
        self._is_bound_to_loopback = is_bound_to_loopback
        self._now = now
        self._made: deque[float] = deque(maxlen=MOST_PER_MINUTE)

    def check(self, scope: Scope) -> None:
        """Let a request make a key that may do what any key may, or refuse it.

        Raises:
            MissingKey: It needs an admin key.
            RateLimited: Ten were made within the last minute.
        """
        if self._mode == "never" or (self._mode == "loopback" and not (self._is_bound_to_loopback and is_from_here(scope))):
            raise MissingKey(_NEEDS)
        now = self._now()
        if len(self._made) == MOST_PER_MINUTE and now - self._made[0] < 60:
            wait_s = int(60 - (now - self._made[0])) + 1
            raise RateLimited("Too many keys were made without a credential.", retry_after_s=wait_s)
        self._made.append(now)


def is_from_here(scope: Scope) -> bool:
    """Whether a program on this machine sent the request itself: no proxy, and no page of anybody's."""
    headers = headers_of(scope)
    peer = scope.get("client")
    if not peer or not is_loopback(peer[0]):
        return False
    if any(map(is_forwarding, headers)):
        return False
    host = headers.get(b"host", b"").decode("latin-1")
    if not is_loopback(_without_port(host)):
        return False
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return False
    origin = headers.get(b"origin")
    return origin is None or origin.decode("latin-1").lower() == f"{scope['scheme']}://{host}".lower()


def _without_port(host: str) -> str:
    return host if host.startswith("[") or host.count(":") != 1 else host.partition(":")[0]
