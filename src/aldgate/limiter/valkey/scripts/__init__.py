"""The scripts that run within Valkey: each decides and writes atomically, by Valkey's own clock."""

from hashlib import sha1
from pathlib import Path

from aldgate.limiter.valkey.resp import command

VALKEYS_CLOCK = "redis.call('TIME')"
_HOME = Path(__file__).parent


class Script:
    """One script, known to the server by the SHA-1 of its text once it was loaded.

    Args:
        name: Its file.
        clock: Lua that gives seconds and microseconds.
    """

    def __init__(self, name: str, clock: str) -> None:
        text = "".join((_HOME / f"{part}.lua").read_text(encoding="utf-8") for part in ("buckets", "processes", name))
        source = text.replace(VALKEYS_CLOCK, clock).encode()
        self.load = command(b"SCRIPT", b"LOAD", source)
        """The command that makes it known."""
        self._sha = sha1(source, usedforsecurity=False).hexdigest().encode()

    def head(self, keys: tuple[bytes, ...], arguments: int) -> bytes:
        """The beginning of a call with these keys, up to its arguments, which follow as bulk strings."""
        whole = command(b"EVALSHA", self._sha, b"%d" % len(keys), *keys)
        return b"*%d" % (3 + len(keys) + arguments) + whole[whole.index(b"\r\n") :]

    def call(self, keys: tuple[bytes, ...], *arguments: bytes) -> bytes:
        """The command that runs it."""
        return command(b"EVALSHA", self._sha, b"%d" % len(keys), *keys, *arguments)


class Scripts:
    """All of them, with one clock.

    Args:
        clock: Lua that gives seconds and microseconds; tests have a clock of their own.
    """

    def __init__(self, clock: str = VALKEYS_CLOCK) -> None:
        self.take = Script("take", clock)
        self.settle = Script("settle", clock)
        self.standings = Script("standings", clock)
        self.beat = Script("beat", clock)
        self.join = Script("join", clock)
        self.leave = Script("leave", clock)

    def all(self) -> tuple[Script, ...]:
        """Every script there is."""
        return self.take, self.settle, self.standings, self.beat, self.join, self.leave
