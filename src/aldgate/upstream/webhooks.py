"""Asks services of the operator's about texts, for guardrails: a signed POST, and a verdict as its answer.

Addresses stand in policies, which only operators write; redirects are not followed. Signatures are those of Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from aldgate.config.secret import Secret
from aldgate.core.calls import Call
from aldgate.core.errors import NotSupported, UpstreamError, UpstreamInvalid
from aldgate.core.guardrails.kinds import Webhook
from aldgate.core.guardrails.verdicts import PASSES, Question, Verdict
from aldgate.upstream.pool import Origin, Pool, Sweeper, Timeouts

MOST_POOLS = 100
_ENCODED = "whsec_"


class _Answer(msgspec.Struct):
    verdict: Literal["allow", "block", "replace"]
    texts: tuple[str, ...] = ()


_answer = msgspec.json.Decoder(_Answer)


class Webhooks:
    """Judges for `Webhook`.

    Args:
        secret: Signs what is asked; None: nobody is asked.
        trust: Makes the TLS context for https.
        sweeper: Keeps the deadlines.
        max_body_bytes: Longest answer.
        now: Unix seconds.
    """

    def __init__(
        self,
        secret: Secret | None,
        trust: Callable[[], ssl.SSLContext],
        sweeper: Sweeper,
        *,
        max_body_bytes: int = 67_108_864,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._key = _key_of(secret.reveal()) if secret is not None else b""
        self._trust = trust
        self._tls: ssl.SSLContext | None = None
        self._sweeper = sweeper
        self._max_body_bytes = max_body_bytes
        self._now = now
        self._pools: dict[tuple[Origin, float], Pool] = {}

    async def judge(self, call: Call, question: Question) -> Verdict:
        """A `ports.Judge`."""
        guardrail = question.guardrail
        assert isinstance(guardrail, Webhook)
        if not self._key:
            raise NotSupported("`guardrails.webhook_secret` is not set, and webhooks are asked signed or not at all.")
        parts = urlsplit(guardrail.url)
        pool = await self._pool(guardrail)
        body = _question(call, question)
        reply = await pool.request(self._head(pool, parts.path or "/", call.id, body), body)
        try:
            answer = await reply.read()
        finally:
            reply.close()
        if reply.status != 200:
            raise UpstreamError(f"The webhook answered with {reply.status}.", upstream_status=reply.status)
        return _verdict(question, answer)

    async def aclose(self) -> None:
        """Close what is idle."""
        for pool in self._pools.values():
            await pool.aclose()

    async def _pool(self, guardrail: Webhook) -> Pool:
        timeout_s = guardrail.timeout_s
        try:
            origin = Origin.of(guardrail.url)
        except ValueError as error:
            raise NotSupported(f"The guardrail's webhook cannot be asked: {error}.") from None
        pool = self._pools.get((origin, timeout_s))
        if pool is None:
            if len(self._pools) >= MOST_POOLS:
                await self._pools.pop(next(iter(self._pools))).aclose()
            if origin.is_tls and self._tls is None:
                self._tls = self._trust()
            timeouts = Timeouts(timeout_s, timeout_s, timeout_s, timeout_s)
            pool = Pool(origin, timeouts=timeouts, max_body_bytes=self._max_body_bytes, tls=self._tls)
            self._pools[origin, timeout_s] = pool
            self._sweeper.pools.add(pool)
        return pool

    def _head(self, pool: Pool, path: str, call_id: str, body: bytes) -> bytes:
        at = str(int(self._now()))
        signed = hmac.new(self._key, f"{call_id}.{at}.".encode() + body, hashlib.sha256).digest()
        return (
            f"POST {path} HTTP/1.1\r\nhost: {pool.origin.host_header}\r\naccept: application/json\r\n"
            f"accept-encoding: identity\r\ncontent-type: application/json\r\nwebhook-id: {call_id}\r\nwebhook-timestamp: {at}\r\n"
            f"webhook-signature: v1,{base64.b64encode(signed).decode()}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode("ascii")


def _key_of(secret: str) -> bytes:
    if not secret.startswith(_ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
    except binascii.Error:
        return secret.encode()


def _question(call: Call, question: Question) -> bytes:
    return msgspec.json.encode(
        {
            "type": "guardrail",
            "guardrail": question.guardrail.title,
            "place": question.place,
            "call": call.id,
            "principal": call.principal.id,
            "operation": call.operation,
            "model": call.peek.model,
            "texts": [text.encode("utf-8", "replace").decode() for text in question.texts],
            "before": question.before.encode("utf-8", "replace").decode(),
        }
    )


def _verdict(question: Question, body: bytes) -> Verdict:
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamInvalid("The webhook's answer is no verdict.") from None
    match answer.verdict:
        case "allow":
            return PASSES
        case "block":
            return Verdict("content that is not allowed")
        case "replace":
            if len(answer.texts) != len(question.texts):
                raise UpstreamInvalid("The webhook's answer has not as many texts as it was asked about.")
            return Verdict(texts=answer.texts)
