"""Failed logins: counted by name and address, over all processes that share Valkey, and by each alone where it is away."""

import pytest

from aldgate.core.errors import RateLimited, StoreUnavailable
from aldgate.gate.principals.tries import BOUNDS, Kind, Tries
from tests.limiter.valkey.conftest import opened
from tests.limiter.valkey.server import Server

pytestmark = pytest.mark.anyio
ANN: dict[Kind, str] = {"name": "ann", "address": "127.0.0.1"}
BURST = BOUNDS["name"][0]


class Away:
    async def take(self, claims: object) -> None:
        raise StoreUnavailable("away")

    def settle(self, taken: object, used: object) -> None:
        raise AssertionError("nothing was taken")


async def failures(tries: Tries, most: int = 100) -> int:
    for number in range(most):
        try:
            await tries.begin(ANN)
        except RateLimited as error:
            assert error.retry_after_s
            return number
    return most


async def test_two_processes_let_pass_no_more_than_one(valkey: Server) -> None:
    async with opened(valkey.url, process="one") as first, opened(valkey.url, process="two") as second:
        one, two = Tries(), Tries()
        one.shared, two.shared = first, second
        for tries in (one, two, one, two) * BURST:
            tries.forgive(await tries.begin(ANN))
        assert await failures(one, BURST - 3) == BURST - 3
        assert await failures(two) == 3
        assert await failures(one) == 0
        await two.begin({"name": "bob", "address": "127.0.0.1"})


async def test_while_it_is_away_each_process_counts_alone() -> None:
    tries = Tries()
    tries.shared = Away()
    tries.forgive(await tries.begin(ANN))
    assert await failures(tries) == BURST
