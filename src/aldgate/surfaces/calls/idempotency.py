"""`Idempotency-Key`: the same key and request give the same answer, once paid for; another request is a conflict.

What is kept is what was sent, so a replay is the same to the byte, streams included. A call that was refused or failed without
costing anything is not kept: its key may be tried anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeGuard

import msgspec

from aldgate.core.errors import (
    ClientGone,
    GatewayError,
    IdempotencyConflict,
    IdempotencyInProgress,
    IdempotencyUnknown,
    InvalidRequest,
    StoreUnavailable,
)
from aldgate.core.kept import IdempotencyRecord, SavedReply
from aldgate.storage import Store
from aldgate.surfaces.calls.recorder import Recorder
from aldgate.surfaces.http.asgi import Outlet, Scope

log = logging.getLogger("aldgate.idempotency")

IDEMPOTENCY_KEY = b"idempotency-key"
LONGEST_KEY = 255
MOST_KEPT_BYTES = 1_048_576
TOO_LARGE = SavedReply(0, (), b"")
"""Stands for a reply that was too large to be kept."""
WITHHELD = SavedReply(0, (), b"withheld")
"""Stands for a reply that nobody got, because the ledger could not be written, though the provider did the work."""


def idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    """The request's idempotency key.

    Raises:
        InvalidRequest: Empty, too long or not printable ASCII.
    """
    value = headers.get(IDEMPOTENCY_KEY)
    if value is None:
        return None
    if not 0 < len(value) <= LONGEST_KEY or not all(32 < byte < 127 for byte in value):
        raise InvalidRequest(f"An `Idempotency-Key` has 1 to {LONGEST_KEY} printable ASCII characters.")
    return value.decode()


def asked_by(scope: Scope, headers: Mapping[bytes, bytes]) -> bytes:
    """What a request asks for beside its body: its path, its query but for a credential, and what Anthropic's headers choose."""
    query = b"&".join(part for part in scope["query_string"].split(b"&") if part and not part.startswith(b"key="))
    chosen = [b"%b: %b" % (name, value) for name, value in sorted(headers.items()) if name.startswith(b"anthropic-")]
    path: bytes = scope["path"].encode()
    return b"\n".join((path + b"?" + query if query else path, *chosen))


class _UnderWay(msgspec.Struct):
    fingerprint: bytes
    reply: asyncio.Future[SavedReply | None]
    is_unsaved: bool = False
    """The answer is out, but the database did not take it: until it does, it is kept here."""


class Once:
    """Serves each idempotency key once.

    Args:
        store: Keeps finished replies for a day.
        incarnation: This process's random id: a key begun by another process and never finished is a call of unknown fate.
        now: Unix seconds.
        is_alive: Whether the process with this id is serving. A key that it has begun is under way there.
    """

    def __init__(
        self, store: Store, incarnation: str, now: Callable[[], float], is_alive: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._store = store
        self._incarnation = incarnation
        self._now = now
        self._is_alive = is_alive
        self._under_way: dict[tuple[str, str], _UnderWay] = {}

    async def serve(
        self, principal: str, key: str, request: bytes, outlet: Outlet, call: Callable[[Outlet], Awaitable[None]]
    ) -> None:
        """Answer with the kept reply, or make the call and keep its reply.

        Raises:
            IdempotencyConflict: The key came with another request before.
            IdempotencyInProgress: Another process is making the first call.
            IdempotencyUnknown: A crash cut the first call off, or its answer was not kept.
            GatewayError: What the call itself raises.
        """
        fingerprint = hashlib.sha256(request).digest()
        while first := self._under_way.get((principal, key)):
            _check(first.fingerprint, fingerprint)
            reply = await asyncio.shield(first.reply)
            if reply is not None:
                if first.is_unsaved and await self._finish(principal, key, reply):
                    self._under_way.pop((principal, key), None)
                return _replay(outlet, reply)
        mine = self._under_way[principal, key] = _UnderWay(fingerprint, asyncio.get_running_loop().create_future())
        reply = None
        try:
            reply = await self._first(mine, principal, key, outlet, call)
        except GatewayError as error:
            if error.has_run:
                reply = await self._keep(mine, principal, key, WITHHELD)
            raise
        finally:
            if not mine.is_unsaved:
                del self._under_way[principal, key]
            mine.reply.set_result(reply)

    async def _first(
        self, mine: _UnderWay, principal: str, key: str, outlet: Outlet, call: Callable[[Outlet], Awaitable[None]]
    ) -> SavedReply | None:
        record = await self._begin(mine, principal, key)
        if record is not None and record.reply is not None:
            _replay(outlet, record.reply)
            return record.reply
        recorder = _Owed(outlet, MOST_KEPT_BYTES)
        try:
            await call(recorder)
        except GatewayError as error:
            if not error.has_run:
                await self._finish(principal, key, None)
            raise
        return await self._keep(mine, principal, key, recorder.reply())

    async def _begin(self, mine: _UnderWay, principal: str, key: str) -> IdempotencyRecord | None:
        """Claim the key, unless another process has it or had it."""
        claim = principal, key, mine.fingerprint, self._incarnation
        record = await self._store.begin_idempotent(*claim, self._now())
        if self._is_elsewhere(record, mine):
            if await self._is_alive(record.incarnation):
                under_way = "The first call with this `Idempotency-Key` is under way; repeat it for its answer."
                raise IdempotencyInProgress(under_way, retry_after_s=1)
            record = await self._store.begin_idempotent(*claim, self._now())  # the other may have finished before it left
            if self._is_elsewhere(record, mine):
                raise IdempotencyUnknown("The first call with this `Idempotency-Key` was cut off; use a new key to call again.")
        return record

    def _is_elsewhere(self, record: IdempotencyRecord | None, mine: _UnderWay) -> TypeGuard[IdempotencyRecord]:
        if record is None:
            return False
        _check(record.fingerprint, mine.fingerprint)
        return record.reply is None and record.incarnation != self._incarnation

    async def _keep(self, mine: _UnderWay, principal: str, key: str, reply: SavedReply | None) -> SavedReply | None:
        mine.is_unsaved = not await self._finish(principal, key, reply) and reply is not None
        return reply

    async def _finish(self, principal: str, key: str, reply: SavedReply | None) -> bool:
        """Keep the reply, or let the key go. False: the database is away, and the caller has got an answer all the same."""
        try:
            await self._store.finish_idempotent(principal, key, reply)
        except StoreUnavailable as error:
            log.error("the database did not take what became of an idempotency key", exc_info=error)
            return False
        return True


def _check(first: bytes, now: bytes) -> None:
    if first != now:
        raise IdempotencyConflict("This `Idempotency-Key` was used with another request before.")


def _replay(outlet: Outlet, reply: SavedReply) -> None:
    if reply == WITHHELD:
        raise IdempotencyUnknown("The call was made, but its answer was withheld; use a new key to call again.")
    if not reply.status:
        raise IdempotencyUnknown("The answer to this `Idempotency-Key` was too large to be kept; use a new key to call again.")
    outlet.begin(reply.status, [*reply.headers, (b"idempotent-replayed", b"true")])
    outlet.end(reply.body)


class _Owed(Recorder):
    """An answer that is kept for the repetition, whoever is there to read it now."""

    def write(self, piece: bytes) -> Awaitable[None] | bool:
        passed = super().write(piece)
        if self.is_too_large and self.is_lost:
            raise ClientGone("The caller left, and the answer is too large to be kept for it.")
        return passed

    def reply(self) -> SavedReply | None:
        if not self.is_complete:
            return None
        if self.is_too_large:
            return TOO_LARGE
        body = b"".join(self.pieces)
        headers = [(name, value) for name, value in self.headers if name != b"content-length"]
        return SavedReply(self.status, (*headers, (b"content-length", b"%d" % len(body))), body)
