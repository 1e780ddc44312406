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


def rate_headers(standings: Iterable[Standing]) -> Headers:
    """The headers that tell of these limits."""
    headers: Headers = []
    tightest: Standing | None = None
    for standing in standings:
        limit, remaining, reset = _NAMES[standing.word]
        headers += ((limit, b"%d" % standing.limit), (remaining, b"%d" % standing.left), (reset, _duration(standing.reset_ns)))
        if tightest is None or standing.left * tightest.limit < tightest.left * standing.limit:
            tightest = standing
    if tightest is not None:
        headers += (
            (b"ratelimit-limit", b"%d" % tightest.limit),
            (b"ratelimit-remaining", b"%d" % tightest.left),
            (b"ratelimit-reset", b"%d" % -(-tightest.reset_ns // SECOND)),
        )
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
