import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme

from aldgate.core.errors import ConcurrencyLimited, GatewayError, RateLimited, StoreUnavailable
from aldgate.limiter.claims import Claim, Standing
from aldgate.limiter.valkey.calls import ValkeyTaken
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from tests.limiter.valkey.conftest import NewLimiter, opened
from tests.limiter.valkey.server import Server, running

REQUESTS = Claim("key", "requests", 3, 60, 1)
TOKENS = Claim("key", "tokens", 100, 86_400, 30)
AT_ONCE = Claim("key", "concurrency", 2, 0, 1)
ALL = (REQUESTS, TOKENS, Claim("org", "tokens", 10_000, 86_400, 30), AT_ONCE)


def lefts(standings: Sequence[Standing]) -> list[int]:
    return [standing.left for standing in standings]


async def test_every_claim_is_spent_and_settling_gives_back(limiter: ValkeyLimiter) -> None:
    taken = await limiter.take(ALL)
    assert lefts(taken.standings()) == [2, 70, 9_970, 1]
    assert [standing.limit for standing in taken.standings()] == [3, 100, 10_000, 2]
    limiter.settle(taken, {"tokens": 10})
    assert lefts(await limiter.standings(ALL)) == [2, 90, 9_990, 2]
    limiter.settle(taken, {"tokens": 0})
    assert lefts(await limiter.standings(ALL)) == [2, 90, 9_990, 2]


async def test_a_call_may_leave_before_its_units_are_known(limiter: ValkeyLimiter) -> None:
    taken = await limiter.take(ALL)
    limiter.leave(taken)
    limiter.leave(taken)
    assert lefts(await limiter.standings(ALL)) == [2, 70, 9_970, 2]
    other = await limiter.take([AT_ONCE])
    limiter.settle(taken, {"tokens": 40})
    assert lefts(await limiter.standings(ALL)) == [2, 60, 9_960, 1]  # the other call is under way
    limiter.settle(other, {})
    limiter.leave(other)
    assert lefts(await limiter.standings(ALL)) == [2, 60, 9_960, 2]


async def test_more_than_was_held_is_taken_too(limiter: ValkeyLimiter) -> None:
    claim = TOKENS._replace(period_s=60)
    limiter.settle(await limiter.take([claim]), {"tokens": 160})
    with pytest.raises(RateLimited) as raised:
        await limiter.take([claim])
    assert raised.value.retry_after_s == 54
    assert raised.value.message == "The limit of 100 tokens per minute is reached; try again in 54 s."


async def test_what_is_refused_spends_nothing(limiter: ValkeyLimiter) -> None:
    other = Claim("org", "tokens", 10**6, 60, 30)
    for _ in range(3):
        await limiter.take([REQUESTS])
    for _ in range(3):
        with pytest.raises(RateLimited, match="3 requests per minute"):
            await limiter.take([other, AT_ONCE, REQUESTS])
    assert lefts(await limiter.standings([other, AT_ONCE])) == [10**6, 2]


async def test_calls_at_once_are_looked_at_first_and_come_back(limiter: ValkeyLimiter) -> None:
    first, _ = [await limiter.take([AT_ONCE, TOKENS]) for _ in range(2)]
    with pytest.raises(ConcurrencyLimited) as raised:
        await limiter.take([TOKENS._replace(units=100), AT_ONCE])
    assert raised.value.message == "2 calls are under way with this key, and the limit is 2."
    assert raised.value.retry_after_s == 1
    limiter.settle(first, {})
    assert lefts((await limiter.take([AT_ONCE])).standings()) == [0]


async def test_64_callers_in_two_processes_take_exactly_the_limit(shared_server: Server, new_limiter: NewLimiter) -> None:
    claims = [
        Claim("key", "requests", 100, 86_400, 1),
        Claim("org", "tokens", 7 * 90, 86_400, 7),
        Claim("key", "concurrency", 20, 0, 1),
    ]
    limiters = [await new_limiter(shared_server.url, process=name) for name in ("one", "two")]
    taken: list[ValkeyTaken] = []
    most = 0

    async def caller(limiter: ValkeyLimiter) -> None:
        nonlocal most
        while True:
            try:
                mine = await limiter.take(claims)
            except ConcurrencyLimited:
                continue
            except RateLimited:
                return
            taken.append(mine)
            most = max(most, sum(not each.is_settled for each in taken))
            await asyncio.sleep(0)
            limiter.settle(mine, {})

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for number in range(64):
            group.create_task(caller(limiters[number % 2]))
    assert len(taken) == 90
    assert most == 20


async def test_what_is_asked_in_one_turn_leaves_in_one_write(new_limiter: NewLimiter, shared_server: Server) -> None:
    limiter = await new_limiter(shared_server.url)
    held = [await limiter.take([TOKENS._replace(account=str(number))]) for number in range(8)]

    def reads() -> int:
        info = shared_server.ask("INFO", "stats")
        assert isinstance(info, bytes)
        return next(int(line.split(b":")[1]) for line in info.splitlines() if line.startswith(b"total_reads_processed:"))

    async def turn(number: int) -> None:
        limiter.settle(held[number], {"tokens": 1})
        await limiter.take([AT_ONCE._replace(account=str(number))])

    before = reads()
    await asyncio.gather(*map(turn, range(8)))
    assert reads() - before == 3  # ours, the question before (its end is one) and this one


async def test_scripts_that_the_server_forgot_are_loaded_again(limiter: ValkeyLimiter, shared_server: Server) -> None:
    taken = await limiter.take(ALL)
    shared_server.ask("SCRIPT", "FLUSH")
    more = asyncio.gather(*(limiter.take([REQUESTS._replace(account=str(number))]) for number in range(5)))
    limiter.settle(taken, {"tokens": 0})
    assert lefts(await limiter.standings([TOKENS, AT_ONCE])) == [100, 2]
    assert [lefts(each.standings()) for each in await more] == [[2]] * 5
    shared_server.ask("SCRIPT", "FLUSH")
    assert lefts(await limiter.standings([TOKENS])) == [100]


@pytest.mark.parametrize("turns", range(4))
async def test_a_caller_who_leaves_holds_nothing(limiter: ValkeyLimiter, turns: int) -> None:
    task = asyncio.create_task(limiter.take(ALL))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await limiter.standings(ALL)
    assert lefts(await limiter.standings(ALL)) == [3, 100, 10_000, 2]


async def test_a_caller_who_leaves_as_the_answer_comes_holds_nothing(limiter: ValkeyLimiter) -> None:
    task = asyncio.create_task(limiter.take(ALL))
    await asyncio.sleep(0)
    await limiter.standings(ALL)  # its reply came with the other's, whose task runs after ours: ours was woken, and has not run
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        limiter.settle(task.result(), {"requests": 0, "tokens": 0})
    assert lefts(await limiter.standings(ALL)) == [3, 100, 10_000, 2]


async def test_accounts_with_any_name_and_prefixes_are_apart(shared_server: Server, new_limiter: NewLimiter) -> None:
    limiter = await new_limiter(shared_server.url)
    names = ["a b", "{x}", "\r\n", "ключ", "a:requests:60", ""]
    for name in names:
        await limiter.take([REQUESTS._replace(account=name)])
    assert lefts(await limiter.standings([REQUESTS._replace(account=name) for name in names])) == [2] * len(names)
    other = await new_limiter(shared_server.url, prefix="elsewhere")
    assert lefts(await other.standings([REQUESTS._replace(account="a b")])) == [3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def documented_rights() -> list[str]:
    """What docs/valkey.md says that the user needs."""
    page = (Path(__file__).parents[3] / "docs" / "valkey.md").read_text(encoding="utf-8")
    return page.partition("ACL SETUSER gate on ")[2].partition("\n\n")[0].split()


async def test_passwords_users_and_databases(shared_server: Server) -> None:
    with TemporaryDirectory(prefix="aldgate-valkey-") as home:
        port = free_port()
        users = (*"--user gate on >s3cret ~* &* +@all --user documented on".split(), *documented_rights())
        options = ("--requirepass", "p/w", "--port", str(port), *users)
        with running(Path(home), *options):
            async with opened(f"redis://:p%2Fw@127.0.0.1:{port}") as limiter:
                await limiter.take([REQUESTS])
            async with opened(f"redis://gate:s3cret@127.0.0.1:{port}") as limiter:
                assert lefts(await limiter.standings([REQUESTS])) == [2]
            async with opened(f"valkey://gate:s3cret@127.0.0.1:{port}/3") as limiter:
                assert lefts(await limiter.standings([REQUESTS])) == [3]
            async with opened(f"redis://documented:PASSWORD@127.0.0.1:{port}") as limiter:
                limiter.settle(await limiter.take(ALL), {"tokens": 0})
                assert lefts(await limiter.standings(ALL)) == [1, 100, 10_000, 2]
            for url in (f"redis://127.0.0.1:{port}", f"redis://:wrong@127.0.0.1:{port}", f"redis://:p%2Fw@127.0.0.1:{port}/99"):
                with pytest.raises(StoreUnavailable) as raised:
                    await ValkeyLimiter(url, process="one", is_open=lambda _: True).open()
                assert "refuses" in raised.value.message and "wrong" not in raised.value.message


async def test_tls(shared_server: Server) -> None:
    authority = trustme.CA()
    with TemporaryDirectory(prefix="aldgate-valkey-") as folder:
        home, port = Path(folder), free_port()
        authority.cert_pem.write_to_path(str(home / "ca.pem"))
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(home / "both.pem"))
        files = (
            "--tls-cert-file",
            f"{home}/both.pem",
            "--tls-key-file",
            f"{home}/both.pem",
            "--tls-ca-cert-file",
            f"{home}/ca.pem",
        )
        with running(home, "--tls-port", str(port), "--tls-auth-clients", "no", *files):
            trusting = ssl.create_default_context()
            authority.configure_trust(trusting)
            async with opened(f"rediss://127.0.0.1:{port}", tls=trusting) as limiter:
                assert lefts((await limiter.take(ALL)).standings()) == [2, 70, 9_970, 1]
            with pytest.raises(StoreUnavailable, match="certificate"):
                await ValkeyLimiter(f"rediss://127.0.0.1:{port}", process="one", is_open=lambda _: True).open()


async def test_standings_of_a_refusal_are_there_to_be_asked(limiter: ValkeyLimiter) -> None:
    error: GatewayError | None = None
    try:
        await limiter.take([TOKENS._replace(units=100), AT_ONCE._replace(limit=0)])
    except GatewayError as found:
        error = found
    assert isinstance(error, ConcurrencyLimited)
    assert await limiter.standings([TOKENS]) == [Standing(100, 100, 0)]


async def test_periods_beyond_what_is_exact_are_refused(limiter: ValkeyLimiter) -> None:
    with pytest.raises(ValueError, match="86400 seconds at the most"):
        await limiter.take([TOKENS._replace(period_s=86_401)])
