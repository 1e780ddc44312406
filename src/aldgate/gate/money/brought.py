"""Calls made with a credential that their user brought: which, what they cost the gate, and whose fault their faults are."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from aldgate.core.calls import Call
from aldgate.core.errors import GatewayError, UpstreamAuth, UpstreamLimited
from aldgate.core.prices import Price
from aldgate.core.principals import OwnCredential
from aldgate.core.routes import Deployment

VERSION = "own"
"""The price list, in a ledger row, of a call that its user's credential paid for."""
FREE = Price(version=VERSION)


@runtime_checkable
class TakesCredentials(Protocol):
    """A backend whose calls can be made with a caller's credential: see `Attempt.own`.

    Attributes:
        has_credential: It has one itself, or needs none.
    """

    has_credential: bool

    async def check(self, own: OwnCredential) -> None:
        """See whether the provider takes the credential, with a request that costs nothing.

        Raises:
            UpstreamError: It does not, or did not answer.
        """
        ...


def own_credential(call: Call, deployment: Deployment) -> OwnCredential | None:
    """What the caller brought for this deployment's provider; None: the gate's credential is used."""
    own = call.principal.own
    found = None if own is None else own.get(deployment.backend)
    return found if found is not None and isinstance(call.backends[deployment.backend], TakesCredentials) else None


def unpaid(call: Call, deployments: tuple[Deployment, ...]) -> tuple[Deployment, ...]:
    """The same deployments, those that the caller's credentials pay for at no price."""
    return tuple(
        each if own_credential(call, each) is None else msgspec.structs.replace(each, price=FREE) for each in deployments
    )


def of_own(error: GatewayError, provider: str) -> GatewayError:
    """The error of a call with a user's credential: that it is refused or spent says nothing of the provider to anybody else."""
    if isinstance(error, UpstreamAuth | UpstreamLimited):
        error.is_callers = True
        error.message = f"Your own credential for `{provider}` was refused there: {error.message}"
    return error
