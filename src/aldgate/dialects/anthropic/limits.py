"""Rate-limit headers as Anthropic writes them (https://platform.claude.com/docs/en/api/rate-limits#response-headers)."""

from collections.abc import Iterable
from datetime import UTC, datetime


def limit_headers(standings: Iterable[tuple[bytes, int, int, int]], now: float) -> list[tuple[bytes, bytes]]:
    """A triple of headers for each limit.

    Args:
        standings: What is counted (`requests`, `tokens`), how much is allowed, how much is left, and in how many nanoseconds all
            of it is there again.
        now: Unix seconds.
    """
    headers: list[tuple[bytes, bytes]] = []
    for unit, limit, remaining, reset_ns in standings:
        at = datetime.fromtimestamp(now + -(-reset_ns // 1_000_000_000), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        values = (b"limit", b"%d" % limit), (b"remaining", b"%d" % remaining), (b"reset", at.encode())
        headers += [(b"anthropic-ratelimit-%b-%b" % (unit, name), value) for name, value in values]
    return headers
