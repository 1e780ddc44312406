"""This process as Valkey knows it: under which name, and how many calls it has under way."""

import secrets
from collections.abc import Sequence

from aldgate.limiter.valkey.resp import bulk
from aldgate.limiter.valkey.scripts import Scripts


class Presence:
    """Counts calls under way here, so that Valkey can be told them again when it has forgotten or was away.

    Each time it joins it takes a new name: what was sent under an older one, and may be carried out late, counts for nobody.

    Args:
        process: What the names begin with, for people who look.
        registry: The key of the registry.
        scripts: What is run.
        lapse_s: Seconds without a heartbeat after which a process is missed.
        grace_s: Seconds for which one is missed before it counts as lost, and that others may take to come back.
    """

    def __init__(self, process: str, registry: bytes, scripts: Scripts, *, lapse_s: float, grace_s: float) -> None:
        self._process = process.lstrip("?")  # which would say that it is missed
        self._registry = registry
        self._scripts = scripts
        self._lapse_ms = b"%d" % round(lapse_s * 1000)
        self._grace_ms = b"%d" % round(grace_s * 1000)
        self._under_way: dict[bytes, int] = {}
        self.name = b""
        self.bulk = bulk(b"")
        """The name as scripts get it."""

    def add(self, keys: Sequence[bytes]) -> None:
        """A call began, which takes a place under each key."""
        for key in keys:
            self._under_way[key] = self._under_way.get(key, 0) + 1

    def remove(self, keys: Sequence[bytes]) -> None:
        """A call that was added has ended."""
        for key in keys:
            left = self._under_way[key] - 1
            if left:
                self._under_way[key] = left
            else:
                del self._under_way[key]

    def join(self) -> bytes:
        """Take a new name; the command that registers it with all calls under way now."""
        before, self.name = self.name, f"{self._process}:{secrets.token_hex(8)}".encode()
        self.bulk = bulk(self.name)
        counts = [b"%d" % count for count in self._under_way.values()]
        keys = (self._registry, *self._under_way)
        return self._scripts.join.call(keys, self.name, before, self._grace_ms, *counts)

    def beat(self) -> bytes:
        """The command that says this process lives."""
        return self._scripts.beat.call((self._registry,), self.name, self._lapse_ms, self._grace_ms)

    def leave(self) -> bytes:
        """The command that takes it off the registry."""
        return self._scripts.leave.call((self._registry,), self.name)
