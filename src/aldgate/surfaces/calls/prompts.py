"""`POST /api/v1/generate`: a prompt of a client, to a provider and a model that it names or that are its own defaults."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from aldgate.core.calls import Named, Peek
from aldgate.core.defaults import chats
from aldgate.core.errors import InvalidRequest, PolicyDenied
from aldgate.core.policies import matches
from aldgate.core.principals import Operation, Principal
from aldgate.dialects.prompt.dialect import PROMPT
from aldgate.dialects.prompt.requests import DEFAULT_MAX_TOKENS, PromptRequest, read
from aldgate.gate.principals.clients import Clients
from aldgate.surfaces.calls.face import Doors, Face
from aldgate.surfaces.http.asgi import Outlet

DEFAULT = "default"
"""The name of what callers get who name neither model nor provider and have no default of their own."""


class PromptFace(Face):
    """Puts in what a prompt leaves out, and then calls as every face does.

    Args:
        clients: Knows the clients' defaults.
    """

    def __init__(self, doors: Doors, clients: Clients) -> None:
        super().__init__(PROMPT, doors)
        self._clients = clients

    async def _call(
        self, operation: Operation, call_id: str, principal: Principal, body: bytes, named: Named | None, outlet: Outlet
    ) -> None:
        await super()._call(operation, call_id, principal, await self._complete(principal, body), named, outlet)

    async def _cached(
        self,
        headers: Mapping[bytes, bytes],
        operation: Operation,
        call_id: str,
        principal: Principal,
        body: bytes,
        named: Named | None,
        outlet: Outlet,
    ) -> None:
        body = await self._complete(principal, body)
        await super()._cached(headers, operation, call_id, principal, body, named, outlet)

    async def _asked(self, operation: Operation, principal: Principal, body: bytes, named: Named | None) -> Peek:
        return PROMPT.peek(operation, await self._complete(principal, body), named)

    async def _complete(self, principal: Principal, body: bytes) -> bytes:
        """The request with nothing left out.

        Raises:
            InvalidRequest: It is none, or asks for more than the caller may have.
            PolicyDenied: It names a provider that the caller may not use, whether or not there is one.
        """
        asked = read(body)
        provider, model = await self._where(principal, asked)
        if provider:
            _check_provider(principal, provider)
        if provider and not model:
            model = self._first(provider)
        most = principal.rights.max_output_tokens
        if most is not None and (asked.max_tokens or 0) > most:
            raise InvalidRequest(f"Max tokens limit exceeded. Maximum allowed: {most}", param="max_tokens")
        cap = asked.max_tokens or min(DEFAULT_MAX_TOKENS, most or DEFAULT_MAX_TOKENS)
        whole = PromptRequest(asked.prompt, asked.temperature, cap, provider or None, model or self._default())
        return msgspec.json.encode(whole)

    async def _where(self, principal: Principal, asked: PromptRequest) -> tuple[str, str]:
        """Provider and model, empty where nobody said. A default model is one of the default provider's."""
        provider, model = asked.provider or "", asked.model or ""
        if (provider and model) or principal.client is None:
            return provider, model
        own_provider, own_model = await self._clients.defaults(principal.client)
        if model:
            return own_provider, model
        return provider or own_provider, own_model if provider in ("", own_provider) else ""

    def _first(self, provider: str) -> str:
        for deployment in self._gate.catalogue.models:
            if deployment.backend == provider and chats(deployment):
                return deployment.model
        raise InvalidRequest(f"Name a `model` of the provider `{provider[:100]}`.", param="model")

    def _default(self) -> str | None:
        return DEFAULT if DEFAULT in self._gate.catalogue.routes else None


def _check_provider(principal: Principal, provider: str) -> None:
    for level in principal.rights.levels:
        policy = level.policy
        is_allowed = policy.providers is None or matches(provider, policy.providers)
        if not is_allowed or matches(provider, policy.denied_providers):
            raise PolicyDenied(f"Client does not have permission to use provider: {provider[:100]}", param="provider")
