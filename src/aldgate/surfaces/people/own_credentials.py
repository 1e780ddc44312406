"""`/v1/provider-credentials`: what users bring for providers; and `/v1/providers`: what whoever asks has there."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from fastapi import Request

from aldgate.core.errors import GatewayError, InvalidRequest, NotFound, PolicyDenied
from aldgate.core.giving import restriction
from aldgate.core.levels import CALLER_SCOPES, OPERATIONS, Operation
from aldgate.core.policies import matches
from aldgate.core.principals import OwnCredential, Principal
from aldgate.core.users import StoredOwnCredential
from aldgate.gate.gate import Gate
from aldgate.gate.money.brought import TakesCredentials, of_own
from aldgate.gate.principals.identity import Identity
from aldgate.gate.principals.own_credentials import OwnCredentials
from aldgate.ports import Acts, Backend
from aldgate.surfaces.admin.policies import iso
from aldgate.surfaces.http.bodies import decoded
from aldgate.surfaces.http.requests import body_of
from aldgate.surfaces.people.profile import user_of

_TEXT: frozenset[Operation] = frozenset({"chat", "complete", "embed", "rerank", "moderate"})


class CredentialRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An API key of one's own for a provider."""

    api_key: str


class ProviderKeyRequest(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The same as other gateways' clients say it. Only API keys are kept; where a provider is, the gate's operator says."""

    provider: str
    credential_type: Literal["api_key", "endpoint_key", "oauth_token", "service_account"] = "api_key"
    api_key: str | None = None
    endpoint: str | None = None
    oauth_token: str | None = None
    service_account_json: Any = None


class OwnCredentialsFace:
    """What those paths do. No answer holds a credential."""

    def __init__(self, gate: Gate, identity: Identity, own: OwnCredentials, acts: Acts) -> None:
        self._gate = gate
        self._identity = identity
        self._own = own
        self._acts = acts

    async def put(self, who: Principal, request: Request) -> dict[str, Any]:
        """PUT /v1/provider-credentials/{provider}."""
        wanted = decoded(await body_of(request), CredentialRequest)
        return await self._save(who, request.path_params["provider"], wanted.api_key)

    async def create(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /v1/users/provider-keys."""
        wanted = decoded(await body_of(request), ProviderKeyRequest)
        if wanted.credential_type != "api_key" or wanted.endpoint is not None:
            raise InvalidRequest("Only credentials of the type `api_key` are kept, without an endpoint.", param="credential_type")
        if not wanted.api_key:
            raise InvalidRequest("api_key is required", param="api_key")
        return await self._save(who, wanted.provider, wanted.api_key)

    async def _save(self, who: Principal, provider: str, api_key: str) -> dict[str, Any]:
        user = _in_person(who)
        self._backend(provider)
        kept = await self._own.save(user, provider, api_key)
        self._identity.forget()
        await self._acts.did(who, "provider_credential.save", provider, {"user": user, "id": kept.id})
        return _described(kept)

    async def list(self, who: Principal, request: Request) -> list[dict[str, Any]]:
        """GET /v1/provider-credentials, /v1/users/provider-keys."""
        del request
        return [_described(kept) for kept in await self._own.of(user_of(who))]

    async def delete(self, who: Principal, request: Request) -> dict[str, Any]:
        """DELETE /v1/provider-credentials/{provider}, /v1/users/provider-keys/{provider}."""
        user, provider = _in_person(who), request.path_params["provider"]
        await self._own.delete(user, provider)
        self._identity.forget()
        await self._acts.did(who, "provider_credential.delete", provider, {"user": user})
        return {"deleted": True}

    async def test(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /v1/provider-credentials/{provider}/test: ask the provider for its models, which costs nothing."""
        provider: str = request.path_params["provider"]
        kept = next((each for each in await self._own.of(user_of(who)) if each.provider == provider), None)
        if kept is None:
            raise NotFound(f"You have no credential for `{provider[:100]}`.")
        backend, secret = self._backend(provider), self._own.open(kept)
        if secret is None:
            error = {"code": "cannot_open", "message": "The gate's encryption key has changed; save the credential again."}
            return {"provider": provider, "ok": False, "error": error}
        try:
            await backend.check(OwnCredential(kept.id, secret))
        except GatewayError as refused:
            error = {"code": refused.code, "message": of_own(refused, provider).message}
            return {"provider": provider, "ok": False, "error": error}
        return {"provider": provider, "ok": True, "error": None}

    def _backend(self, provider: str) -> TakesCredentials:
        backend = self._gate.backends.get(provider)
        if backend is None:
            names = sorted(name for name, each in self._gate.backends.items() if isinstance(each, TakesCredentials))
            raise InvalidRequest(
                f"There is no provider `{provider[:100]}`; there are {', '.join(names) or 'none'}.", param="provider"
            )
        if not isinstance(backend, TakesCredentials):
            raise InvalidRequest(f"`{provider}` takes no credentials of users.", param="provider")
        return backend

    async def providers(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /v1/providers."""
        del request
        backends = sorted(self._gate.backends.items())
        return {"providers": [_provider(who, name, backend) for name, backend in backends if not _is_denied(who, name)]}


def _in_person(who: Principal) -> str:
    """The id of the user that may change credentials: all of the user's calls go by them, so a lesser key of theirs may not.

    Raises:
        PolicyDenied: It is nobody's in person, or a key that may do less than its user.
    """
    user, own = user_of(who), who.levels[-1].policy
    if who.kind == "key" and (restriction(own) is not None or not CALLER_SCOPES <= (own.scopes or CALLER_SCOPES)):
        raise PolicyDenied("This key may do less than its user, so it changes no credentials of theirs: log in for that.")
    return user


def _provider(who: Principal, name: str, backend: Backend) -> dict[str, Any]:
    is_own = who.own is not None and name in who.own and isinstance(backend, TakesCredentials)
    has_one = not isinstance(backend, TakesCredentials) or backend.has_credential
    source = "own" if is_own else "gateway" if has_one else "none"
    return {
        "name": name,
        "configured": source != "none",
        "source": source,
        "can_call": source != "none" and bool(who.rights.scopes & OPERATIONS & backend.operations),
        "takes_credentials": isinstance(backend, TakesCredentials),
        "supported_modalities": ["text"] if backend.operations & _TEXT else [],
    }


def _is_denied(who: Principal, name: str) -> bool:
    """Whether a level of the caller lets this provider answer nothing: then it is not for them to know of it."""
    policies = [level.policy for level in who.levels]
    return any(
        matches(name, policy.denied_providers) or (policy.providers is not None and not matches(name, policy.providers))
        for policy in policies
    )


def _described(kept: StoredOwnCredential) -> dict[str, Any]:
    return {
        "id": kept.id,
        "provider": kept.provider,
        "credential_type": "api_key",
        "masked_key": f"...{kept.hint}",
        "created_at": iso(kept.created_at),
    }
