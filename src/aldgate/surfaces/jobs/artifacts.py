"""`/v1/artifacts`: what calls made and callers brought. Each account sees its own; a link that was signed is good for anybody."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from math import inf
from typing import Any

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from aldgate.artifacts.archive import Archive
from aldgate.core.artifacts import StoredArtifact
from aldgate.core.errors import BodyTooLarge, ClientGone, RangeNotSatisfiable, ScopeDenied, UnsupportedMediaType
from aldgate.core.generation import MEDIA_OPERATIONS
from aldgate.core.principals import Principal
from aldgate.gate.principals.identity import Identity
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.contents import Content, answer_with, unsatisfiable
from aldgate.surfaces.http.credentials import principal_of
from aldgate.surfaces.http.faults import render_for_path
from aldgate.surfaces.jobs.files import page, require_files, whole_number

MOST_LISTED = 1_000
USUAL_LISTED = 100


class ArtifactsFace:
    """What the paths under `/v1/artifacts` do.

    Args:
        archive: All artifacts.
        identity: Says who asks.
        in_flight: The bound on bytes held.
        link_s: Seconds that links in answers are good for.
    """

    def __init__(self, archive: Archive, identity: Identity, in_flight: ByteBound, link_s: float) -> None:
        self._archive = archive
        self._identity = identity
        self._in_flight = in_flight
        self._link_s = link_s

    async def create(self, principal: Principal, request: Request) -> Response:
        """Take the body as an artifact; `name` in the query is what it is called.

        Raises:
            UnsupportedMediaType: Its content is nothing that is kept here.
            BodyTooLarge: Over `artifacts.max_bytes`.
            StorageFull: Over `artifacts.quota_bytes` with the others.
        """
        require_files(principal)
        headers = headers_of(request.scope)
        if headers.get(b"content-type", b"").lower().startswith(b"multipart/"):
            raise UnsupportedMediaType("Send the file itself as the body, not a form.")
        if int(headers.get(b"content-length", 0)) > self._archive.most_bytes:
            raise BodyTooLarge(f"The artifact has more than {self._archive.most_bytes} bytes.")
        name, retention_s = request.query_params.get("name", ""), principal.rights.retention_s
        try:
            pieces = self._bounded(request.stream())
            artifact = await self._archive.upload(principal.account, pieces, name=name, retention_s=retention_s)
        except ClientDisconnect:
            raise ClientGone("The caller left before the artifact was complete.") from None
        return Response(msgspec.json.encode(self.describe(artifact)), 201, {"cache-control": "no-store"}, "application/json")

    async def list(self, principal: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """The account's artifacts, newest first; `limit` and `after` choose.

        Raises:
            InvalidRequest: A parameter has a value it cannot have.
            NotFound: There is no artifact `after`.
        """
        require_reading(principal)
        limit = whole_number(query, "limit", USUAL_LISTED, MOST_LISTED)
        found = await self._archive.list(principal.account, after=query.get("after"), limit=limit + 1)
        return page([self.describe(artifact) for artifact in found], limit)

    async def content(self, request: Request) -> Response:
        """Its bytes, for its owner or whoever has a link to it; `download` in the query has a browser save them.

        Raises:
            LinkInvalid: The link has expired, or is none of ours.
            NotFound: Who asks has no such artifact.
        """
        artifact = await self._asked_for(request)
        return answered(self._archive, artifact, request)

    async def metadata(self, principal: Principal, artifact_id: str) -> dict[str, Any]:
        """What is known of it."""
        require_reading(principal)
        return self.describe(await self._archive.find(principal.account, artifact_id))

    async def delete(self, principal: Principal, artifact_id: str) -> dict[str, Any]:
        """Forget it."""
        require_reading(principal)
        await self._archive.delete(principal.account, artifact_id)
        return {"id": artifact_id, "object": "artifact", "deleted": True}

    def describe(self, artifact: StoredArtifact) -> dict[str, Any]:
        """An artifact as the API shows it, with a link to its content."""
        until = min(time.time() + self._link_s, artifact.expires_at or inf)
        origin = msgspec.structs.asdict(artifact.provenance)
        return {
            "id": artifact.id,
            "object": "artifact",
            "mime": artifact.mime,
            "bytes": artifact.bytes,
            "sha256": artifact.sha256,
            "name": artifact.name,
            "created_at": int(artifact.created_at),
            "expires_at": None if artifact.expires_at is None else int(artifact.expires_at),
            "url": self._archive.links.path(artifact.id, until),
            "provenance": origin,
            "facts": dict(artifact.facts),
        }

    async def _asked_for(self, request: Request) -> StoredArtifact:
        artifact_id, query = request.path_params["id"], request.query_params
        if "signature" not in query:
            principal = await principal_of(request.scope, self._identity)
            require_reading(principal)
            return await self._archive.find(principal.account, artifact_id)
        self._archive.links.check(artifact_id, query.get("expires", ""), query["signature"], time.time())
        return await self._archive.find(None, artifact_id)

    async def _bounded(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces, each counted as held while it is written."""
        async for piece in pieces:
            self._in_flight.take(len(piece))
            try:
                yield piece
            finally:
                self._in_flight.release(len(piece))


def require_reading(principal: Principal) -> None:
    """Refuse whoever may neither keep files nor have anything made.

    Raises:
        ScopeDenied: The principal has none of these scopes.
    """
    if not principal.rights.scopes & (MEDIA_OPERATIONS | {"files"}):
        raise ScopeDenied("This API key may not use artifacts.")


def answered(archive: Archive, artifact: StoredArtifact, request: Request) -> Response:
    """An artifact as the answer to GET or HEAD: whole, in part, or not at all because its reader has it."""
    content = Content(
        artifact.mime,
        artifact.bytes,
        f'"{artifact.sha256}"',
        artifact.name,
        lambda start, length: archive.read(artifact, start, length),
        "download" in request.query_params,
    )
    answer = answer_with(content, request.method, headers_of(request.scope))
    if answer is not None:
        return answer
    refusal = RangeNotSatisfiable(f"The artifact has {artifact.bytes} bytes, and none of those that `Range` asks for.")
    status, headers, body = render_for_path(request.scope["path"], refusal, "")
    answer = Response(body, status)
    answer.raw_headers = [*headers, *unsatisfiable(artifact.bytes)]
    return answer
