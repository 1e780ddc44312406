"""Keys at the paths of gateways that came before: `/auth/keys`, and `/admin/keys/generate` and `/revoke` with forms.

The keys are those of `/admin/keys`. What an answer has beyond the old ones' fields, their clients pass over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from fastapi import Request

from aldgate.core.errors import InvalidRequest, MissingKey, NotFound
from aldgate.core.levels import Level
from aldgate.core.policies import Policy
from aldgate.core.principals import Principal
from aldgate.surfaces.admin.acts import Administration
from aldgate.surfaces.admin.keys import KEY_PREFIX, KeyAdmin, require_admin
from aldgate.surfaces.admin.registration import Registration
from aldgate.surfaces.http.asgi import headers_of
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.credentials import brings_credential, principal_of
from aldgate.surfaces.http.multipart import read_form
from aldgate.surfaces.http.requests import body_of, bytes_of

Object = dict[str, Any]
NOBODY = Principal.of("key", Level("key", "open-registration", "open registration", Policy(scopes=frozenset())))
"""Who made a key that was made without one."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NamedKey(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make."""

    name: Name


class GenerateForm(msgspec.Struct, forbid_unknown_fields=True):
    """A key to make, as a form. The description is read by nobody."""

    name: Name
    description: str = ""


class RevokeForm(msgspec.Struct, forbid_unknown_fields=True):
    """A key to revoke, as a form: the key itself or its id."""

    api_key: Annotated[str, msgspec.Meta(min_length=1)]


class SeedKeys:
    """What these paths do."""

    def __init__(self, administration: Administration, registration: Registration) -> None:
        self._store = administration.store
        self._identity = administration.identity
        self._keys = KeyAdmin(administration)
        self._registration = registration

    async def create(self, request: Request) -> Object:
        """POST /auth/keys: with an admin key, or as `Registration` lets.

        Raises:
            MissingKey: There is no credential, and it needs one.
        """
        who = await self._maker(request)
        wanted = decoded(await body_of(request), NamedKey)
        return await self._keys.create(who, msgspec.json.encode(wanted))

    async def list(self, request: Request) -> Object:
        """GET /auth/keys."""
        require_admin(await principal_of(request.scope, self._identity))
        return await self._keys.list()

    async def delete(self, request: Request) -> Object:
        """DELETE /auth/keys/{key or id}: an admin revokes any, everybody else their own."""
        principal = await principal_of(request.scope, self._identity)
        key_id = await self._id_of(request.path_params["key"])
        if principal.id != key_id:
            require_admin(principal)
        await self._keys.revoke(principal, key_id)
        return {"success": True}

    async def generate(self, request: Request) -> Object:
        """POST /admin/keys/generate, a form."""
        who = await self._maker(request)
        wanted = await self._form(request, GenerateForm)
        made = await self._keys.create(who, msgspec.json.encode({"name": wanted.name}))
        return {"api_key": made["key"], "message": "Store this key securely. It will not be shown again.", **made}

    async def revoke(self, request: Request) -> Object:
        """POST /admin/keys/revoke, a form."""
        principal = await principal_of(request.scope, self._identity)
        require_admin(principal)
        wanted = await self._form(request, RevokeForm)
        return await self._keys.revoke(principal, await self._id_of(wanted.api_key))

    async def _maker(self, request: Request) -> Principal:
        try:
            principal = await principal_of(request.scope, self._identity)
        except MissingKey:
            if brings_credential(headers_of(request.scope)):  # one that is empty is not none
                raise
            self._registration.check(request.scope)
            return NOBODY
        require_admin(principal)
        return principal

    async def _id_of(self, named: str) -> str:
        if not named.startswith(KEY_PREFIX):
            return named
        credential = await self._store.find_credential(self._identity.digest(named.encode()))
        if credential is None:
            raise NotFound("Key not found")
        return credential.key.id

    async def _form(self, request: Request, kind: Any) -> Any:
        fields = await self._fields(request)
        try:
            return msgspec.convert(fields, kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"The form is not as it should be: {error}.") from None

    async def _fields(self, request: Request) -> Object:
        headers = headers_of(request.scope)
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind == b"application/json":
            return decoded(await body_of(request), dict[str, Any])
        body = await bytes_of(request)
        if kind == b"application/x-www-form-urlencoded":
            pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
            if len(dict(pairs)) != len(pairs):
                raise InvalidRequest("A field of the form stands twice.")
            return dict(pairs)

        async def pieces() -> AsyncIterator[bytes]:
            yield body

        async def drop(piece: bytes) -> None:
            del piece

        return dict((await read_form(headers, pieces(), "", drop)).fields)
