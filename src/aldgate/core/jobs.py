"""Jobs: calls that are kept in the store and outlive their connection. The record, and which state follows which."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import msgspec

from aldgate.core.errors import GatewayError
from aldgate.core.generation import Generated, Generation, Progress
from aldgate.core.levels import Operation

State = Literal["queued", "scheduled", "running", "succeeded", "failed", "cancelled"]
"""`scheduled`: a worker has it and has sent nothing yet. `running`: its engine was asked, or is about to be."""
Ending = Literal["succeeded", "failed", "cancelled"]
Phase = Literal["prepared", "submitted", "ended"]
"""Of an attempt. `submitted`: what its engine knows it by was kept, and the engine may have been asked."""
AttemptEnd = Literal["succeeded", "failed", "cancelled", "lost", "given back"]
"""`lost`: its worker is gone, and so is what it made. `given back`: its worker stopped in good order."""

STATES: tuple[State, ...] = get_args(State)
ENDED: frozenset[State] = frozenset(get_args(Ending))
UNDER_WAY: frozenset[State] = frozenset({"scheduled", "running"})
FOLLOWERS: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        "queued": frozenset({"scheduled", "failed", "cancelled"}),
        "scheduled": frozenset({"queued", "running", "failed", "cancelled"}),
        "running": frozenset({"queued", "succeeded", "failed", "cancelled"}),
        "succeeded": frozenset(),
        "failed": frozenset(),
        "cancelled": frozenset(),
    }
)
"""The states that may come after each. What has ended stays as it is: to try it once more is to make another job of it."""
CALLS = "calls"
"""The engine of jobs that are calls to providers. What they cost is held and settled by the call that each makes."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Owner(msgspec.Struct, frozen=True):
    """In whose name a job is made: ids of the principal, of the account it is kept under, and of the levels above."""

    id: str
    account: str
    organisation: str | None = None
    team: str | None = None
    client: str | None = None
    user: str | None = None


class HeldPart(msgspec.Struct, frozen=True):
    """What a job holds of one budget in one period, in micro-dollars."""

    account: str
    period: str
    microusd: int


class Price(msgspec.Struct, frozen=True):
    """What a job costs, in micro-dollars per million of each unit, so that the cheapest second is still a whole number."""

    gpu_second: int = 0
    image: int = 0
    audio_second: int = 0
    job: int = 0
    version: str = "free"


class Work(msgspec.Struct, frozen=True):
    """Units of work, expected or done: whole ones, rounded up."""

    images: int = 0
    audio_s: int = 0
    gpu_s: int = 0


class Hold(msgspec.Struct, frozen=True):
    """What was reserved for a job when it was made. It is the job's: whoever runs the job settles it.

    Attributes:
        most_microusd: What it can cost at the most.
        expected: What it counted in limits.
    """

    price: Price = Price()
    most_microusd: int = 0
    expected: Work = Work()
    parts: tuple[HeldPart, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """A file that a job made: an artifact, by its id.

    Attributes:
        facts: Width, height, duration_s, seed and the like, where known.
    """

    id: str
    mime: str
    bytes: int
    sha256: str
    name: str = ""
    facts: Mapping[str, Any] = NOTHING


class JobError(msgspec.Struct, frozen=True):
    """Why a job or an attempt failed, as a caller is told. `param`: the field at fault, if there is one."""

    code: str
    message: str
    status: int = 500
    param: str | None = None

    @classmethod
    def of(cls, error: GatewayError) -> "JobError":
        """An error as it is kept."""
        return cls(error.code, error.message, error.status, error.param)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is kept. Times in Unix seconds by the database's clock.

    Attributes:
        id: `job-` and 24 hex digits, which its call has after `req-`.
        engine: Who is to make it.
        model: In the engine's own words; empty: its first.
        asked: The `Generation`, as JSON. Left out of lists.
        requested_model: The name that the caller asked for.
        priority: The greater goes first.
        due_at: Not before then.
        deadline: It fails if it has not ended by then.
        timeout_s: The longest that one attempt may take.
        most_failures: So many attempts that failed or were lost, and it has failed, with all of its history kept.
        idempotency_key: At most one job of an account has it.
        parent: The job that this one repeats or belongs to.
        extras: What the face that made it needs to tell of it, such as whom to call when it has ended.
        attempts: Begun so far.
        failures: Of these, those that failed or were lost.
        reason: Why it waits, in words.
        token: Grows with each claim and each end of one; a worker with an older one may write nothing.
        cost_microusd: What was billed, once it has ended.
        version: Grows with each change that can be seen.
    """

    id: str
    owner: Owner
    operation: Operation
    engine: str
    model: str = ""
    requested_model: str = ""
    asked: bytes = b""
    created_at: float = 0.0
    state: State = "queued"
    priority: int = 0
    due_at: float = 0.0
    deadline: float | None = None
    timeout_s: float = 1_800.0
    most_failures: int = 3
    idempotency_key: str | None = None
    parent: str | None = None
    extras: Mapping[str, Any] = NOTHING
    hold: Hold = Hold()
    attempts: int = 0
    failures: int = 0
    progress: Progress = Progress()
    reason: str = ""
    token: int = 0
    worker: str | None = None
    cancel_asked_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    error: JobError | None = None
    result: Generated | None = None
    made: tuple[Made, ...] = ()
    done: Work = Work()
    cost_microusd: int = 0
    version: int = 1

    @property
    def call_id(self) -> str:
        """The id that the ledger knows it by."""
        return f"req-{self.id.removeprefix('job-')}"

    @property
    def has_ended(self) -> bool:
        """Nothing about it changes any more."""
        return self.state in ENDED

    @property
    def lease(self) -> "Lease":
        """The claim on it that is newest now."""
        return Lease(self.id, self.token)


class Lease(msgspec.Struct, frozen=True):
    """A claim on a job: what is written with it counts as long as nobody else has claimed the job since."""

    job: str
    token: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a job, as its history tells.

    Attributes:
        number: From 1.
        reference: A UUID for engines that take one.
        handle: What the engine knows it by.
        until: When it has ended by itself, come what may: Unix seconds.
        note: What became of it beside its end, such as that its worker was lost and its result was collected by another.
    """

    job: str
    number: int
    engine: str
    worker: str
    reference: str
    began_at: float
    until: float
    phase: Phase = "prepared"
    handle: str = ""
    ended_at: float | None = None
    end: AttemptEnd | None = None
    error: JobError | None = None
    note: str = ""


class Claim(msgspec.Struct, frozen=True):
    """A job that a worker may work on now.

    Attributes:
        attempt: The one to make, or where `is_taken_over`, the one whose worker is gone.
        left_s: Seconds until the deadline; None: there is none.
        until_s: Seconds until the attempt must have ended by itself.
    """

    job: Job
    attempt: Attempt
    left_s: float | None
    until_s: float
    is_taken_over: bool = False


class Renewal(msgspec.Struct, frozen=True):
    """What has become of a job that a worker still has."""

    is_cancelled: bool
    left_s: float | None


class JobEvent(msgspec.Struct, frozen=True):
    """A change of a job's state. `seq` is the job's `version` then."""

    job: str
    seq: int
    at: float
    state: State
    message: str = ""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ends."""

    state: Ending
    error: JobError | None = None
    result: Generated | None = None
    made: tuple[Made, ...] = ()
    done: Work = Work()
    cost_microusd: int = 0
    attempt: AttemptEnd | None = None
    """How its attempt under way ends, where there is one."""


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs to list. None and empty: all."""

    account: str | None = None
    states: frozenset[State] = frozenset()
    operations: frozenset[Operation] = frozenset()
    engine: str | None = None
    parent: str | None = None


class Waiting(msgspec.Struct, frozen=True):
    """A job that waits and is due, as far as it is needed to choose among such."""

    id: str
    engine: str
    model: str
    account: str
    priority: int
    created_at: float
    due_at: float
    reason: str = ""


class Queue(msgspec.Struct, frozen=True):
    """What a choice is made of.

    Attributes:
        waiting: By engine, those that are due, in their order; not more than the first fifty.
        under_way: By engine, how many jobs some worker has.
        now: Unix seconds.
    """

    waiting: Mapping[str, tuple[Waiting, ...]]
    under_way: Mapping[str, int]
    now: float


class Choice(msgspec.Struct, frozen=True):
    """Ids of the jobs to begin, in their order; and by id, why others go on waiting."""

    begin: tuple[str, ...] = ()
    reasons: Mapping[str, str] = NOTHING


def may_follow(now: State, then: State) -> bool:
    """Whether a job that is `now` may come to be `then`."""
    return then in FOLLOWERS[now]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError("this cannot be kept as JSON")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_asked = msgspec.json.Decoder(Generation)


def encoded(value: Any) -> bytes:
    """A part of a job as JSON."""
    return _encoder.encode(value)


def asked_of(job: Job) -> Generation:
    """What a job's engine is asked for."""
    return _asked.decode(job.asked)


def progress_of(job: Job) -> dict[str, Any]:
    """How far a job is, as people are shown it: all the way if it was done, whatever was told last."""
    shown = {name: getattr(job.progress, name) for name in ("fraction", "step", "steps", "message")}
    return {**shown, "fraction": 1.0, "step": job.progress.steps} if job.state == "succeeded" else shown


def further(known: Progress, told: Progress) -> Progress:
    """Progress after another report: it does not go back, and what a report leaves out stays; previews are kept apart."""
    fractions = [each for each in (known.fraction, told.fraction) if each is not None]
    steps = told.step is not None and (known.step is None or told.step >= known.step)
    return Progress(
        min(1.0, max(0.0, *fractions)) if fractions else None,
        told.step if steps else known.step,
        told.steps if told.steps is not None else known.steps,
        told.message or known.message,
        text=told.text or known.text,
    )
