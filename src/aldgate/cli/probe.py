"""Asks a gate things that it should refuse, over connections of their own."""

import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from aldgate.cli.errors import CliError

TIMEOUT_S = 10.0
MORE_S = 0.5
"""How long a second answer is waited for."""
LONGEST_HEAD = 65_536


class Answer(NamedTuple):
    """What came back; status 0: the connection was closed without an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The object in the body; empty if there is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return cast(dict[str, Any], value) if isinstance(value, dict) else {}


class Probe:
    """A gate at `url`, asked with any headers.

    Args:
        url: Where it is.
        timeout_s: For each answer.
        is_verified: Its certificate must be good.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, is_verified: bool = True) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._is_verified = is_verified
        self._address = urlsplit(url)
        self.is_tls = self._address.scheme == "https"
        self.host = self._address.hostname or ""
        self._port = self._address.port or (443 if self.is_tls else 80)

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: bytes | None = None) -> Answer:
        """Send one request; redirects are not followed.

        Raises:
            CliError: Nobody answered.
        """
        from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected

        line = (
            HTTPSConnection(self.host, self._port, timeout=self._timeout_s, context=self._context())
            if self.is_tls
            else HTTPConnection(self.host, self._port, timeout=self._timeout_s)
        )
        with closing(line) as connection:
            try:
                connection.request(method, self._address.path + path, body, dict(headers))
                reply = connection.getresponse()
                told = {name.lower(): value for name, value in reply.getheaders()}
                return Answer(reply.status, told, reply.read(1_000_000 if "json" not in told.get("content-type", "") else None))
            except RemoteDisconnected:
                return Answer(0, {}, b"")
            except (OSError, HTTPException) as error:
                hint = "check --url or ALDGATE_URL, and that `aldgate serve` runs there"
                raise CliError(f"nobody answers at {self.url}: {error or type(error).__name__}", hint=hint) from None

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if not self._is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def raw(self, data: bytes) -> list[int]:
        """Send bytes as they are, and return the statuses of all that is answered until the other end closes."""
        import socket

        with closing(socket.create_connection((self.host, self._port), TIMEOUT_S)) as plain:
            line = self._context().wrap_socket(plain, server_hostname=self.host) if self.is_tls else plain
            told = b""
            try:
                line.sendall(data)
                while (piece := line.recv(65_536)) and len(told) < LONGEST_HEAD:
                    told += piece
                    line.settimeout(MORE_S)
            except OSError:
                pass  # it closed, or waits for more: what it said until then counts
        return [int(part[:3]) for part in told.replace(b"HTTP/1.0 ", b"HTTP/1.1 ").split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]
