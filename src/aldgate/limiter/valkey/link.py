"""The way to Valkey: connects, introduces this process, keeps its heartbeat, and comes back after a loss."""

import asyncio
import logging
import random
import ssl
from collections import deque
from functools import partial

from aldgate.core.errors import StoreUnavailable
from aldgate.limiter.valkey.address import Address
from aldgate.limiter.valkey.connection import Connection, OnReply, is_error
from aldgate.limiter.valkey.presence import Presence
from aldgate.limiter.valkey.resp import Reply, ReplyError, command
from aldgate.limiter.valkey.scripts import Scripts

CONNECT_TIMEOUT_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.5
MOST_OWED = 10_000
log = logging.getLogger("aldgate.limiter")


class Link:
    """At most one connection, and whatever must be said first on it.

    Args:
        address: The server.
        tls: For `valkeys://`; None trusts the system's authorities.
        timeout_s: Seconds within which every command must be answered.
        scripts: What is run.
        presence: This process; joins with each connection.
    """

    def __init__(
        self, address: Address, tls: ssl.SSLContext | None, timeout_s: float, scripts: Scripts, presence: Presence
    ) -> None:
        self._address = address
        self._tls = (tls or ssl.create_default_context()) if address.is_tls else None
        self._timeout_s = timeout_s
        self._scripts = scripts
        self._presence = presence
        self._connection: Connection | None = None
        self._lost = asyncio.Event()
        self._loads = 0
        self._is_away = False
        self._owed: deque[bytes] = deque(maxlen=MOST_OWED)

    @property
    def is_up(self) -> bool:
        """True while Valkey can be asked."""
        return self._connection is not None

    def send(self, command: bytes, on_reply: OnReply) -> None:
        """Ask; without a connection `on_reply` hears of that at once."""
        if self._connection is None:
            on_reply(ConnectionError("There is no connection to Valkey."))
        else:
            self._connection.send(command, on_reply)

    def owe(self, command: bytes) -> None:
        """Send this once Valkey is back, whose reply nobody needs; of more than 10,000 the oldest are forgotten."""
        self._owed.append(command)

    async def ask(self, command: bytes) -> Reply:
        """Ask and wait.

        Raises:
            StoreUnavailable: No reply came, or an error.
        """
        if self._connection is None:
            raise StoreUnavailable("Valkey is away.", retry_after_s=1)
        reply = await self._connection.ask(command)
        if is_error(reply, "NOSCRIPT"):
            self.load()
            reply = await self._connection.ask(command)
        if isinstance(reply, ReplyError):
            raise StoreUnavailable(f"Valkey refuses: {reply}", retry_after_s=1)
        return reply

    def post(self, command: bytes) -> None:
        """Send what nobody waits for; whatever goes wrong with it starts the connection anew."""
        self.send(command, partial(self._posted, command, False))

    def _posted(self, command: bytes, is_repeated: bool, reply: Reply | ConnectionError) -> None:
        if is_error(reply, "NOSCRIPT") and not is_repeated:
            self.load()
            self.send(command, partial(self._posted, command, True))
        elif isinstance(reply, ReplyError):
            self.fail(str(reply))

    def load(self) -> None:
        """Make the scripts known again, before anything that is sent from now on."""
        if self._loads == 0:
            for script in self._scripts.all():
                self._loads += 1
                self.send(script.load, self._loaded)

    def _loaded(self, reply: Reply | ConnectionError) -> None:
        self._loads -= 1
        if isinstance(reply, ReplyError):
            self.fail(str(reply))

    def rejoin(self, name: bytes) -> None:
        """Valkey does not know this process by `name` (any more): introduce it anew, unless that has happened since."""
        if name == self._presence.name:
            self.send(self._presence.join(), partial(self._joined, self._presence.name))

    def _joined(self, name: bytes, reply: Reply | ConnectionError) -> None:
        if is_error(reply, "NOSCRIPT"):
            self.load()
            self.rejoin(name)
        elif isinstance(reply, ReplyError):
            self.fail(str(reply))

    def _beaten(self, name: bytes, reply: Reply | ConnectionError) -> None:
        if reply == 0:
            self.rejoin(name)
        elif is_error(reply, "NOSCRIPT"):
            self.load()
        elif isinstance(reply, ReplyError):
            self.fail(str(reply))

    def fail(self, why: str) -> None:
        """Something is wrong that a new connection may mend: this process joins anew, and so its counts are right again."""
        if self._connection is not None:
            self._connection.close(why)

    def _on_lost(self, connection: Connection, why: str) -> None:
        if connection is self._connection:
            self._connection = None
            self._lost.set()
            self._tell_away(why)

    def _tell_away(self, why: str) -> None:
        if not self._is_away:
            self._is_away = True
            log.warning("Valkey at %s is away, so each limit fails open or closed as it is set: %s", self._address, why)

    async def connect(self) -> None:
        """Connect, and introduce this process.

        Raises:
            StoreUnavailable: It is away, or refuses us.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                connection = await self._open(loop)
        except (OSError, TimeoutError, UnicodeError) as error:
            why = f"no connection to Valkey at {self._address}: {error or 'it took too long'}"
            raise StoreUnavailable(why, retry_after_s=1) from error
        self._loads = 0
        for each in self._overture():
            await self._expect(connection, each)
        if connection.is_lost:
            raise StoreUnavailable(f"Valkey at {self._address} closed the connection.", retry_after_s=1)
        # No turn between the two: calls that begin from here on are counted there, all others are in the introduction.
        self._connection = connection
        self._lost.clear()
        while self._owed:
            self.post(self._owed.popleft())
        await self._expect(connection, self._presence.join())
        if self._is_away:
            self._is_away = False
            log.warning("Valkey at %s is back", self._address)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connection:
        def protocol() -> Connection:
            return Connection(loop, self._timeout_s, self._on_lost)

        address = self._address
        if address.path:
            return (await loop.create_unix_connection(protocol, address.path))[1]
        return (await loop.create_connection(protocol, address.host, address.port, ssl=self._tls))[1]

    def _overture(self) -> list[bytes]:
        address = self._address
        commands: list[bytes] = []
        if address.password:
            commands.append(command(b"AUTH", (address.user or "default").encode(), address.password.encode()))
        if address.database:
            commands.append(command(b"SELECT", b"%d" % address.database))
        return commands + [script.load for script in self._scripts.all()]

    async def _expect(self, connection: Connection, command: bytes) -> None:
        try:
            reply = await connection.ask(command)
        except BaseException:
            connection.close("It was given up.")
            raise
        if isinstance(reply, ReplyError):
            connection.close(str(reply))
            raise StoreUnavailable(f"Valkey at {self._address} refuses: {reply}", retry_after_s=1)

    async def keep(self, beat_s: float) -> None:
        """Beat every `beat_s` seconds and reconnect after a loss, until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            if await self._is_connected():
                self.send(self._presence.beat(), partial(self._beaten, self._presence.name))
                try:
                    async with asyncio.timeout(beat_s):
                        await self._lost.wait()
                except TimeoutError:
                    pause_s = FIRST_PAUSE_S
                    continue
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _is_connected(self) -> bool:
        if self._connection is None:
            try:
                await self.connect()
            except StoreUnavailable as error:
                self._tell_away(error.message)
        return self._connection is not None

    async def aclose(self) -> None:
        """Wait for what was sent, take this process off the registry, and close."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.ask(self._presence.leave())
            except StoreUnavailable:
                log.info("Valkey did not see this process leave; its heartbeat will lapse")
            connection.close("This process ends.")
