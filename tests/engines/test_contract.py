"""What every engine does, whichever it is: run over each with its fake."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from aldgate.core.errors import GatewayError, NotSupported, UpstreamError
from aldgate.core.generation import Generation
from aldgate.making import Engine
from tests.engines.contract.case import Case
from tests.engines.contract.cases import CASES
from tests.engines.runs import RecordedRun

FAULTS = [pytest.param(case, fault, id=f"{case.kind}-{fault}") for case in CASES for fault in case.all_faults]
BAD = [pytest.param(case, number, id=f"{case.kind}-{number}") for case in CASES for number in range(len(case.bad))]

every_engine = pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)


async def set_up(stack: AsyncExitStack, case: Case, data: Path, **more: Any) -> tuple[Engine, Any]:
    fake = await stack.enter_async_context(case.fake(data))
    engine = case.build(fake, data, **more)
    stack.push_async_callback(engine.aclose)
    return engine, fake


async def begun(engine: Engine, fake: Any, asked: Generation, run: RecordedRun) -> "asyncio.Task[Any]":
    """A generation that the engine works on and does not end."""
    fake.hold()
    making = asyncio.create_task(engine.generate(asked, run))
    working = asyncio.create_task(fake.until_working())
    await asyncio.wait({making, working}, return_when=asyncio.FIRST_COMPLETED)
    if making.done():
        making.result()
    await working
    return making


async def noticed(fake: Any) -> None:
    """Until a server has seen that a connection was closed."""
    async with asyncio.timeout(5):
        while not fake.stopped:
            await asyncio.sleep(0)


@every_engine
async def test_it_makes_what_was_asked(case: Case, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        run = RecordedRun()
        await engine.generate(case.asked, run)
        assert tuple(run.mimes) == case.makes
        assert all(file.data and file.name for file in run.files)
        assert len(run.handles) == 1
        assert fake.works == 1
        assert run.fractions == sorted(run.fractions)
        assert all(0 <= fraction <= 1 for fraction in run.fractions)


@every_engine
async def test_it_says_what_it_is(case: Case, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        assert (engine.name, engine.kind) == ("mine", case.kind)
        assert case.asked.operation in engine.operations
        assert engine.recovery in ("adopt", "cancel", "kill", "wait")
        state = await engine.state()
        assert bool(state.models) is case.has_models
        assert (fake.loads, fake.works) == (0, 0), "to ask how it is loads nothing"


@every_engine
async def test_what_is_cancelled_stops_at_the_engine(case: Case, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        run = RecordedRun()
        making = await begun(engine, fake, case.asked, run)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making
        if not case.can_stop:
            with pytest.raises(UpstreamError):
                await engine.stop(run.handles[0])
            return
        await engine.stop(run.handles[0])
        await noticed(fake)
        assert len(fake.stopped) == 1
        await engine.stop(run.handles[0])  # it has ended: nothing more is done
        assert len(fake.stopped) == 1
        assert run.files == []


@every_engine
async def test_nothing_is_stopped_for_an_attempt_that_it_does_not_know(case: Case, tmp_path: Path) -> None:
    if not case.can_stop:
        return
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        run = RecordedRun()
        await engine.generate(case.asked, run)
        await engine.stop(run.handles[0])
        assert fake.stopped == []


@every_engine
async def test_it_gives_memory_back(case: Case, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        await engine.generate(case.asked, RecordedRun())
        if case.can_unload:
            await engine.unload()
            assert fake.unloads == case.unloads
            await engine.generate(case.asked, RecordedRun())
            assert fake.works == 2
        else:
            with pytest.raises(NotSupported):
                await engine.unload()


@pytest.mark.parametrize(("case", "fault"), FAULTS)
async def test_every_fault_has_its_error(case: Case, fault: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(
            stack, case, tmp_path, **({"request_timeout_s": 1.0, "run_timeout_s": 2.0} if fault == "hangs" else {})
        )
        fake.fault = fault
        if fault == "refuses":
            await fake.refuse()
        with pytest.raises(case.all_faults[fault]) as raised:
            await engine.generate(case.asked, RecordedRun())
        assert isinstance(raised.value, case.all_faults[fault])
        assert "`mine`" in raised.value.message or "engine" in raised.value.message


@pytest.mark.parametrize(("case", "number"), BAD)
async def test_a_bad_request_costs_nothing(case: Case, number: int, tmp_path: Path) -> None:
    asked, error = case.bad[number]
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        run = RecordedRun()
        with pytest.raises(error) as raised:
            await engine.generate(asked, run)
        assert isinstance(raised.value, GatewayError)
        assert (fake.works, run.handles, run.files) == (0, [], [])


@every_engine
async def test_closing_leaves_nothing_behind(case: Case, tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        engine, _ = await set_up(stack, case, tmp_path)
        await engine.generate(case.asked, RecordedRun())
        await engine.aclose()
        await engine.aclose()
    assert asyncio.all_tasks() <= before


@every_engine
async def test_whoever_takes_over_goes_on_with_the_attempt(case: Case, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        engine, fake = await set_up(stack, case, tmp_path)
        if engine.recovery != "adopt":
            return
        run = RecordedRun()
        making = await begun(engine, fake, case.asked, run)
        making.cancel()
        await asyncio.wait([making])
        other = case.build(fake, tmp_path)
        stack.push_async_callback(other.aclose)
        fake.release()
        after = RecordedRun(run.reference)
        generated = await other.adopt(run.handles[0], case.asked, after)
        assert generated is not None
        assert tuple(after.mimes) == case.makes
        assert after.handles == []
        assert fake.works == 1
        unknown = RecordedRun()
        assert await other.adopt(unknown.reference, case.asked, unknown) is None
