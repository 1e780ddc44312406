"""Where a Valkey or Redis server is, as one URL says it."""

from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from aldgate.core.errors import InvalidConfiguration

DEFAULT_PORT = 6379
_TCP = {"redis": False, "valkey": False, "rediss": True, "valkeys": True}
_UNIX = frozenset({"unix", "redis+unix", "valkey+unix", "redis+socket"})
_FORMS = "`valkey://HOST:PORT/DATABASE`, `valkeys://` for TLS, or `unix:///path/to/socket?db=0`, with `USER:PASSWORD@` if needed"


class Address(NamedTuple):
    """How to reach the server, and as whom."""

    host: str
    port: int
    path: str
    """Unix socket; empty is TCP."""
    is_tls: bool
    user: str
    """ACL user; empty is `default`."""
    password: str
    database: int

    def __repr__(self) -> str:
        return f"Address({self})"

    def __str__(self) -> str:
        """Without its password."""
        return self.path or f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read `redis://`, `rediss://`, `valkey://`, `valkeys://` and `unix://`.

    Raises:
        InvalidConfiguration: It is none of these. The message does not show the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidConfiguration(f"`valkey.url` is no URL: write {_FORMS}.") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme in _UNIX:
        path, database = unquote(parts.path), parse_qs(parts.query).get("db", ["0"])[-1]
        if path and not parts.hostname:
            return Address("", 0, path, False, user, password, _database(database))
    elif parts.scheme in _TCP and not parts.query:
        database = parts.path.strip("/") or "0"
        host = parts.hostname or "127.0.0.1"
        return Address(host, port or DEFAULT_PORT, "", _TCP[parts.scheme], user, password, _database(database))
    raise InvalidConfiguration(f"`valkey.url` is not understood: write {_FORMS}.")


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidConfiguration("`valkey.url` names no database: it is a number, 0 unless you say otherwise.")
    return int(text)
