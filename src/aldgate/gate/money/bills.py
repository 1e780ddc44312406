"""What a call that ran costs: by what its provider says of the bill, else by the price of the model that answered."""

from __future__ import annotations

import msgspec

from aldgate.core.calls import Call
from aldgate.core.routes import Deployment
from aldgate.core.usage import Usage
from aldgate.gate.money.brought import VERSION, own_credential
from aldgate.gate.money.fees import fee_tool

REPORTED = "reported"
"""The price list, in a ledger row, of a cost that the provider told."""

UNTIERED = ", usual tier"
"""Stands after a price list that has no figure for the dearer service tier a call was answered in."""


def bill(call: Call, deployment: Deployment, usage: Usage, tier: str = "") -> tuple[Deployment, int, str]:
    """The deployment that answered in the end, the cost in micro-dollars, and the price list it comes from.

    A call that its user's own credential paid for costs nothing here.

    `tier`: The service tier that it was answered in, where the usage says none.

    A provider that sends calls on to other models says which one it was; where that one is not known, the one asked is billed.
    """
    if usage.served and usage.served != deployment.model:
        route = call.catalogue.routes.get(f"{deployment.backend}/{usage.served}")
        if route is not None and route.deployments[0].backend == deployment.backend:
            deployment = route.deployments[0]
    if call.principal.own is not None and own_credential(call, deployment) is not None:
        return deployment, 0, VERSION
    if usage.charged_microusd is not None:
        return deployment, usage.charged_microusd, REPORTED
    price = deployment.price
    if price is None:
        return deployment, 0, "unknown"
    if price.tools and usage.requests and fee_tool(call.peek):
        usage = msgspec.structs.replace(usage, tools=1)
    if tier and not usage.tier:
        usage = msgspec.structs.replace(usage, tier=tier)
    version = price.version if not usage.tier or price.covers(usage.tier) else f"{price.version}{UNTIERED}"
    return deployment, price.cost(usage), version
