"""`/api/v1/clients/reload`: read the clients in files again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Request

from aldgate.core.errors import ScopeDenied
from aldgate.core.giving import check_beneath
from aldgate.core.principals import Principal
from aldgate.gate.principals.clients import Clients
from aldgate.surfaces.admin.acts import Administration

RELOAD_PATH = "/api/v1/clients/reload"
CHANGED = "clients"
"""What has changed, in the words of `gate.neighbours`."""

Tell = Callable[[str], Awaitable[None]]


class ClientReload:
    """Reads the files for an admin, or for a client whose endpoints this is one of. It is no call: no limit counts it.

    Args:
        tell: Has other processes read theirs, by the name of what has changed.
    """

    def __init__(self, clients: Clients, administration: Administration, tell: Tell) -> None:
        self._clients = clients
        self._administration = administration
        self._tell = tell

    async def serve(self, who: Principal, request: Request) -> dict[str, Any]:
        """Read them.

        Raises:
            ScopeDenied: Neither an admin nor such a client asks.
            PolicyDenied: An admin asks whose policies restrict them, and not those that the files are about.
            InvalidConfiguration: The directory cannot be read; nothing has changed.
        """
        if who.kind != "client":
            if "admin" not in who.rights.scopes:
                raise ScopeDenied("This needs an admin key, or a client that may use this endpoint.")
            check_beneath(who, ())
        loaded = await self._clients.reload()
        count, failed = len(loaded.clients), [{"file": file, "error": error} for file, error in loaded.failed.items()]
        await self._tell(CHANGED)
        await self._administration.did(who, "client.reload", "files", {"count": count, "failed": failed})
        return {"message": f"Successfully reloaded {count} client configurations", "count": count, "failed": failed}
