"""Having things made: which engine is asked, the job that it becomes, and waiting for its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from aldgate.core.errors import (
    Conflict,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    NotFound,
    ScopeDenied,
    UpstreamError,
)
from aldgate.core.generation import Generation, Preview
from aldgate.core.jobs import CALLS, ENDED, STATES, Job, JobEvent, JobFilter, Price, asked_of
from aldgate.core.levels import Operation
from aldgate.core.principals import Principal
from aldgate.gate.gate import Gate
from aldgate.gate.jobs import Wanted, cancel, enqueue, settled
from aldgate.jobs.calling import CallJobs, retention_of
from aldgate.jobs.following import Followed, Following
from aldgate.jobs.hooks import Hooks
from aldgate.jobs.watching import Watching
from aldgate.making import Engine
from aldgate.queueing import JobStore


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How a job is to be treated.

    Attributes:
        priority: The greater goes first.
        deadline_s: Seconds from now; it fails if it has not ended by then.
        timeout_s: Seconds that one attempt may take; None: as long as the engine has for one.
    """

    priority: int = 0
    deadline_s: float | None = None
    timeout_s: float | None = None


class Rules(msgspec.Struct, frozen=True):
    """What the configuration says of what is made, now.

    Attributes:
        price: What an engine's model costs, by their names.
        prices_models: Whether some model of an engine has a price of its own; then what is made is made by a named one.
        most_pixels: Of one picture that is asked for.
    """

    price: Callable[[str, str], Price]
    prices_models: Callable[[str], bool]
    most_pixels: Callable[[], int]


class Jobs:
    """What faces ask of jobs.

    Args:
        gate: Admits them.
        store: Keeps them.
        engines: Who makes things, by name; the first that can is asked where nobody is named.
        aliases: Other names for models.
        timeout_s: Seconds that an engine may work on one job.
        rules: What the configuration says of what is made.
        watching: Tells of changes.
        calls: Makes jobs of calls.
        hooks: Says who may be told of their ends.
        is_away: Whether an engine is left out where nobody is named.
    """

    def __init__(
        self,
        gate: Gate,
        store: JobStore,
        engines: Mapping[str, Engine],
        aliases: Callable[[], Mapping[str, str]],
        timeout_s: Callable[[str], float],
        rules: Rules,
        watching: Watching,
        calls: CallJobs,
        hooks: Hooks,
        is_away: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self._gate = gate
        self._store = store
        self._engines = engines
        self._aliases = aliases
        self._timeout_s = timeout_s
        self._rules = rules
        self._ended = partial(settled, gate)
        self._is_away = is_away
        self.calls = calls
        self.hooks = hooks
        self._following = Following(store, watching)
        self.now = time.time

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Who makes things, by name, in their order."""
        return self._engines

    def is_known(self, name: str) -> bool:
        """Whether a model is named so that an engine is meant: by an alias, or with the engine's name in front."""
        name = self._aliases().get(name, name)
        return any(name.partition(separator)[0] in self._engines for separator in "/:")

    def engine_for(self, operation: Operation, name: str) -> tuple[Engine, str]:
        """Who makes it, and what they call the model: `engine`, `engine/model`, `engine:model`, or nothing.

        Raises:
            ModelNotFound: No engine is meant by that name, or it does something else.
        """
        name = self._aliases().get(name, name)
        if not name:
            return self._first(operation), ""
        for separator in "/:":
            engine_name, _, model = name.partition(separator)
            engine = self._engines.get(engine_name)
            if engine is not None:
                if operation not in engine.operations:
                    can = ", ".join(sorted(engine.operations)) or "nothing"
                    raise ModelNotFound(f"`{engine_name}` does not make `{operation}`; it makes {can}.", param="model")
                return engine, model
        raise ModelNotFound(f"No engine is meant by `{name[:100]}`: name it as `engine/model`, or leave it out.", param="model")

    def makes(self, name: str) -> frozenset[Operation]:
        """What the engine makes that is meant by `name`; nothing: there is none."""
        name = self._aliases().get(name, name)
        for separator in "/:":
            engine = self._engines.get(name.partition(separator)[0])
            if engine is not None:
                return engine.operations
        return frozenset()

    def _first(self, operation: Operation) -> Engine:
        for engine in self._engines.values():
            if operation in engine.operations and not self._is_away(engine.name):
                return engine
        raise ModelNotFound(f"No engine makes `{operation}` here.", param="model")

    def _first_model(self, engine: Engine, operation: Operation) -> str:
        """What is made where no model is named, by its name: policies speak of names, and what they allow is what is made."""
        own = (each for each in self._gate.made_models.values() if each.backend == engine.name and each.id != engine.name)
        return next((each.model for each in own if operation in (each.operations or ())), "")

    def _check_size(self, asked: Generation) -> None:
        """Refuse a picture of too many pixels, whatever path it is asked for at.

        Raises:
            InvalidRequest: It is one.
        """
        most = self._rules.most_pixels()
        if asked.operation == "image" and (asked.width or 1) * (asked.height or 1) > most:
            raise InvalidRequest(f"A picture has at most {most} pixels.", param="size")

    async def begin(
        self,
        who: Principal,
        asked: Generation,
        name: str,
        *,
        key: str | None = None,
        extras: Mapping[str, Any] | None = None,
        parent: str | None = None,
        terms: Terms = Terms(),
    ) -> Job:
        """Admit a job and keep it.

        Raises:
            GatewayError: Refused; nothing was spent.
        """
        check_scope(who, asked.operation)
        self.hooks.check(extras or {})
        engine, model = self.engine_for(asked.operation, name)
        self._check_size(asked)
        if not model and (who.rights.tells_names or self._rules.prices_models(engine.name)):
            model = self._first_model(engine, asked.operation)
        wanted = Wanted(
            principal=who,
            engine=engine,
            asked=replace(asked, model=model),
            model=model,
            requested_model=name or f"{engine.name}/{model}".rstrip("/"),
            price=self._rules.price(engine.name, model),
            gpu_s=self._gate.job_counts.expected_gpu_s(engine.name, model),
            timeout_s=self._bounded(engine.name, terms.timeout_s),
            deadline=None if terms.deadline_s is None else self.now() + terms.deadline_s,
            priority=terms.priority,
            idempotency_key=key,
            parent=parent,
            extras={**retention_of(who), **(extras or {})},
        )
        return await enqueue(self._gate, self._store, wanted)

    def _bounded(self, engine: str, timeout_s: float | None) -> float:
        most_s = self._timeout_s(engine)
        if timeout_s is not None and timeout_s > most_s:
            raise InvalidRequest(f"`{engine}` has at most {most_s:g} seconds for a job.", param="timeout_s")
        return timeout_s or most_s

    async def done(self, job: Job) -> Job:
        """Wait until the job has ended; whoever stops waiting for it has it cancelled.

        Raises:
            GatewayError: It failed, as its engine or the gate said, or it was cancelled.
        """
        try:
            ended = await self.ended(job)
        except BaseException:
            await cancel(self._store, job.id, None, self._ended)
            raise
        if ended.error is not None:
            raise failure_of(ended)
        return ended

    async def follow(self, job: Job) -> AsyncGenerator[Job]:
        """The job after each change, the last time when it has ended; whoever leaves before has it cancelled."""
        nudge = asyncio.Event()
        try:
            with self.following(job, nudge) as followed:
                while not job.has_ended:
                    job = followed.job
                    yield job
                    if not job.has_ended:
                        await nudge.wait()
                        nudge.clear()
        finally:
            if not job.has_ended:
                await cancel(self._store, job.id, None, self._ended)

    async def ended(self, job: Job, within_s: float | None = None) -> Job:
        """The job once it has ended, or as it is after so many seconds."""
        nudge = asyncio.Event()
        with self.following(job, nudge) as followed, suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not followed.job.has_ended:
                    await nudge.wait()
                    nudge.clear()
        return followed.job

    def following(self, job: Job, nudge: asyncio.Event) -> AbstractContextManager[Followed]:
        """The job, kept up to date as long as it is followed; `nudge` is set with each change."""
        return self._following.of(job, nudge)

    @property
    def is_stopping(self) -> bool:
        """The gate is about to end; who follows a job had better ask another one."""
        return self._gate.is_draining

    async def news(self, job: Job, after: int, within_s: float) -> tuple[Job, list[JobEvent]]:
        """The job once its `version` is past `after`, or after so many seconds; with the changes of its state since then.

        Raises:
            NotFound: It is there no longer.
        """
        if job.version <= after:
            job = await self.changed(job, within_s)
        events = await self._store.job_events(job.id, after) if job.version > after else []
        if events and events[-1].seq > job.version:  # it has changed between the two looks
            job = await self.find(None, job.id)
        return job, events

    async def again(self, who: Principal, job: Job, key: str | None) -> Job:
        """Make another job of one that came to nothing; it is its `parent`. It is admitted as any other.

        Raises:
            Conflict: It has not ended, or was done.
            GatewayError: As `begin`.
        """
        if job.state not in ("failed", "cancelled"):
            raise Conflict(f"The job is {job.state}; one that has failed or was cancelled can be tried again.")
        kept = {name: value for name, value in job.extras.items() if name != "retention_s"}
        if job.engine == CALLS:
            return await self.calls.again(who, asked_of(job), key=key, extras=kept, parent=job.id)
        name = f"{job.engine}/{job.model}".rstrip("/")
        return await self.begin(who, asked_of(job), name, key=key, extras=kept, parent=job.id)

    async def changed(self, job: Job, within_s: float) -> Job:
        """The job once something about it is other than here, or as it is after so many seconds."""
        nudge = asyncio.Event()
        with self.following(job, nudge) as followed, suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while followed.job.version == job.version and not followed.job.has_ended:
                    await nudge.wait()
                    nudge.clear()
        return followed.job

    async def preview(self, job: Job) -> Preview | None:
        """The last picture of it while it was under way."""
        return await self._store.job_preview(job.id)

    async def unfinished(self, engine: str, operation: Operation, most: int) -> int:
        """How many jobs of this kind the engine has before it or is at work on; `most` is as far as they are counted."""
        wanted = JobFilter(states=frozenset(STATES) - ENDED, operations=frozenset({operation}), engine=engine)
        return len(await self._store.list_jobs(wanted, limit=most))

    async def find(self, account: str | None, job_id: str) -> Job:
        """A job of the account; None: anybody's.

        Raises:
            NotFound: There is none.
        """
        job = await self._store.find_job(job_id, account)
        if job is None:
            raise NotFound("There is no such job.", param="id")
        return job

    async def list(
        self, wanted: JobFilter, *, after: Job | None = None, limit: int, skip: int = 0, is_ascending: bool = False
    ) -> list[Job]:
        """Jobs, newest (or oldest) first, at most `limit` behind `after` and so many to `skip`."""
        return await self._store.list_jobs(wanted, after=after, limit=limit, skip=skip, is_ascending=is_ascending)

    async def delete(self, account: str, job_id: str) -> bool:
        """Forget an ended job. False: it has not ended."""
        return await self._store.delete_job(job_id, account)

    async def cancel(self, account: str | None, job_id: str) -> Job:
        """Have it stopped; what has ended stays as it is.

        Raises:
            NotFound: There is none.
        """
        return await cancel(self._store, job_id, account, self._ended)


def check_scope(who: Principal, operation: Operation) -> None:
    """Refuse whoever may not have such things made.

    Raises:
        ScopeDenied: The principal has no such scope.
    """
    if operation not in who.rights.scopes:
        raise ScopeDenied(f"This API key may not make `{operation}`.")


def failure_of(job: Job) -> GatewayError:
    """Why a job failed, as an error to be raised once more."""
    assert job.error is not None
    for kind in _kinds(GatewayError):
        if kind.code == job.error.code and kind.status == job.error.status:
            return kind(job.error.message, param=job.error.param)
    failed = UpstreamError(job.error.message, param=job.error.param)
    failed.status = job.error.status
    return failed


def _kinds(kind: type[GatewayError]) -> list[type[GatewayError]]:
    return [kind, *(below for each in kind.__subclasses__() for below in _kinds(each))]
