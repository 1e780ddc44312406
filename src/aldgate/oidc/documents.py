"""Questions to an issuer over HTTP: small JSON documents, whole or not at all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import msgspec

from aldgate.config.issuers import is_safe_url
from aldgate.core.errors import UpstreamInvalid, UpstreamTimeout
from aldgate.upstream.pool import Origin, Pool, Timeouts

MAX_DOCUMENT_BYTES = 1_048_576
TIMEOUT_S = 10.0
"""For a whole question, connecting included. Callers with a fresh token wait for it."""


class Document(NamedTuple):
    """A JSON object.

    Attributes:
        max_age_s: How long it may be kept, by its own word; None if it has none.
    """

    status: int
    fields: dict[str, Any]
    max_age_s: int | None


class Documents:
    """Fetches JSON from the hosts of one issuer. Redirects are not followed, and certificates are always checked.

    Args:
        tls: Whom to trust for https.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls

    async def get(self, url: str) -> Document:
        """What is at `url`.

        Raises:
            UpstreamError: There is no such document, or `url` is not to be trusted.
        """
        document = await self._ask("GET", url, {"accept": "application/json"}, b"")
        if document.status != 200:
            raise UpstreamInvalid(f"It answered with status {document.status}.", upstream_status=document.status)
        return document

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Document:
        """What `url` answers to a form, whatever the status.

        Raises:
            UpstreamError: No JSON object came, or `url` is not to be trusted.
        """
        sent = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded", **headers}
        return await self._ask("POST", url, sent, urlencode(form).encode())

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Document:
        if not is_safe_url(url, may_have_query=True):
            raise UpstreamInvalid("It names a URL that is neither https nor on this machine.")
        parts = urlsplit(url)
        try:
            origin = Origin.of(f"{parts.scheme}://{parts.netloc}")
        except ValueError as error:
            raise UpstreamInvalid(f"It names no host: {error}") from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = {"host": origin.host_header, **headers, "accept-encoding": "identity", "content-length": str(len(body))}
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        pool = Pool(origin, timeouts=Timeouts(connect_s=TIMEOUT_S / 2), max_body_bytes=MAX_DOCUMENT_BYTES, tls=self._tls)
        try:
            async with asyncio.timeout(TIMEOUT_S):  # it is asked a few times an hour; no sweep need know of it
                reply = await pool.request(f"{head}\r\n".encode("latin-1"), body)
                try:
                    return _document(reply.status, await reply.read(), reply.header(b"cache-control") or b"")
                finally:
                    reply.close()
        except TimeoutError:
            raise UpstreamTimeout(f"It did not answer within {TIMEOUT_S:g} s.") from None
        finally:
            await pool.aclose()


def _document(status: int, body: bytes, cache_control: bytes) -> Document:
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamInvalid(f"It did not answer with a JSON object (status {status}).", upstream_status=status) from None
    return Document(status, fields, _max_age(cache_control))


def _max_age(cache_control: bytes) -> int | None:
    """Seconds by a `Cache-Control` header (RFC 9111, 5.2.2); 0 where it forbids keeping."""
    for directive in cache_control.lower().split(b","):
        name, _, value = directive.strip().partition(b"=")
        if name in (b"no-store", b"no-cache"):
            return 0
        if name == b"max-age" and value.strip(b'"').isdigit():
            return int(value.strip(b'"')[:9])
    return None
