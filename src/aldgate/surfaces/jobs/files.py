"""`/v1/files`: what callers keep with the gate. Each account sees its own files and nobody else's.

Wire: https://platform.openai.com/docs/api-reference/files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse

from aldgate.core.errors import BodyTooLarge, ClientGone, InvalidRequest, ScopeDenied
from aldgate.core.files import LEAST_LIFETIME_S, MOST_LIFETIME_S, Purpose, StoredFile, lifetime_s, plain_name
from aldgate.core.principals import Principal
from aldgate.jobs.files import Files
from aldgate.ports import ByteBound
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.multipart import MOST_FIELD_BYTES, Form, read_form

MOST_LISTED = 10_000
Lifetime = Annotated[int, msgspec.Meta(ge=LEAST_LIFETIME_S, le=MOST_LIFETIME_S)]
PURPOSES = get_args(Purpose)
_EXPIRY = "expires_after[anchor]", "expires_after[seconds]"
_FIELDS = {"purpose", *_EXPIRY}
_SAVED_AS = {"content-disposition": "attachment", "x-content-type-options": "nosniff", "cache-control": "no-store"}


class FileForm(msgspec.Struct):
    """A file to keep, as a form."""

    file: Annotated[str, msgspec.Meta(extra_json_schema={"format": "binary"})]
    purpose: Purpose
    expires_after_anchor: Literal["created_at"] | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name=_EXPIRY[0])
    expires_after_seconds: Lifetime | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name=_EXPIRY[1])


class FilesFace:
    """What the paths under `/v1/files` do.

    Args:
        files: All files.
        in_flight: The bound on bytes held.
    """

    def __init__(self, files: Files, in_flight: ByteBound) -> None:
        self._files = files
        self._in_flight = in_flight

    async def create(self, principal: Principal, request: Request) -> dict[str, Any]:
        """Take a file, straight to the disk.

        Raises:
            InvalidRequest: Not a form with a file, or a field is not what it should be.
            BodyTooLarge: Over `files.max_bytes`.
            StorageFull: Over `files.quota_bytes` with the others.
        """
        require_files(principal)
        headers = headers_of(request.scope)
        most = self._files.most_bytes
        if int(headers.get(b"content-length", 0)) > most + 2 * MOST_FIELD_BYTES:
            raise BodyTooLarge(f"The file has more than {most} bytes.", param="file")
        incoming = await self._files.begin()

        async def take(piece: bytes) -> None:
            self._in_flight.take(len(piece))
            try:
                await incoming.write(piece)
            finally:
                self._in_flight.release(len(piece))

        try:
            form = await read_form(headers, request.stream(), "file", take)
            filename, purpose, lives_s = _described(form)
            lives_s = retained_s(principal, lives_s or lifetime_s(purpose))
            file = await self._files.keep(
                incoming, account=principal.account, purpose=purpose, filename=filename, lives_s=lives_s
            )
        except ClientDisconnect:
            raise ClientGone("The caller left before the file was complete.") from None
        finally:
            incoming.abort()
        return describe(file)

    async def list(self, principal: Principal, query: Mapping[str, str]) -> dict[str, Any]:
        """The account's files; `purpose`, `limit`, `order` and `after` choose.

        Raises:
            InvalidRequest: A parameter has a value it cannot have.
        """
        require_files(principal)
        limit = whole_number(query, "limit", MOST_LISTED, MOST_LISTED)
        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidRequest("`order` is `asc` or `desc`.", param="order")
        found = await self._files.list(
            principal.account,
            purpose=query.get("purpose"),
            after=query.get("after"),
            limit=limit + 1,
            is_ascending=order == "asc",
        )
        return page([describe(file) for file in found], limit)

    async def get(self, principal: Principal, file_id: str) -> dict[str, Any]:
        """What is known of one file."""
        require_files(principal)
        return describe(await self._files.find(principal.account, file_id))

    async def content(self, principal: Principal, file_id: str) -> FileResponse:
        """Its bytes. They are handed out as a download, so that no browser runs what somebody uploaded."""
        require_files(principal)
        file = await self._files.find(principal.account, file_id)
        path = self._files.content(file.sha256)
        return FileResponse(path, 200, _SAVED_AS, "application/octet-stream", stat_result=path.stat())

    async def delete(self, principal: Principal, file_id: str) -> dict[str, Any]:
        """Forget it. A batch that reads it goes on."""
        require_files(principal)
        await self._files.delete(principal.account, file_id)
        return {"id": file_id, "object": "file", "deleted": True}


def retained_s(principal: Principal, lives_s: float | None) -> float | None:
    """How long something is kept that would be for `lives_s` seconds (None: for ever), as the principal's policies allow."""
    most = principal.rights.retention_s
    return lives_s if most is None else most if lives_s is None else min(lives_s, most)


def require_files(principal: Principal) -> None:
    """Refuse whoever may not keep files.

    Raises:
        ScopeDenied: The principal has no `files` scope.
    """
    if "files" not in principal.rights.scopes:
        raise ScopeDenied("This API key may not use files.")


def describe(file: StoredFile) -> dict[str, Any]:
    """A file as the API shows it."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": None if file.expires_at is None else int(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def page(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A list of at most `limit` items; one more says that there are more."""
    shown = items[:limit]
    first, last = (shown[0]["id"], shown[-1]["id"]) if shown else (None, None)
    return {"object": "list", "data": shown, "first_id": first, "last_id": last, "has_more": len(items) > limit}


def whole_number(query: Mapping[str, str], name: str, default: int, most: int, least: int = 1) -> int:
    """A parameter from `least` to `most`.

    Raises:
        InvalidRequest: It is something else.
    """
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise InvalidRequest(f"`{name}` is a whole number from {least} to {most}.", param=name)
    return int(text)


def lifetime(anchor: str | None, seconds: int, param: str) -> int:
    """Seconds that a file is to live, as `expires_after` says.

    Raises:
        InvalidRequest: Another anchor, or too short or long.
    """
    if anchor != "created_at":
        raise InvalidRequest(f"The anchor is `created_at` (`{param}`).", param=param)
    if not LEAST_LIFETIME_S <= seconds <= MOST_LIFETIME_S:
        raise InvalidRequest(f"A file lives {LEAST_LIFETIME_S} to {MOST_LIFETIME_S} seconds (`{param}`).", param=param)
    return seconds


def _described(form: Form) -> tuple[str, str, int | None]:
    """Name, purpose and lifetime of the file in a form."""
    if form.filename is None:
        raise InvalidRequest("The form has no file (`file`).", param="file")
    unknown = sorted({*form.fields, *form.lists} - _FIELDS)
    if unknown:
        raise InvalidRequest(f"The form has a field that is not known (`{unknown[0][:100]}`).", param=unknown[0][:100])
    purpose = form.fields.get("purpose", "")
    if purpose not in PURPOSES:
        raise InvalidRequest(f"`purpose` is one of {', '.join(PURPOSES)}.", param="purpose")
    anchor, seconds = (form.fields.get(name) for name in _EXPIRY)
    if anchor is None and seconds is None:
        return plain_name(form.filename) or "file", purpose, None
    lives_s = whole_number({"expires_after": seconds or ""}, "expires_after", 0, MOST_LIFETIME_S)
    return plain_name(form.filename) or "file", purpose, lifetime(anchor, lives_s, "expires_after")
