"""`python -m bench.placement`: mixed workloads on one device, replayed through the gate's own decision and first-in-first-out.

First-in-first-out is the same decision given only the job that came first: it keeps what fits, evicts by least recent use, and
differs in nothing but the order. Time is simulated; a run takes seconds.
"""

import argparse
import dataclasses
import heapq
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from aldgate.core.placement import Candidate, Device, Plan, Residency, loaded, plan


@dataclass(frozen=True)
class EngineFacts:
    """An engine: memory in MiB, and how long things take."""

    memory_mb: int
    run_s: float
    load_s: float
    exclusive: bool = True
    places: int = 1
    unload_s: float = 2.0


@dataclass(frozen=True)
class Arrival:
    """A job that comes."""

    at: float
    engine: str
    run_s: float


@dataclass(frozen=True)
class Workload:
    """Who comes when, for what."""

    name: str
    device: Device
    engines: dict[str, EngineFacts]
    arrivals: tuple[Arrival, ...]
    bar: float = 1.0
    """So many times fewer swaps; where the queue is mostly empty there is nothing to order, and no bar but not to be worse."""


@dataclass
class Outcome:
    """What came of a replay. Waits are from arrival to the start of loading or work, by job, in seconds."""

    swaps: int = 0
    loads: int = 0
    waits: list[float] = field(default_factory=lambda: [])
    turns: list[float] = field(default_factory=lambda: [])
    """From the moment a job is the first of its engine that waits to its start."""
    ended_at: float = 0.0


LOOK_S = 2.0
CANDIDATES = 10
Decide = Callable[[Device, Sequence[Residency], Sequence[Candidate], float], Plan]


def in_order(device: Device, residencies: Sequence[Residency], candidates: Sequence[Candidate], now: float) -> Plan:
    """First in, first out: nobody goes before the job that came first."""
    patient = replace(device, starvation_s=float("inf"))
    begin: list[str] = []
    load: dict[str, int] = {}
    here = {each.engine: each for each in residencies}
    for each in candidates:
        made = plan(patient, tuple(here.values()), (each,), now)
        if not made.begin:
            return Plan(begin=tuple(begin), load=load, evict=made.evict)
        begin += made.begin
        load |= made.load
        mine = here.get(each.engine) or loaded(each, made.load[each.engine], now)
        here[each.engine] = replace(mine, running=mine.running + 1, used_at=now)
    return Plan(begin=tuple(begin), load=load)


class Replay:
    """One workload under one way to decide."""

    def __init__(self, workload: Workload, decide: Decide) -> None:
        self._workload = workload
        self._decide = decide
        self._here: dict[str, Residency] = {}
        self._waiting: list[Candidate] = []
        self._runs = {f"{at}": each for at, each in enumerate(workload.arrivals)}
        self._events: list[tuple[float, int, str, str]] = []
        self._serial = 0
        self._will_look = False
        self._left_at: dict[str, float] = {}
        self._first_since: dict[str, float] = {}
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Replay everything to its end."""
        for job, each in self._runs.items():
            self._at(each.at, "arrives", job)
        while self._events:
            now, _, what, name = heapq.heappop(self._events)
            self._take(what, name, now)
            while self._events and self._events[0][0] == now:
                _, _, what, name = heapq.heappop(self._events)
                self._take(what, name, now)
            self._place(now)
            self.outcome.ended_at = now
        assert not self._waiting, "somebody waits for ever"
        return self.outcome

    def _at(self, when: float, what: str, name: str) -> None:
        self._serial += 1
        heapq.heappush(self._events, (when, self._serial, what, name))

    def _take(self, what: str, name: str, now: float) -> None:
        if what == "arrives":
            engine = self._runs[name].engine
            facts = self._workload.engines[engine]
            shape = {"memory_mb": facts.memory_mb, "exclusive": facts.exclusive, "places": facts.places}
            self._waiting.append(Candidate(job=name, engine=engine, since=now, **shape))
            self._first_since.setdefault(engine, now)
        elif what == "ends":
            mine = self._here[name]
            self._here[name] = replace(mine, running=mine.running - 1, used_at=now, state="ready")
        elif what == "left":
            self._left_at[name] = self._here.pop(name).used_at
        else:
            self._will_look = False

    def _place(self, now: float) -> None:
        made = self._decide(self._workload.device, tuple(self._here.values()), self._candidates(), now)
        for engine in made.evict:
            self._here[engine] = replace(self._here[engine], state="evicting")
            self._at(now + self._workload.engines[engine].unload_s, "left", engine)
            self.outcome.swaps += 1
        for job in made.begin:
            self._begin(job, made, now)
        if made.waits and not self._will_look:  # turns end with time, not only with events
            self._will_look = True
            self._at(now + LOOK_S, "looks", "")

    def _candidates(self) -> list[Candidate]:
        """Of each engine the first few, as the store gives them."""
        seen = Counter[str]()
        found: list[Candidate] = []
        for each in self._waiting:
            seen[each.engine] += 1
            if seen[each.engine] <= CANDIDATES:
                found.append(replace(each, since=max(each.since, self._left_at.get(each.engine, 0.0))))
        return found

    def _begin(self, job: str, made: Plan, now: float) -> None:
        mine = next(each for each in self._waiting if each.job == job)
        self._waiting.remove(mine)
        facts = self._workload.engines[mine.engine]
        duration = self._runs[job].run_s
        if mine.engine not in self._here:
            self._here[mine.engine] = loaded(mine, made.load[mine.engine], now)
            self.outcome.loads += 1
            duration += facts.load_s
        held = self._here[mine.engine]
        self._here[mine.engine] = replace(held, running=held.running + 1, used_at=now)
        self._at(now + duration, "ends", mine.engine)
        self.outcome.waits.append(now - mine.since)
        self.outcome.turns.append(now - self._first_since.pop(mine.engine))
        if any(each.engine == mine.engine for each in self._waiting):
            self._first_since[mine.engine] = now


ENGINES = {
    "comfyui": EngineFacts(memory_mb=14_000, run_s=12.0, load_s=20.0),
    "wan2gp": EngineFacts(memory_mb=20_000, run_s=90.0, load_s=60.0),
    "yue": EngineFacts(memory_mb=16_000, run_s=60.0, load_s=45.0),
    "ollama": EngineFacts(memory_mb=8_000, run_s=4.0, load_s=8.0, exclusive=False, places=4),
    "alltalk": EngineFacts(memory_mb=4_000, run_s=5.0, load_s=10.0, exclusive=False, places=2),
}
GPU = Device(name="gpu0", total_mb=24_576, reserve_mb=512)


def steady(name: str, shares: dict[str, float], load: float, count: int, seed: int) -> Workload:
    """Jobs of several engines in random order, as many as keep the device busy for `load` of the time, loading left out."""
    dice = random.Random(seed)
    mean = sum(ENGINES[each].run_s / ENGINES[each].places * share for each, share in shares.items()) / sum(shares.values())
    now = 0.0
    arrivals: list[Arrival] = []
    for _ in range(count):
        now += dice.expovariate(load / mean)
        arrivals.append(_one(dice, now, shares))
    return Workload(name, GPU, {each: ENGINES[each] for each in shares}, tuple(arrivals))


def waves(name: str, shares: dict[str, float], size: int, every_s: float, count: int, seed: int) -> Workload:
    """Several people at once who each ask for something else: `size` jobs within a minute, and again after `every_s`."""
    dice = random.Random(seed)
    starts = [at // size * every_s for at in range(count)]
    arrivals = sorted((_one(dice, start + dice.uniform(0, 60), shares) for start in starts), key=lambda each: each.at)
    return Workload(name, GPU, {each: ENGINES[each] for each in shares}, tuple(arrivals), bar=5.0)


def _one(dice: random.Random, at: float, shares: dict[str, float]) -> Arrival:
    engine = dice.choices(list(shares), list(shares.values()))[0]
    return Arrival(at, engine, dice.uniform(0.5, 1.5) * ENGINES[engine].run_s)


def _patient(workload: Workload, starvation_s: float) -> Workload:
    return dataclasses.replace(workload, device=replace(GPU, starvation_s=starvation_s))


def workloads(seed: int, count: int = 1_000) -> list[Workload]:
    """What households and small offices have."""
    everything = {"comfyui": 4.0, "wan2gp": 1.0, "yue": 1.0, "ollama": 6.0, "alltalk": 2.0}
    return [
        waves("images and video, in waves", {"comfyui": 2, "wan2gp": 1}, 50, 7_200, count, seed),
        _patient(
            waves("three large ones, starvation_s = 900", {"comfyui": 2, "wan2gp": 1, "yue": 1}, 60, 10_800, count, seed), 900
        ),
        waves("everything, in waves", everything, 80, 7_200, count, seed),
        steady("images and video, steadily", {"comfyui": 8, "wan2gp": 1}, 0.7, count, seed),
        steady("everything, steadily", everything, 0.7, count, seed),
    ]


def bound_s(workload: Workload) -> float:
    """The longest that the first job of an engine may wait, whoever else comes.

    It is starved after `starvation_s`. Each other engine that was starved before it has a turn of at most as long, then its last
    job (as many at once as it has places; loading included) ends, and it leaves; so does whoever is there when its time comes.
    """
    longest = max(1.5 * each.run_s + each.load_s + each.unload_s for each in workload.engines.values())
    each_s = workload.device.starvation_s + longest + LOOK_S
    return workload.device.starvation_s + each_s * len(workload.engines)


def row(workload: Workload) -> tuple[str, bool]:
    """One workload both ways, and whether every promise was kept."""
    ours, fifo = Replay(workload, plan).run(), Replay(workload, in_order).run()
    fewer = fifo.swaps / max(1, ours.swaps)
    mean, their_mean = statistics.fmean(ours.waits), statistics.fmean(fifo.waits)
    worst, bound = max(ours.turns), bound_s(workload)
    kept = fewer >= workload.bar and mean <= their_mean and worst <= bound
    text = (
        f"{workload.name:36} swaps {ours.swaps:5} to {fifo.swaps:5} ({fewer:5.1f} x fewer)   mean wait {mean:7.1f} s to "
        f"{their_mean:8.1f} s   worst turn {worst:6.0f} s of {bound:6.0f} s   {'kept' if kept else 'NOT KEPT'}"
    )
    return text, kept


def main() -> int:
    """Print the table; 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.placement", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2_000)
    chosen = parser.parse_args()
    results = [row(each) for each in workloads(chosen.seed, chosen.jobs)]
    for text, _ in results:
        print(text)
    return 0 if all(kept for _, kept in results) else 1


if __name__ == "__main__":
    sys.exit(main())
