"""Chats as jobs, with any model that the gate calls: the job waits and is kept, its call goes the way of every other."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from aldgate.core.calls import Call, Outcome, Peek
from aldgate.core.defaults import chats
from aldgate.core.errors import (
    ConcurrencyLimited,
    GatewayError,
    IdempotencyConflict,
    ModelNotFound,
    NotSupported,
    RateLimited,
    UpstreamInvalid,
)
from aldgate.core.generation import EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.jobs import Job, Owner, encoded
from aldgate.core.levels import Operation
from aldgate.core.principals import Principal
from aldgate.core.routes import Catalogue
from aldgate.dialects.openai.dialect import OPENAI
from aldgate.gate.gate import Gate
from aldgate.gate.money.bills import bill
from aldgate.gate.money.bounds import cost_of
from aldgate.gate.money.purses import Cost
from aldgate.gate.policies.shaping import shaped
from aldgate.gate.principals.identity import Identity
from aldgate.gate.whole import Committed, whole
from aldgate.making import Run
from aldgate.queueing import JobStore

MODELS = "models:"
"""The engine of such jobs; no configured one can be called so. What they cost stands in the lines of their calls."""
DEFAULT = "default"
"""The model of those who name none."""
PLACES = 64
"""Jobs of one worker that call, or wait for a limit of their key, at once."""
MOST_UNFINISHED = 1_000
"""Of one account: these jobs hold nothing of its limits before they are called."""
TIMEOUT_S = 1_800.0
USUAL_WAIT_S = 1


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_completion = msgspec.json.Decoder(_Completion)


class Questions:
    """Begins them.

    Args:
        gate: Says who may ask which model.
        store: Keeps the jobs.
    """

    def __init__(self, gate: Gate, store: JobStore) -> None:
        self._gate = gate
        self._store = store

    @property
    def catalogue(self) -> Catalogue:
        """The models there are now."""
        return self._gate.catalogue

    def knows(self, name: str) -> bool:
        """Whether a provider's model is meant by that name."""
        try:
            self._gate.catalogue.resolve(name, tells_near=False)
        except ModelNotFound:
            return False
        return True

    def model_of(self, provider: str, model: str) -> str:
        """A provider's model by its full name, without one its first that chats; empty: there is none."""
        if model:
            name = f"{provider}/{model.removeprefix(f'{provider}/')}"
            return name if self.knows(name) else ""
        mine = (each.id for each in self.catalogue.models if each.backend == provider and chats(each))
        return next(mine, "")

    async def begin(self, who: Principal, asked: Generation, name: str, *, key: str | None = None) -> Job:
        """Keep a question. It is refused if a call with it would be; what it costs is held once it is called.

        Args:
            who: In whose name.
            asked: A `chat`; its options are `system`, `temperature` and `max_tokens`.
            name: The model; empty: `default`.
            key: As in `Job.idempotency_key`.

        Raises:
            GatewayError: Refused; nothing was spent.
            IdempotencyConflict: The key has made another job than this.
        """
        name = name or (DEFAULT if DEFAULT in self.catalogue.routes else self.catalogue.default("chat").name)
        call = self._gate.call(self._gate.new_id(), "chat", who, _peek(asked, name, who))
        await self._check(call)
        if await self._store.count_unfinished_jobs(who.account) >= MOST_UNFINISHED:
            raise ConcurrencyLimited(f"{MOST_UNFINISHED} jobs wait already; try again once some have ended.", retry_after_s=5)
        job = _job(call, asked, name, key)
        kept = await self._store.enqueue_job(job)
        if kept.id != job.id and (kept.asked, kept.engine, kept.requested_model) != (job.asked, job.engine, job.requested_model):
            raise IdempotencyConflict("This idempotency key was used before for another job.")
        return kept

    async def _check(self, call: Call) -> None:
        """Refuse what the gate would refuse now, taking nothing. Calls under way are no reason: the job waits for them."""
        limiter, purses = await self._gate.accounts(call.principal)
        against: list[GatewayError] = []
        admission = self._gate.weigh(call, limiter, None, against)
        if admission is not None:
            cost = Cost(admission.most_microusd, admission.likely_microusd)
            least = cost if call.peek.cap is not None or admission.cap is None else cost_of(call, admission.candidates, 1)
            against += [purse.exceeded(least) for purse in purses if not purse.fits(least)]
        for error in against:
            if not isinstance(error, ConcurrencyLimited):
                self._gate.metrics.refused(call.operation, error.code)
                raise error


class ModelsEngine:
    """An `Engine` that answers such jobs with the gate's own calls.

    Args:
        gate: Makes them.
        identity: Knows whose they are.
        committed: As `gate.whole.whole` takes it.
    """

    name = MODELS
    kind = "models"
    operations: frozenset[Operation] = frozenset({"chat"})
    recovery: Recovery = "cancel"  # a call ends with the process that made it

    def __init__(self, gate: Gate, identity: Identity, committed: Committed | None) -> None:
        self._gate = gate
        self._identity = identity
        self._committed = committed

    async def state(self) -> EngineState:
        """See `Engine`."""
        return EngineState()

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """See `Engine`. What its key's limits do not let through yet waits here, as long as a job may take."""
        await run.submitting(run.reference)
        while True:
            try:
                return await self._call(asked)
            except (RateLimited, ConcurrencyLimited) as error:
                wait_s = error.retry_after_s or USUAL_WAIT_S
                run.progress(Progress(message=f"waits for a limit of its key: {error.message}"))
                await asyncio.sleep(wait_s)

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """See `Engine`. Nothing is known of what another process began."""
        return None

    async def stop(self, handle: str) -> None:
        """See `Engine`. A call that was cancelled has ended."""

    async def unload(self, model: str = "") -> None:
        """See `Engine`."""
        raise NotSupported("What providers have loaded is theirs.")

    async def aclose(self) -> None:
        """See `Engine`. The gate is not this one's to close."""

    async def _call(self, asked: Generation) -> Generated:
        """The seven steps."""
        who = await self._identity.standing(asked.options["principal"])
        call = self._gate.call(self._gate.new_id(), "chat", who, _peek(asked, asked.model, who))
        admission = self._gate.admit(call) or await self._gate.admit_shared(call)
        outcome = Outcome()
        run = await whole(self._gate, admission, OPENAI, outcome, self._committed)
        deployment, cost, _ = bill(call, admission.deployment, outcome.usage)
        used = outcome.usage
        details = {
            "call_id": call.id,
            "cost_microusd": cost,
            "model": deployment.id,
            "prompt_tokens": used.input_tokens,
            "completion_tokens": used.output_tokens,
        }
        return Generated(text=_text(run.first), details=details)


def _peek(asked: Generation, name: str, who: Principal) -> Peek:
    """The question as a chat, as the principal's policies will have it."""
    system = [{"role": "system", "content": asked.options["system"]}] if "system" in asked.options else []
    body: dict[str, Any] = {"model": name, "messages": [*system, {"role": "user", "content": asked.prompt}]}
    body |= {option: asked.options[option] for option in ("temperature", "max_tokens") if option in asked.options}
    peek = OPENAI.peek("chat", msgspec.json.encode(body))
    return shaped(OPENAI, who, "chat", peek, None) if who.rights.tells_parameters else peek


def _job(call: Call, asked: Generation, name: str, key: str | None) -> Job:
    who = call.principal
    return Job(
        id=f"job-{call.id.removeprefix('req-')}",
        owner=Owner(who.id, who.account, who.organisation, who.team, who.client, who.user),
        operation="chat",
        engine=MODELS,
        model=call.catalogue.resolve(name).deployments[0].id,
        requested_model=name,
        asked=encoded(msgspec.structs.replace(asked, model=name, options={**asked.options, "principal": who.id})),
        created_at=call.received_at,
        timeout_s=TIMEOUT_S,
        idempotency_key=key,
        extras={"retention_s": who.rights.retention_s},
    )


def _text(completion: bytes) -> str:
    try:
        return "".join(choice.message.content or "" for choice in _completion.decode(completion).choices[:1])
    except msgspec.DecodeError:
        raise UpstreamInvalid("The model's answer is no chat completion.") from None
