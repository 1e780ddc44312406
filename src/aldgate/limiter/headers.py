"""Rate-limit headers: OpenAI's names for each kind of limit, and the standard ones for the tightest.

https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers, and
https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-07, whose fields of their own proxies and clients know.
"""

from __future__ import annotations

from collections.abc import Iterable

from aldgate.core.limits import SECOND
from aldgate.limiter.memory import Standing

Headers = list[tuple[bytes, bytes]]

_NAMES = {
    word: (b"x-ratelimit-limit-" + word, b"x-ratelimit-remaining-" + word, b"x-ratelimit-reset-" + word)
    for word in (b"requests", b"tokens")
}
_AT_ONCE = b"0ms"


def rate_headers(standings: Iterable[Standing]) -> Headers:
    """The headers that tell of these limits."""
    headers: Headers = []
    tightest = None
    for word, limit, left, reset_ns in standings:
        limit_name, left_name, reset_name = _NAMES[word]
        said = b"%d" % limit, b"%d" % left
        headers.append((limit_name, said[0]))
        headers.append((left_name, said[1]))
        headers.append((reset_name, _duration(reset_ns) if reset_ns else _AT_ONCE))
        if tightest is None or left * tightest[0] < tightest[1] * limit:
            tightest = limit, left, reset_ns, said
    if tightest is not None:
        _, _, reset_ns, (limit, left) = tightest
        headers.append((b"ratelimit-limit", limit))
        headers.append((b"ratelimit-remaining", left))
        headers.append((b"ratelimit-reset", b"%d" % -(-reset_ns // SECOND)))
    return headers


def _duration(nanoseconds: int) -> bytes:
    """A wait in OpenAI's spelling: `20ms`, `7.5s`, `6m0s`, `1h2m3s`."""
    milliseconds = -(-nanoseconds // 1_000_000)
    if milliseconds < 1000:
        return b"%dms" % milliseconds
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s".encode()
    minutes, seconds = divmod(-(-milliseconds // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return b"%dh%dm%ds" % (hours, minutes, seconds) if hours else b"%dm%ds" % (minutes, seconds)
