"""Calls that become jobs: the answer to who asked for one."""

from __future__ import annotations

import msgspec

from aldgate.core.principals import Principal
from aldgate.dialects.governed import without_member
from aldgate.surfaces.http.asgi import Outlet
from aldgate.surfaces.jobs.doors import JobDoors
from aldgate.surfaces.jobs.jobs import JobsFace
from aldgate.surfaces.jobs.webhooks import FIELD, webhook_in


class CallJobsFace:
    """A `surfaces.calls.background.Background`."""

    def __init__(self, doors: JobDoors) -> None:
        self._jobs = doors.jobs
        self._shown = JobsFace(doors.jobs, doors.archive.links, doors.link_s)

    async def __call__(self, who: Principal, path: str, body: bytes, call_id: str, outlet: Outlet) -> None:
        """202, where the job is, and the job.

        Raises:
            GatewayError: It may not be made.
        """
        job = await self._jobs.calls.begin(who, path, without_member(body, FIELD), extras=webhook_in(body))
        answer = msgspec.json.encode(self._shown.described(job))
        about = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        where = [(b"location", f"/v1/jobs/{job.id}".encode()), (b"cache-control", b"no-store")]
        applied = [(b"preference-applied", b"respond-async"), (b"x-request-id", call_id.encode())]
        outlet.begin(202, [*about, *where, *applied])
        outlet.end(answer)
