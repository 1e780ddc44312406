import asyncio

import pytest

from aldgate.engines.beside import beside


async def test_it_has_ended_when_the_body_has() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            seen.append("begun")
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async with beside(work()):
        while not seen:
            await asyncio.sleep(0)
    assert seen == ["begun", "ended"]


async def test_its_failure_is_raised_where_the_body_has_none() -> None:
    failed = asyncio.Event()

    async def fail() -> None:
        failed.set()
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        async with beside(fail()):
            await failed.wait()
    failed.clear()
    with pytest.raises(KeyError):
        async with beside(fail()):
            await failed.wait()
            raise KeyError("body")
