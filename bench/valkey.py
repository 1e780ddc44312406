"""What shared limits cost: the CPU of a process that takes and settles, as a gate does with each call.

`python -m bench.valkey URL CALLS` is that process; it prints its microseconds per call.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from statistics import median
from tempfile import TemporaryDirectory

import uvloop

from aldgate.limiter.claims import Claim
from aldgate.limiter.valkey.limiter import ValkeyLimiter
from bench.processes import NotAvailable, cores, running
from bench.report import Line
from bench.rows import Plan, Row

CALLERS, CALLS = 32, 20_000
MOST = 10**12
CLAIMS = (
    *(Claim(account, "requests", MOST, 60, 1) for account in ("organisation", "team", "key")),
    *(Claim(account, "tokens", MOST, 60, 600) for account in ("team", "key")),
    Claim("organisation", "tokens", MOST, 86_400, 600),
    Claim("key", "concurrency", 1000, 0, 1),
)


async def valkey(plan: Plan) -> list[Line]:
    """CPU per take and settle of seven limits on three accounts, 32 callers at once, over what they cost doing nothing."""
    calls = plan.calls(CALLS)
    with server() as url:
        found = [figures(url, calls) for _ in range(plan.repeat)]
    costs = [cost for cost, _ in found]
    note = f"{median(rate for _, rate in found):,.0f} calls/s, rounds {' '.join(f'{cost:.3g}' for cost in costs)}"
    return [
        Line(row="valkey", label="CPU per call for shared limits", value=median(costs), unit="µs", bar=40, note=note, raw=found)
    ]


def figures(url: str, calls: int) -> tuple[float, float]:
    """CPU microseconds per call, and calls per second."""
    gate, _ = cores()
    run = subprocess.run(
        [sys.executable, "-m", "bench.valkey", url, str(calls)],
        preexec_fn=lambda: os.sched_setaffinity(0, {gate}),
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise NotAvailable(run.stderr.strip().splitlines()[-1])
    cost, rate = run.stdout.split()
    return float(cost), float(rate)


@contextmanager
def server() -> Iterator[str]:
    """A server on the core of everything else; gives its URL."""
    program = which("valkey-server") or which("redis-server")
    if program is None:
        raise NotAvailable("neither `valkey-server` nor `redis-server` is on the path")
    with TemporaryDirectory() as home:
        socket = f"{home}/socket"
        command = [program, "--port", "0", "--unixsocket", socket, "--dir", home, "--save", ""]
        with running(command, core=cores()[1]) as process:
            while not Path(socket).exists():
                if process.popen.poll() is not None:
                    raise NotAvailable(process.last_words())
                time.sleep(0.005)
            yield f"unix://{socket}"


async def work(url: str, calls: int) -> tuple[float, float]:
    limiter = ValkeyLimiter(url, process="bench", is_open=lambda _: False)
    await limiter.open()

    async def called(count: int) -> None:
        for _ in range(count):
            taken = await limiter.take(CLAIMS)
            taken.standings()
            limiter.settle(taken, {"tokens": 400})

    async def idled(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def cost(of: Callable[[int], Awaitable[None]]) -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*(of(calls // CALLERS) for _ in range(CALLERS)))
        return time.process_time() - cpu, time.perf_counter() - wall

    await asyncio.gather(*(called(20) for _ in range(CALLERS)))
    idle, _ = await cost(idled)
    busy, wall = await cost(called)
    await limiter.aclose()
    made = calls // CALLERS * CALLERS
    return (busy - idle) / made * 1e6, made / wall


ROWS: dict[str, Row] = {"valkey": valkey}

if __name__ == "__main__":
    print(*uvloop.run(work(sys.argv[1], int(sys.argv[2]))))
