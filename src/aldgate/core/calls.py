"""A call on its way through the gate: what was asked, what was reserved, what came of it."""

from typing import Literal

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.core.principals import Operation, Principal
from aldgate.core.routes import Catalogue, Deployment, Route
from aldgate.core.usage import Usage

UsageSource = Literal["reported", "counted", "bound", "none"]
"""Where a bill's figures come from: the provider said so, we counted what passed, we assume the most, or nothing ran."""


class Call(msgspec.Struct):
    """One operation by one principal, from admission to settlement.

    Attributes:
        id: `req-` and 24 hex digits; also the `x-request-id` of the answer.
        model: The name the caller asked for.
        body: As it came; what is sent on is decided in `Gate.admit`.
        stream: The caller wants pieces.
        input_tokens: The most the input can be: one token per byte of text.
        output_cap: The caller's own bound on output tokens per choice, if it gave one.
        choices: How many answers the provider may generate and charge for.
        received_at: Unix seconds.
        catalogue: The snapshot the call began with; reloads do not change it.
    """

    id: str
    operation: Operation
    model: str
    principal: Principal
    body: bytes
    stream: bool
    input_tokens: int
    output_cap: int | None
    choices: int
    received_at: float
    catalogue: Catalogue


class Hold(msgspec.Struct):
    """What a reservation took from one account: a place, a request, tokens, and money of one budget period."""

    account: str
    tokens: int = 0
    microusd: int = 0
    budget_period: str | None = None


class Admission(msgspec.Struct):
    """A call that may run, with what was reserved for it. Serialisable but for the call, so that a job can carry its hold."""

    call: Call
    route: Route
    deployment: Deployment
    bound: Usage
    hold: Hold
    inject_cap: int | None = None
    """Output tokens per choice to ask of the provider, where a budget needs a bound and the caller gave none."""
    is_open: bool = True
    """False once settled; settling twice does nothing."""


class Attempt(msgspec.Struct):
    """One try at one deployment."""

    call_id: str
    operation: Operation
    deployment: Deployment
    body: bytes
    stream: bool


class Outcome(msgspec.Struct):
    """What came of a call."""

    status: int
    usage: Usage
    usage_source: UsageSource
    first_byte_s: float | None
    total_s: float
    error: GatewayError | None = None


class LedgerRow(msgspec.Struct, frozen=True):
    """One line of the ledger: flat and append-only. Money in micro-dollars, times in seconds."""

    call_id: str
    received_at: float
    principal_id: str
    account: str
    operation: str
    model: str
    provider: str
    deployment: str
    stream: bool
    status: int
    error_code: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    usage_source: str
    cost_microusd: int
    price_version: str
    first_byte_s: float | None
    total_s: float
