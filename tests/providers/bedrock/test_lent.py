"""Lent credentials under any order of events: never used after their end, asked for once at a time, and not with every call."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aldgate.core.errors import UpstreamAuth
from aldgate.providers.bedrock.lent import RENEW_S, Borrowed, Lent, refused, usable
from aldgate.providers.bedrock.signature import Credentials


class Lender:
    """Lends for as long as it is told; None: nothing."""

    pools = ()

    def __init__(self) -> None:
        self.now = 1_000.0
        self.lends_s: float | None = 3_600.0
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def lend(self) -> Lent:
        self.asked += 1
        await self.gate.wait()
        if self.lends_s is None:
            raise refused("Nobody", "they are out")
        return Lent(Credentials(str(self.asked), "s", "t"), self.now + self.lends_s)


async def use(borrowed: Borrowed) -> Credentials:
    return borrowed.current() or await borrowed.renewed()


steps = st.lists(st.tuples(st.floats(0, 2_000), st.none() | st.floats(1, 4_000)), min_size=1, max_size=20)


@given(steps)
def test_they_are_never_used_after_their_end(events: list[tuple[float, float | None]]) -> None:
    async def run() -> None:
        lender = Lender()
        borrowed = Borrowed(lender, lambda: lender.now)
        until = 0.0
        for passed, lends_s in events:
            lender.now += passed
            lender.lends_s = lends_s
            asked = lender.asked
            try:
                await use(borrowed)
            except UpstreamAuth:
                assert lends_s is None and lender.now >= until
                continue
            if lender.asked > asked and lends_s is not None:
                until = lender.now + lends_s
            assert lender.now < until or lender.now == until

    asyncio.run(run())


@pytest.mark.anyio
async def test_they_are_renewed_in_time_and_by_one_for_all() -> None:
    lender = Lender()
    borrowed = Borrowed(lender, lambda: lender.now)
    assert borrowed.current() is None
    lender.gate.clear()
    calls = [asyncio.create_task(use(borrowed)) for _ in range(5)]
    await asyncio.sleep(0)
    lender.gate.set()
    assert {each.access_key_id for each in await asyncio.gather(*calls)} == {"1"} and lender.asked == 1
    lender.now += 3_600 - RENEW_S - 1
    assert borrowed.current() is not None
    lender.now += 1
    assert (await use(borrowed)).access_key_id == "2"


@pytest.mark.anyio
async def test_those_that_still_hold_bridge_a_renewal_that_fails() -> None:
    lender = Lender()
    borrowed = Borrowed(lender, lambda: lender.now)
    await use(borrowed)
    lender.lends_s = None
    lender.now += 3_600 - RENEW_S
    for _ in range(3):
        assert (await use(borrowed)).access_key_id == "1"
    assert lender.asked == 2, "not with every call"
    lender.now += RENEW_S
    with pytest.raises(UpstreamAuth, match="they are out"):
        await use(borrowed)
    lender.lends_s = 3_600
    assert (await use(borrowed)).access_key_id == "4"
    borrowed.forget()
    assert (await use(borrowed)).access_key_id == "5"


def test_what_no_header_can_carry_is_not_used() -> None:
    assert usable("a", "b") and not usable("a", "") and not usable("a\r\nb") and not usable("ä")
