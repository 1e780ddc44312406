"""Where responses are kept, as every face that makes or finds them needs it."""

from __future__ import annotations

import time

import msgspec
from msgspec.structs import replace

from aldgate.core.kept import KeptResponse
from aldgate.core.principals import Principal
from aldgate.dialects.responses.states import LOST, in_state
from aldgate.ports import ByteBound
from aldgate.storage import Store
from aldgate.surfaces.responses.background import Background

LIFETIME_S = 30 * 86_400
"""How long OpenAI keeps a response (https://platform.openai.com/docs/guides/your-data)."""


class Shelf(msgspec.Struct, frozen=True):
    """See above.

    Attributes:
        incarnation: This process's random id.
        quota_bytes: The most that the responses of an account may come to.
        memory: The bound on events of streams that are remembered until they are kept.
        background: Those that are being made without anybody waiting.
    """

    store: Store
    incarnation: str
    quota_bytes: int
    memory: ByteBound
    background: Background

    def labelled(
        self, name: str, previous_id: str | None, status: str, given: bytes, body: bytes, warnings: str = ""
    ) -> KeptResponse:
        """A response as it is kept, from now on."""
        now = time.time()
        return KeptResponse(name, previous_id, now, now + LIFETIME_S, status, self.incarnation, given, body, warnings)

    async def find(self, account: str, name: str) -> KeptResponse | None:
        """The account's response with this id as it is now; None if it has none."""
        run = self.background.find(account, name)
        kept = await self.store.find_response(account, name, time.time())
        if kept is None or kept.lease_s is None:
            return kept
        if run is not None:
            return replace(kept, status="in_progress", body=run.body)
        if kept.lease_s < 0:
            return replace(kept, status="failed", body=in_state(kept.body, "failed", LOST), lease_s=None)
        return kept

    async def cancel(self, account: str, kept: KeptResponse) -> KeptResponse | None:
        """The response once it is under way no longer; None if it was deleted meanwhile."""
        run = self.background.find(account, kept.id)
        if run is not None:
            run.cancel(by_caller=True)
            await run.over.wait()
        elif kept.lease_s is not None:  # another process has it, and will hear of it
            cancelled = replace(kept, status="cancelled", body=in_state(kept.body, "cancelled"), lease_s=None)
            await self.store.end_response(account, cancelled, None, self.quota_bytes)
        return await self.find(account, kept.id)


def retained(kept: KeptResponse, principal: Principal) -> KeptResponse:
    """The response, kept for no longer than the principal's policies allow."""
    most = principal.rights.retention_s
    return kept if most is None else replace(kept, expires_at=min(kept.expires_at, kept.created_at + most))
