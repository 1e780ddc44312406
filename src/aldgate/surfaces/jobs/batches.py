"""`/v1/batches`: calls that the gate makes by itself, from a file, with whatever provider has the model.

Wire: https://platform.openai.com/docs/api-reference/batch.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec

from aldgate.core.batches import WINDOW_S, StoredBatch
from aldgate.core.errors import Conflict, IdempotencyConflict, InvalidRequest, NotFound, RateLimited, ScopeDenied
from aldgate.core.files import lifetime_s
from aldgate.core.principals import Principal
from aldgate.gate.policies.permission import check_path
from aldgate.jobs.batches import BatchWorker
from aldgate.jobs.files import Files
from aldgate.storage import BatchStore
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.jobs.files import lifetime, page, retained_s, whole_number
from aldgate.surfaces.paths import BATCHED

MOST_LISTED = 100
USUALLY_LISTED = 20
_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")

Key = Annotated[str, msgspec.Meta(max_length=64)]
Value = Annotated[str, msgspec.Meta(max_length=512)]


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True):
    """How long result files live."""

    anchor: Literal["created_at"]
    seconds: int


class BatchRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A batch to be made."""

    input_file_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    endpoint: Annotated[str, msgspec.Meta(examples=sorted(BATCHED))]
    completion_window: Literal["24h"]
    metadata: Annotated[dict[Key, Value], msgspec.Meta(max_length=16)] | None = None
    output_expires_after: ExpiresAfter | None = None


class BatchesFace:
    """What the paths under `/v1/batches` do.

    Args:
        store: Where they are kept.
        files: Where their input is.
        worker: Carries them on.
        most_unfinished: Batches of an account that may wait or run.
    """

    def __init__(self, store: BatchStore, files: Files, worker: BatchWorker, most_unfinished: int) -> None:
        self._store = store
        self._files = files
        self._worker = worker
        self._most_unfinished = most_unfinished

    async def create(self, principal: Principal, body: bytes, key: str | None) -> dict[str, Any]:
        """Make a batch; it begins at once. The same idempotency key with the same request is the same batch.

        Raises:
            InvalidRequest: A field is not what it should be, or the file is none for batches.
            ScopeDenied: The key may not make batches, or not such calls.
            PolicyDenied: Its policies have not this endpoint.
            RateLimited: Too many of the account's batches are unfinished.
            IdempotencyConflict: The key came with another request before.
        """
        require_batches(principal)
        wanted = decoded(body, BatchRequest)
        batch = await self._planned(principal, wanted, key)
        if await self._store.count_unfinished_batches(principal.account) >= self._most_unfinished:
            made = await self._store.get_batch(principal.account, batch.id)
            if made is None:
                raise RateLimited(f"{self._most_unfinished} batches of this key are unfinished.", retry_after_s=60)
        try:
            await self._store.add_batch(batch)
        except Conflict:
            return describe(await self._made_before(batch))
        self._worker.nudge(batch.id)
        return describe(batch)

    async def _planned(self, principal: Principal, wanted: BatchRequest, key: str | None) -> StoredBatch:
        if wanted.endpoint not in BATCHED:
            raise InvalidRequest(f"`endpoint` is one of {', '.join(sorted(BATCHED))}.", param="endpoint")
        operation = BATCHED[wanted.endpoint]
        if operation not in principal.rights.scopes:
            raise ScopeDenied(f"This API key may not {operation}.")
        if principal.rights.tells_places:
            check_path(principal, wanted.endpoint)
        try:
            file = await self._files.find(principal.account, wanted.input_file_id)
        except NotFound as error:
            raise InvalidRequest(error.message, param="input_file_id") from None
        if file.purpose != "batch":
            raise InvalidRequest(f"The purpose of this file is `{file.purpose}`, not `batch`.", param="input_file_id")
        now = time.time()
        named = secrets.token_hex(12)
        if key is not None:
            named = blake2b(f"{principal.account}\0{key}".encode(), digest_size=12).hexdigest()
        return StoredBatch(
            id=f"batch_{named}",
            account=principal.account,
            principal=principal.id,
            endpoint=wanted.endpoint,
            input_file_id=file.id,
            input_sha256=file.sha256,
            created_at=now,
            expires_at=now + WINDOW_S,
            metadata=wanted.metadata,
            output_lifetime_s=_output_lifetime_s(principal, wanted),
        )

    async def _made_before(self, batch: StoredBatch) -> StoredBatch:
        made = await self._find(batch.account, batch.id)
        same = ("endpoint", "input_file_id", "metadata", "output_lifetime_s")
        if any(getattr(made, name) != getattr(batch, name) for name in same):
            raise IdempotencyConflict("This `Idempotency-Key` was used with another request before.")
        return made

    async def list(self, principal: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """The account's batches, newest first; `limit` and `after` choose.

        Raises:
            InvalidRequest: A parameter has a value it cannot have.
        """
        require_batches(principal)
        limit = whole_number(query, "limit", USUALLY_LISTED, MOST_LISTED)
        after = query.get("after")
        last = await self._find(principal.account, after) if after else None
        found = await self._store.list_batches(principal.account, after=last, limit=limit + 1)
        return page([describe(batch) for batch in found], limit)

    async def get(self, principal: Principal, batch_id: str) -> dict[str, Any]:
        """One batch as it is now."""
        require_batches(principal)
        return describe(await self._find(principal.account, batch_id))

    async def cancel(self, principal: Principal, batch_id: str) -> dict[str, Any]:
        """Begin no more of its lines; those under way end.

        Raises:
            Conflict: It has ended.
        """
        require_batches(principal)
        batch = await self._store.cancel_batch(principal.account, batch_id, time.time())
        if batch is None:
            raise _no_such_batch(batch_id)
        if batch.status not in ("cancelling", "cancelled"):
            raise Conflict(f"The batch is {batch.status.replace('_', ' ')}; it cannot be cancelled any more.")
        self._worker.nudge(batch.id)
        return describe(batch)

    async def _find(self, account: str, batch_id: str) -> StoredBatch:
        batch = await self._store.get_batch(account, batch_id)
        if batch is None:
            raise _no_such_batch(batch_id)
        return batch


def _output_lifetime_s(principal: Principal, wanted: BatchRequest) -> int | None:
    expiry = wanted.output_expires_after
    lives_s = expiry and lifetime(expiry.anchor, expiry.seconds, "output_expires_after")
    if principal.rights.retention_s is None:
        return lives_s
    kept_s = retained_s(principal, lives_s or lifetime_s("batch_output"))
    return None if kept_s is None else max(1, int(kept_s))


def require_batches(principal: Principal) -> None:
    """Refuse whoever may not make batches.

    Raises:
        ScopeDenied: The principal has no `batches` scope.
    """
    if "batches" not in principal.rights.scopes:
        raise ScopeDenied("This API key may not use batches.")


def describe(batch: StoredBatch) -> dict[str, Any]:
    """A batch as the API shows it."""
    times = {f"{name}_at": getattr(batch, f"{name}_at") for name in _TIMES}
    errors = [msgspec.structs.asdict(error) for error in batch.errors]
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": errors} if errors else None,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": batch.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": int(batch.created_at),
        "expires_at": int(batch.expires_at),
        **{name: None if at is None else int(at) for name, at in times.items()},
        "request_counts": {"total": batch.total, "completed": batch.completed, "failed": batch.failed},
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": batch.cached_tokens},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": batch.reasoning_tokens},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
        "metadata": batch.metadata,
    }


def _no_such_batch(batch_id: str) -> NotFound:
    return NotFound(f"There is no batch `{batch_id[:100]}`.", param="id")
