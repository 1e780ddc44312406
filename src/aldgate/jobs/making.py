"""Having things made: which engine is asked, the job that it becomes, and waiting for its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from msgspec.structs import replace

from aldgate.core.errors import GatewayError, ModelNotFound, NotFound, ScopeDenied, UpstreamError
from aldgate.core.generation import Generation, Preview
from aldgate.core.jobs import ENDED, STATES, Job, JobFilter
from aldgate.core.levels import Operation
from aldgate.core.principals import Principal
from aldgate.gate.gate import Gate
from aldgate.gate.jobs import Wanted, cancel, enqueue
from aldgate.jobs.following import Followed, Following
from aldgate.jobs.questions import Questions
from aldgate.jobs.watching import Watching
from aldgate.making import Engine
from aldgate.queueing import JobStore


class Jobs:
    """What faces ask of jobs.

    Args:
        gate: Admits them.
        store: Keeps them.
        engines: Who makes things, by name; the first that can is asked where nobody is named.
        aliases: Other names for models.
        timeout_s: Seconds that an engine may work on one job.
        watching: Tells of changes.

    Attributes:
        questions: Begins chats with models that no engine has.
    """

    def __init__(
        self,
        gate: Gate,
        store: JobStore,
        engines: Mapping[str, Engine],
        aliases: Callable[[], Mapping[str, str]],
        timeout_s: Callable[[str], float],
        watching: Watching,
    ) -> None:
        self._gate = gate
        self._store = store
        self._engines = engines
        self._aliases = aliases
        self._timeout_s = timeout_s
        self._following = Following(store, watching)
        self.questions = Questions(gate, store)
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

    def _first(self, operation: Operation) -> Engine:
        for engine in self._engines.values():
            if operation in engine.operations:
                return engine
        raise ModelNotFound(f"No engine makes `{operation}` here.", param="model")

    async def begin(
        self, who: Principal, asked: Generation, name: str, *, key: str | None = None, extras: Mapping[str, Any] | None = None
    ) -> Job:
        """Admit a job and keep it.

        Raises:
            GatewayError: Refused; nothing was spent.
        """
        check_scope(who, asked.operation)
        engine, model = self.engine_for(asked.operation, name)
        wanted = Wanted(
            principal=who,
            engine=engine,
            asked=replace(asked, model=model),
            model=model,
            requested_model=name or f"{engine.name}/{model}".rstrip("/"),
            timeout_s=self._timeout_s(engine.name),
            idempotency_key=key,
            extras={"retention_s": who.rights.retention_s, **(extras or {})},
        )
        return await enqueue(self._gate, self._store, wanted)

    async def done(self, job: Job) -> Job:
        """Wait until the job has ended; whoever stops waiting for it has it cancelled.

        Raises:
            GatewayError: It failed, as its engine or the gate said, or it was cancelled.
        """
        try:
            ended = await self.ended(job)
        except BaseException:
            await cancel(self._store, job.id, None)
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
                    await nudge.wait()
                    nudge.clear()
                    job = replace(followed.job, asked=job.asked)
                    yield job
        finally:
            if not job.has_ended:
                await cancel(self._store, job.id, None)

    async def ended(self, job: Job, within_s: float | None = None) -> Job:
        """The job once it has ended, or as it is after so many seconds."""
        nudge = asyncio.Event()
        with self.following(job, nudge) as followed, suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not followed.job.has_ended:
                    await nudge.wait()
                    nudge.clear()
        return replace(followed.job, asked=job.asked)

    def following(self, job: Job, nudge: asyncio.Event) -> AbstractContextManager[Followed]:
        """The job, kept up to date as long as it is followed; `nudge` is set with each change."""
        return self._following.of(job, nudge)

    async def changed(self, job: Job, within_s: float) -> Job:
        """The job once something about it is other than here, or as it is after so many seconds."""
        nudge = asyncio.Event()
        with self.following(job, nudge) as followed, suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while followed.job.version == job.version and not followed.job.has_ended:
                    await nudge.wait()
                    nudge.clear()
        return replace(followed.job, asked=job.asked)

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
        return await cancel(self._store, job_id, account)


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
