"""A call on its way through the gate: what was asked, what was reserved, what came of it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.core.guardrails.guard import Guarded
from aldgate.core.limits import NO_UNITS, Units
from aldgate.core.principals import Operation, OwnCredential, Principal
from aldgate.core.routes import Catalogue, Deployment, Plan
from aldgate.core.usage import NOTHING, Usage

UsageSource = Literal["reported", "counted", "bound", "none", "cache"]
"""Where a bill's figures come from: the provider said so, we counted what passed, we assume the most, nothing ran, or an
earlier answer was given again."""

UNBOUND = 1 << 62
"""More output tokens than there can be."""


class Named(msgspec.Struct, frozen=True):
    """What a request says outside its body: Gemini's paths name model and verb, Anthropic's headers a version."""

    model: str = ""
    stream: bool = False
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Peek(msgspec.Struct):
    """The governed fields of a request, and its bytes once they can only mean that.

    Attributes:
        body: As it came, or written anew where parsers could have disagreed about it.
        cap: The caller's own bound on output tokens per choice; of two the greater, as providers differ in which they obey.
        cap_field: Name of the field that `cap` stood in, if it was one of two that the operation knows.
        names_cap: The body may hold a field that bounds output, be it as null.
        choices: How many answers are generated (and charged for) at the most.
        wants_usage: The caller asked for the usage chunk of a stream.
        has_stream_options: The body holds `stream_options`.
    """

    body: bytes
    model: str
    stream: bool = False
    cap: int | None = None
    choices: int = 1
    wants_usage: bool = False
    has_stream_options: bool = False
    cap_field: str | None = None
    names_cap: bool = True
    images: int = 0
    """Pictures in the body that no key of their own names each."""
    requests: int = 1
    """What is charged per piece: the call, or the search units of a rerank."""
    most_input: int = -1
    """The most tokens that it can be, once that was worked out of its body: see `gate.money.bounds.most_input`."""
    forward: bytes = b""
    """Header lines (`name: value\\r\\n`) that go on to a provider of the same dialect, such as `anthropic-beta`."""
    is_background: bool = False
    """It is to become a job (`"background": true`)."""
    tier: str | None = None
    """The service tier that it asks for, once that was worked out of its body: see `gate.money.bounds.tier_of`."""
    fee_tool: str | None = None
    """A tool of the provider that has its own fee, once that was worked out: see `gate.money.fees`."""


class Call(msgspec.Struct):
    """One operation by one principal, from admission to settlement.

    Attributes:
        id: `req-` and 24 hex digits; also the `x-request-id` of the answer.
        received_at: Unix seconds.
        started_at: Monotonic seconds.
        catalogue: The snapshot the call began with; reloads do not change it.
        backends: What runs the catalogue's deployments, by name: a `ports.Backend` each, which is to the right of here.
        is_inner: Another call needs it, and is under way: it may begin while the gate stops.
    """

    id: str
    operation: Operation
    principal: Principal
    peek: Peek
    received_at: float
    started_at: float
    catalogue: Catalogue
    backends: Mapping[str, Any]
    is_inner: bool = False
    units: Units | None = None
    """What it is expected to count in limits, where that is no matter of its bytes."""


class Failure(msgspec.Struct, frozen=True):
    """An attempt that failed before another was made, or lost to one.

    Attributes:
        attempt: Its number, from 1.
        usage: What the provider likely charges for it.
        total_s: Seconds it took.
    """

    attempt: int
    deployment: Deployment
    error: GatewayError
    usage: Usage
    total_s: float


class Admission(msgspec.Struct):
    """A call that may run, and what was reserved for it.

    Attributes:
        deployment: The one that answers, or is tried now.
        candidates: All that may be tried, best first; what is held suffices for any of them.
        units: What it is expected to count in limits.
        gauge: Those limits, a `limiter.memory.Gauge`, which is to the right of here; None: there are none.
        places: Where the units stand in them.
        most_microusd: What it can cost at the most, where there is a budget; of a stream, as far as it is held for.
        likely_microusd: What it likely costs.
        held: What is held of budgets: of each a `gate.money.slices.Slice`, and how much.
        parts: Of a stream, the slices of hard budgets, each with the `gate.money.purses.Claim` on it.
        paid_output: Output tokens that are held for, of a stream that reserves in steps; else `UNBOUND`: as many as it may make.
        most_output: Output tokens that a stream may come to, where a policy was narrowed meanwhile.
        extend_at: Output tokens at which a stream must ask `Gate.extend`.
        cap: Output tokens per choice that the provider must be held to, where a budget or a policy needs a bound.
        is_open: False once settled; settling twice does nothing.
        plan: How candidates are tried; None where there is one, and nothing was said of it.
        attempt: Number of the attempt that answers, or is made now.
        failures: The other attempts.
        is_waiting: All attempts so far have failed and the next has not begun: whoever leaves now owes nothing for it.
        leave: Gives up the call's place at the deployment, which is told how many tokens were used there.
        cut: Why it was ended from within, by cancelling its task.
        guarded: What guardrails made of the request; None: there are none, or they have not acted yet.
        tier: The service tier of the answer, where its usage does not tell.
    """

    call: Call
    deployment: Deployment
    candidates: tuple[Deployment, ...]
    units: Units = NO_UNITS
    gauge: Any = None
    places: list[int] | None = None
    most_microusd: int = 0
    likely_microusd: int = 0
    held: list[tuple[Any, int]] | None = None
    parts: list[tuple[Any, Any]] = []
    paid_output: int = UNBOUND
    most_output: int = UNBOUND
    extend_at: int = UNBOUND
    cap: int | None = None
    is_open: bool = True
    plan: Plan | None = None
    attempt: int = 1
    failures: tuple[Failure, ...] = ()
    is_waiting: bool = False
    leave: Callable[[int], None] | None = None
    cut: GatewayError | None = None
    guarded: Guarded | None = None
    tier: str = ""


class Attempt(msgspec.Struct):
    """One try at one deployment.

    Attributes:
        dialect: Name of the dialect that `body` is in, one of the backend's.
        forward: Header lines of the caller's that go on with it, each with its line end.
        own: The caller's credential, to be used instead of the backend's.
        tier: Set by the backend: the service tier that the head of the reply names, where a provider says it there.
    """

    call_id: str
    operation: Operation
    deployment: Deployment
    body: bytes
    stream: bool
    dialect: str = "openai"
    forward: bytes = b""
    own: OwnCredential | None = None
    tier: str = ""


class Outcome(msgspec.Struct):
    """What came of a call; as made, that nothing did."""

    status: int = 500
    usage: Usage = NOTHING
    usage_source: UsageSource = "none"
    first_byte_s: float | None = None
    error: GatewayError | None = None

    def fail(self, error: GatewayError) -> None:
        """Note the failure; what was used so far stays."""
        self.status = error.status
        self.error = error


# Only scalars are in it, and thousands may wait to be written: the garbage collector need not visit them.
class LedgerRow(msgspec.Struct, frozen=True, gc=False):
    """One line of the ledger: flat and append-only. Money in micro-dollars, times in seconds.

    `model` is the deployment that was billed, `requested_model` the name the caller asked for. Each attempt at a call has a
    row, numbered from 1; the last one, `is_final`, is the call's own, and says how it ended.
    """

    call_id: str
    received_at: float
    principal_id: str
    account: str
    operation: str
    model: str
    provider: str
    requested_model: str
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
    attempt: int = 1
    is_final: bool = True
    organisation_id: str | None = None
    team_id: str | None = None
    client_id: str | None = None
    user_id: str | None = None
