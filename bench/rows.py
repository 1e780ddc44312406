"""What is measured. Each row opens the contestants it needs, so that one that fails costs the others nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from statistics import median

from bench.contestants import (
    CHUNKS,
    CLAUDE,
    ECHO_MODEL,
    PACE_MS,
    SLOW_MODEL,
    SLOW_PACE_MS,
    Running,
    aldgate,
    cold_start_s,
    naive,
    nginx,
    upstream,
)
from bench.load import LoadFailed, Target, drive
from bench.processes import NotAvailable
from bench.report import Line

MB = 1024


@dataclass(frozen=True)
class Plan:
    """How much to measure: `scale` multiplies every number of calls, `repeat` is the number of paired rounds."""

    scale: float = 1.0
    repeat: int = 3

    def calls(self, full: int) -> int:
        """So many calls, scaled."""
        return max(20, int(full * self.scale))


Row = Callable[[Plan], Awaitable[list[Line]]]


async def cpu_us(gate: Running, target: Target, calls: int, connections: int = 32) -> tuple[float, float]:
    """CPU microseconds of `gate` per call, and calls per second, after a warm-up of a twentieth."""
    await drive(target, max(connections, calls // 20), connections)
    before = gate.process.cpu_s()
    tally = await drive(target, calls, connections)
    return (gate.process.cpu_s() - before) / calls * 1e6, calls / tally.seconds


# --- chat: CPU per call, beside nginx and the naive proxy -----------------------------------------------------------------

CHAT_CALLS = {"nginx": 80_000, "aldgate": 30_000, "naive": 1_500}
MAKE: dict[str, Callable[[Running], AbstractContextManager[Running]]] = {"nginx": nginx, "aldgate": aldgate, "naive": naive}


async def chat(plan: Plan) -> list[Line]:
    """CPU per whole chat call, in rounds of nginx, gate, naive."""
    rounds: dict[str, list[float]] = {name: [] for name in MAKE}
    speeds: dict[str, list[float]] = {name: [] for name in MAKE}
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        lab = stack.enter_context(upstream(0))
        running = _start_all(stack, lab, missing)
        for _ in range(plan.repeat):
            for name, gate in running.items():
                if name not in missing:
                    await _chat_round(plan, gate, rounds, speeds, missing)
    lines = [_chat_line(name, rounds[name], speeds[name], missing.get(name, "")) for name in MAKE]
    over_nginx = _ratio(rounds["aldgate"], rounds["nginx"])
    under_naive = _ratio(rounds["naive"], rounds["aldgate"])
    return [
        *lines,
        Line(row="chat", label="gate over nginx", value=over_nginx, unit="x", bar=7, goal=6),
        Line(row="chat", label="naive over gate", value=under_naive, unit="x", bar=20, best="high"),
    ]


def _start_all(stack: ExitStack, lab: Running, missing: dict[str, str]) -> dict[str, Running]:
    running: dict[str, Running] = {}
    for name, make in MAKE.items():
        try:
            running[name] = stack.enter_context(make(lab))
        except NotAvailable as error:
            missing[name] = str(error)
    return running


async def _chat_round(
    plan: Plan, gate: Running, rounds: dict[str, list[float]], speeds: dict[str, list[float]], missing: dict[str, str]
) -> None:
    try:
        cost, speed = await cpu_us(gate, gate.chat(), plan.calls(CHAT_CALLS[gate.name]))
    except (LoadFailed, OSError) as error:
        missing[gate.name] = str(error)
        rounds[gate.name].clear()
        speeds[gate.name].clear()
        return
    rounds[gate.name].append(cost)
    speeds[gate.name].append(speed)


def _chat_line(name: str, costs: list[float], speeds: list[float], why: str) -> Line:
    value = median(costs) if costs else None
    busy = median(cost * speed / 1e6 for cost, speed in zip(costs, speeds, strict=True)) if costs else 0.0
    note = why or f"{median(speeds):,.0f} calls/s, core {busy:.0%} busy, rounds {_spread(costs)}"
    return Line(
        row="chat", label=f"{name}: CPU per call", value=value, unit="µs", note=note, raw={"us": costs, "calls_per_s": speeds}
    )


def _ratio(above: list[float], below: list[float]) -> float | None:
    pairs = list(zip(above, below, strict=False))
    return median(one / other for one, other in pairs) if pairs else None


# --- stream: CPU per relayed event ----------------------------------------------------------------------------------------

STREAMS, STREAMS_AT_ONCE = 160, 16


async def stream(plan: Plan) -> list[Line]:
    """CPU per event of 100-event streams, 16 at once, everything included; and what a stream costs besides its events."""
    per_event: list[float] = []
    short: list[float] = []
    reads = 0.0
    with upstream(PACE_MS) as lab, aldgate(lab) as gate:
        long = gate.chat(stream=True)
        brief = gate.chat(stream=True, max_tokens=1)
        streams = plan.calls(STREAMS)
        for _ in range(plan.repeat):
            before = gate.process.cpu_s()
            tally = await drive(long, streams, STREAMS_AT_ONCE)
            per_event.append((gate.process.cpu_s() - before) / tally.events * 1e6)
            reads = tally.reads / tally.events
            short.append((await cpu_us(gate, brief, plan.calls(STREAMS * 10), STREAMS_AT_ONCE))[0])
    cost, whole = median(per_event), median(short)
    note = f"{CHUNKS} events {PACE_MS:g} ms apart, {reads:.2f} reads per event, rounds {_spread(per_event)}"
    return [
        Line(row="stream", label="CPU per event", value=cost, unit="µs", bar=20, note=note, raw=per_event),
        Line(
            row="stream",
            label="CPU per one-word stream",
            value=whole,
            unit="µs",
            note="what a stream costs besides its words",
            raw=short,
        ),
    ]


# --- translated: OpenAI's callers, Anthropic's wire -----------------------------------------------------------------------


async def translated(plan: Plan) -> list[Line]:
    """CPU per whole chat call and per event of a stream that go to a provider of another dialect."""
    whole: list[float] = []
    passed: list[float] = []
    per_event: list[float] = []
    with upstream(0) as lab, upstream(PACE_MS) as paced, aldgate(lab) as gate, aldgate(paced) as streaming:
        stream_target = streaming.chat(CLAUDE, stream=True)
        for _ in range(plan.repeat):
            passed.append((await cpu_us(gate, gate.chat(), plan.calls(10_000)))[0])
            whole.append((await cpu_us(gate, gate.chat(CLAUDE), plan.calls(10_000)))[0])
            before = streaming.process.cpu_s()
            tally = await drive(stream_target, plan.calls(STREAMS), STREAMS_AT_ONCE)
            per_event.append((streaming.process.cpu_s() - before) / tally.events * 1e6)
    note = f"passed through in the same run {median(passed):.0f} µs, rounds {_spread(whole)}"
    return [
        Line(row="translated", label="CPU per call", value=median(whole), unit="µs", bar=150, note=note, raw=whole),
        Line(
            row="translated",
            label="CPU per event",
            value=median(per_event),
            unit="µs",
            bar=45,
            note=f"rounds {_spread(per_event)}",
            raw=per_event,
        ),
    ]


# --- first byte: added time at concurrency 1 ------------------------------------------------------------------------------


async def first_byte(plan: Plan) -> list[Line]:
    """The gate's median first byte less the upstream's own, blocks of calls taken in turn."""
    direct: list[float] = []
    through: list[float] = []
    with upstream(0) as lab, aldgate(lab) as gate:
        await drive(gate.chat(), 200, 1)
        for _ in range(plan.calls(20 * plan.repeat)):
            direct += (await drive(lab.chat(), 50, 1)).latencies
            through += (await drive(gate.chat(), 50, 1)).latencies
    added = (median(through) - median(direct)) * 1e3
    note = f"direct {median(direct) * 1e3:.3f} ms, through the gate {median(through) * 1e3:.3f} ms"
    raw = {"direct_p50_s": median(direct), "gate_p50_s": median(through), "calls": len(through)}
    return [Line(row="first_byte", label="added, one call at a time, p50", value=added, unit="ms", bar=0.3, note=note, raw=raw)]


# --- memory and start -----------------------------------------------------------------------------------------------------


async def open_streams(plan: Plan) -> list[Line]:
    """A thousand streams open at once for half a minute."""
    count = plan.calls(1000)
    with upstream(SLOW_PACE_MS) as lab, upstream(SLOW_PACE_MS) as slow, aldgate(lab, slow) as gate:
        await drive(gate.chat(SLOW_MODEL, stream=True, max_tokens=1), 50, 10)
        samples = [gate.process.rss_kb()]
        async with asyncio.TaskGroup() as group:
            load = group.create_task(drive(gate.chat(SLOW_MODEL, stream=True), count, count))
            while not load.done():
                await asyncio.wait([load], timeout=1)
                samples.append(gate.process.rss_kb())
    tally = load.result()
    each = (max(samples) - samples[0]) / count
    note = f"{count} streams, {tally.events:,} events in {tally.seconds:.0f} s, no error"
    return [Line(row="open_streams", label="memory per open stream", value=each, unit="KB", bar=60, note=note, raw=samples)]


async def idle(plan: Plan) -> list[Line]:
    """Resident memory after the start and a second of peace."""
    with upstream(0) as lab, aldgate(lab) as gate:
        await asyncio.sleep(1)
        value = gate.process.rss_kb() / MB
    return [Line(row="idle", label="resident after start", value=value, unit="MB", bar=100)]


async def cold_start(plan: Plan) -> list[Line]:
    """Launch to the first 200 on /health, each time on a fresh data directory."""
    with upstream(0) as lab:
        times = [cold_start_s(lab) for _ in range(5)]
    return [
        Line(
            row="cold_start",
            label="launch to first 200",
            value=median(times),
            unit="s",
            bar=1.5,
            goal=1.0,
            note=_spread(times),
            raw=times,
        )
    ]


async def growth(plan: Plan) -> list[Line]:
    """Resident memory between call 50,000 and call 500,000."""
    block = plan.calls(50_000)
    samples: list[float] = []
    with upstream(0) as lab, aldgate(lab) as gate:
        for _ in range(10):
            await drive(gate.chat(), block)
            samples.append(gate.process.rss_kb() / MB)
    note = f"{samples[0]:.0f} MB after {block:,} calls, {samples[-1]:.0f} MB after {10 * block:,}"
    return [
        Line(
            row="growth",
            label="resident, from call 50,000 to 500,000",
            value=samples[-1] - samples[0],
            unit="MB",
            note=note,
            raw=samples,
        )
    ]


async def echo(plan: Plan) -> list[Line]:
    """CPU per call that a builtin engine answers: the gate without an upstream."""
    costs: list[float] = []
    with upstream(0) as lab, aldgate(lab) as gate:
        for _ in range(plan.repeat):
            costs.append((await cpu_us(gate, gate.chat(ECHO_MODEL), plan.calls(20_000)))[0])
    return [
        Line(
            row="echo",
            label="CPU per builtin/echo call",
            value=median(costs),
            unit="µs",
            note=f"rounds {_spread(costs)}",
            raw=costs,
        )
    ]


def _spread(figures: list[float]) -> str:
    return " ".join(f"{figure:.3g}" for figure in figures)


ROWS: dict[str, Row] = {
    "chat": chat,
    "stream": stream,
    "translated": translated,
    "first_byte": first_byte,
    "open_streams": open_streams,
    "idle": idle,
    "cold_start": cold_start,
    "growth": growth,
    "echo": echo,
}
