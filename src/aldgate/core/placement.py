"""Which job may work on a device now, and what has to leave its memory for it.

Memory belongs to residencies, not to jobs: it stays when a job ends, and counts in every state until it is seen free. Jobs for
what is resident go first; one that has waited too long gets the next turn: nothing else is loaded, whoever has had a turn begins
nothing more, and what runs comes to its end.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

ResidencyState = Literal["loading", "ready", "evicting", "unknown"]
"""`evicting`: it was told to give its memory back. `unknown`: that was not seen, or nobody can say whether it still works."""
Why = Literal["busy", "memory", "foreign", "too large", "turn", "evicting", "unknown"]


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A device as a decision needs it. Memory in MiB.

    Attributes:
        reserve_mb: Left alone, whatever wants it.
        foreign_mb: Held by what is no residency: other programs, and what engines keep after they unloaded.
        foreign: Who that is, in words.
        starvation_s: A job that has waited longer gets the next turn; a turn is as long at the most where others wait.
    """

    name: str
    total_mb: int
    reserve_mb: int = 0
    foreign_mb: int = 0
    foreign: tuple[str, ...] = ()
    starvation_s: float = 300.0


class Residency(msgspec.Struct, frozen=True, kw_only=True):
    """An engine that holds memory of a device.

    Attributes:
        memory_mb: What it holds or is about to; 0: nobody knows, and it counts as all that is left.
        exclusive: Alone on the device while it works.
        running: Jobs that it works on.
        since: When its turn began; Unix seconds, as every time here.
        used_at: When it last began or ended a job.
        idle_s: Unloaded after so long without work; None: only when its memory is wanted.
        is_fixed: It cannot give its memory back, and its process is not ours to stop.
    """

    engine: str
    state: ResidencyState = "ready"
    memory_mb: int = 0
    exclusive: bool = True
    places: int = 1
    running: int = 0
    since: float = 0.0
    used_at: float = 0.0
    idle_s: float | None = None
    is_fixed: bool = False

    @property
    def is_live(self) -> bool:
        """It can take jobs."""
        return self.state in ("loading", "ready")

    @property
    def is_idle(self) -> bool:
        """It could be evicted."""
        return self.is_live and self.running == 0 and not self.is_fixed


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A job that waits, and what its engine needs; as in `Residency`.

    Attributes:
        since: When it could have begun; or later, when its engine last worked on the device: so engines take turns.
    """

    job: str
    engine: str
    memory_mb: int = 0
    exclusive: bool = True
    places: int = 1
    since: float = 0.0


class Run(msgspec.Struct, frozen=True):
    """The job begins in a residency that is there."""

    job: str


class Load(msgspec.Struct, frozen=True):
    """The job begins, and its engine becomes resident by it."""

    job: str
    engine: str
    memory_mb: int


class Evict(msgspec.Struct, frozen=True):
    """The engine is to give its memory back; it works on nothing."""

    engine: str


class Wait(msgspec.Struct, frozen=True):
    """Nothing can begin, and why the job that comes next cannot."""

    why: Why
    reason: str


Decision = Run | Load | Evict | Wait
NOTHING = Wait("busy", "no job waits")


def decide(device: Device, residencies: Sequence[Residency], candidates: Sequence[Candidate], now: float) -> Decision:
    """The next thing to do on a device. To be asked again with the outcome until it says `Wait`.

    Args:
        device: How much it has, and what is not for engines.
        residencies: All on the device, in any state; at most one per engine.
        candidates: Jobs that wait, those to prefer first; engines may be mixed.
        now: Unix seconds.
    """
    board = _Board(device, residencies, candidates, now)
    starved = board.starved()
    allowed = board.able if starved is None else [each for each in board.able if board.may_go_before(each, starved)]
    first = [] if starved is None else [starved]
    for each in (*first, *allowed):
        if board.may_run(each):
            return Run(each.job)
    for each in board.able if starved is None else first:
        if board.may_load(each):
            return Load(each.job, each.engine, board.needed(each))
        victim = board.victim(each)
        if victim is not None:
            return Evict(victim.engine)
    overdue = board.overdue()
    if overdue is not None:
        return Evict(overdue.engine)
    head = next(iter([*first, *candidates]), None)
    return NOTHING if head is None else board.why(head, starved)


def reasons(device: Device, residencies: Sequence[Residency], candidates: Sequence[Candidate], now: float) -> dict[str, Wait]:
    """By id, why each of the jobs goes on waiting, after `decide` has said that nothing can begin."""
    board = _Board(device, residencies, candidates, now)
    starved = board.starved()
    return {each.job: board.why(each, starved) for each in candidates}


class _Board:
    """A device, who is on it, and who waits for it."""

    def __init__(self, device: Device, residencies: Sequence[Residency], candidates: Sequence[Candidate], now: float) -> None:
        self._device = device
        self._now = now
        self._here: Mapping[str, Residency] = {each.engine: each for each in residencies}
        self._room = device.total_mb - device.reserve_mb
        self._left = self._room - device.foreign_mb
        self._used = sum(self._held(each) for each in residencies)
        self.able = [each for each in candidates if each.memory_mb <= self._room and self._room > 0]

    def starved(self) -> Candidate | None:
        """The job for which the device is to be cleared: the first of the engine that has not worked here for longest.

        Only one that clearing can help: what foreign programs hold, or what is unknown, would be in its way all the same.
        """
        late = [
            each for each in self.able if self._now - self._since(each) > self._device.starvation_s and self._is_held_up(each)
        ]
        return min(late, key=self._since, default=None)

    def _since(self, candidate: Candidate) -> float:
        mine = self._here.get(candidate.engine)
        return candidate.since if mine is None else max(candidate.since, mine.used_at)

    def _is_held_up(self, candidate: Candidate) -> bool:
        if self._is_disturbed_for_ever(candidate):
            return False
        mine = self._here.get(candidate.engine)
        if mine is not None:
            return mine.is_live and mine.running < mine.places
        stuck = sum(self._held(each) for each in self._here.values() if each.state == "unknown" or each.is_fixed)
        return self.needed(candidate) <= self._left - stuck

    def _is_disturbed_for_ever(self, candidate: Candidate) -> bool:
        stuck = (each for each in self._here.values() if each.state == "unknown" and each.running)
        return any(each.exclusive or candidate.exclusive for each in stuck)

    def may_go_before(self, candidate: Candidate, starved: Candidate) -> bool:
        """While a starved job waits: what is resident works on until its turn is over."""
        mine = self._here.get(candidate.engine)
        if candidate.engine == starved.engine:
            return True
        return mine is not None and self._now - mine.since < self._device.starvation_s

    def may_run(self, candidate: Candidate) -> bool:
        """Its engine is resident and has a place, and nobody is disturbed."""
        mine = self._here.get(candidate.engine)
        return mine is not None and mine.is_live and mine.running < mine.places and not self._is_disturbed(candidate)

    def may_load(self, candidate: Candidate) -> bool:
        """Its engine fits beside everything that is there, and nobody is disturbed."""
        is_new = candidate.engine not in self._here
        return is_new and self.needed(candidate) <= self._left - self._used and not self._is_disturbed(candidate)

    def victim(self, candidate: Candidate) -> Residency | None:
        """Who is to leave next so that it can be loaded; None: nobody, or it would not be enough."""
        if candidate.engine in self._here or self._is_disturbed(candidate):
            return None
        coming = sum(self._held(each) for each in self._here.values() if each.state == "evicting")
        missing = self.needed(candidate) - (self._left - self._used + coming)
        if missing <= 0:
            return None
        wanted = {each.engine for each in self.able}
        idle = [each for each in self._here.values() if each.is_idle]
        leaving: list[Residency] = []
        for each in sorted(idle, key=lambda each: (each.engine in wanted, each.used_at, each.engine)):
            if missing > 0:
                leaving.append(each)
                missing -= self._held(each)
        if missing > 0:
            return None
        return next(each for each in leaving if each is leaving[-1] or missing + self._held(each) > 0)

    def overdue(self) -> Residency | None:
        """Who has been without work for so long that it is to leave in any case."""
        wanted = {each.engine for each in self.able}
        for each in self._here.values():
            is_over = each.idle_s is not None and self._now - each.used_at >= each.idle_s
            if is_over and each.is_idle and each.engine not in wanted:
                return each
        return None

    def needed(self, candidate: Candidate) -> int:
        """Memory that its engine needs, MiB; where nobody knows, all that is left."""
        return candidate.memory_mb or max(1, self._left)

    def _held(self, residency: Residency) -> int:
        return residency.memory_mb or max(1, self._left)

    def _is_disturbed(self, candidate: Candidate) -> bool:
        """Somebody else works here, and one of them has to be alone."""
        others = (each for each in self._here.values() if each.running and each.engine != candidate.engine)
        return any(each.exclusive or candidate.exclusive for each in others)

    def why(self, candidate: Candidate, starved: Candidate | None) -> Wait:
        """Why it waits."""
        device, mine = self._device, self._here.get(candidate.engine)
        if device.total_mb <= 0:
            return Wait("unknown", f"`{device.name}` has not been seen yet, and its memory is not declared")
        if candidate.memory_mb > self._room:
            return Wait("too large", f"it needs {candidate.memory_mb} MiB, and `{device.name}` has {self._room} MiB for engines")
        if mine is not None and mine.state == "unknown":
            return Wait("unknown", f"nobody knows whether `{mine.engine}` still works on `{device.name}`")
        if mine is not None and mine.state == "evicting":
            return Wait("evicting", f"`{mine.engine}` is leaving `{device.name}`")
        if mine is not None and mine.running >= mine.places:
            return Wait("busy", f"the engine `{mine.engine}` works on other jobs")
        if self._is_disturbed(candidate):
            busy = ", ".join(f"`{each.engine}`" for each in self._here.values() if each.running)
            return Wait("busy", f"{busy} works on `{device.name}`")
        if starved is not None and starved.engine != candidate.engine:
            return Wait("turn", f"the engine `{starved.engine}` has waited for `{device.name}` for longer")
        return self._why_no_room(candidate)

    def _why_no_room(self, candidate: Candidate) -> Wait:
        name, need = self._device.name, self.needed(candidate)
        if need > self._left:
            who = f": {', '.join(self._device.foreign)}" if self._device.foreign else ""
            foreign = f"other programs hold {self._device.foreign_mb} MiB{who}"
            return Wait("foreign", f"it needs {need} MiB of `{name}`, where {foreign}")
        leaving = [each.engine for each in self._here.values() if each.state == "evicting"]
        if leaving:
            return Wait("evicting", f"`{leaving[0]}` is leaving `{name}`")
        return Wait("memory", f"it needs {need} MiB of `{name}`, where {max(0, self._left - self._used)} MiB are free")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything to do on a device at one moment.

    Attributes:
        begin: Ids of jobs, in their order.
        load: Engines that become resident by these, with their memory in MiB.
        evict: Engines that are to leave.
        waits: By id, why others go on waiting.
    """

    begin: tuple[str, ...] = ()
    load: Mapping[str, int] = {}
    evict: tuple[str, ...] = ()
    waits: Mapping[str, Wait] = {}


def plan(device: Device, residencies: Sequence[Residency], candidates: Sequence[Candidate], now: float) -> Plan:
    """Ask `decide` until nothing more can begin."""
    here = {each.engine: each for each in residencies}
    left = {each.job: each for each in candidates}
    begin: list[str] = []
    load: dict[str, int] = {}
    evict: list[str] = []
    while not isinstance(decision := decide(device, tuple(here.values()), tuple(left.values()), now), Wait):
        if isinstance(decision, Evict):
            evict.append(decision.engine)
            here[decision.engine] = replace(here[decision.engine], state="evicting")
            continue
        job = left.pop(decision.job)
        begin.append(job.job)
        if isinstance(decision, Load):
            load[job.engine] = decision.memory_mb
            here[job.engine] = loaded(job, decision.memory_mb, now)
        here[job.engine] = replace(here[job.engine], running=here[job.engine].running + 1, used_at=now)
    waits = reasons(device, tuple(here.values()), tuple(left.values()), now)
    return Plan(begin=tuple(begin), load=load, evict=tuple(evict), waits=waits)


def loaded(candidate: Candidate, memory_mb: int, now: float) -> Residency:
    """The residency that a candidate's engine becomes, before it works."""
    return Residency(
        engine=candidate.engine,
        state="loading",
        memory_mb=memory_mb,
        exclusive=candidate.exclusive,
        places=candidate.places,
        since=now,
        used_at=now,
    )


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine's table says it needs of its device; as in `Residency`."""

    memory_mb: int = 0
    exclusive: bool = True
    places: int = 1
    idle_s: float | None = None
