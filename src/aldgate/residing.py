"""What device memory asks of the store: who is resident where, who has to leave, and which jobs may begin by that."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from aldgate.core.jobs import Claim
from aldgate.core.placement import Device, Needs, ResidencyState, Wait


class KeptResidency(msgspec.Struct, frozen=True, kw_only=True):
    """A residency as it is kept. Memory in MiB, times in Unix seconds by the database's clock.

    Attributes:
        token: Of the claim on its eviction, if it is leaving; grows with each claim.
        reason: Why it is `unknown`, or fixed.
        is_fixed: It cannot give its memory back.
        running: Jobs of its engine that some worker has.
    """

    device: str
    engine: str
    state: ResidencyState
    memory_mb: int
    exclusive: bool
    places: int
    idle_s: float | None
    since: float
    used_at: float
    token: int
    reason: str = ""
    is_fixed: bool = False
    running: int = 0


class Eviction(msgspec.Struct, frozen=True):
    """A claim to have an engine give its memory back; what is written with it counts as long as nobody else claims it."""

    device: str
    engine: str
    token: int
    memory_mb: int


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a device.

    Attributes:
        foreign_mb: Memory of what is no engine's.
        foreign: Its processes, in words: `python (4711), 2048 MiB`.
        engines: Memory that each engine's processes hold; where the driver tells.
    """

    total_mb: int
    foreign_mb: int = 0
    foreign: tuple[str, ...] = ()
    engines: Mapping[str, int] = {}


class KeptDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it was seen last."""

    name: str
    total_mb: int
    foreign_mb: int
    foreign: tuple[str, ...]
    seen_at: float


class Placed(msgspec.Struct, frozen=True):
    """What was decided on a device: jobs to work on now, engines to unload now, and by id why other jobs wait."""

    claims: tuple[Claim, ...] = ()
    evictions: tuple[Eviction, ...] = ()
    waits: Mapping[str, Wait] = {}


class ResidencyStore(Protocol):
    """Residencies. One decision at a time is made for a device: each locks the device's row first."""

    async def place_jobs(self, device: Device, engines: Mapping[str, Needs], lease_s: float) -> Placed:
        """Decide what a device does next, and claim what was decided: jobs for `lease_s`, evictions for as long.

        What the device was seen to hold last, and what engines were seen to need, counts beside what is given.
        """
        ...

    async def list_residencies(self) -> list[KeptResidency]:
        """All residencies, by device and engine."""
        ...

    async def list_devices(self) -> list[KeptDevice]:
        """All devices that were ever decided on, as they were seen last."""
        ...

    async def note_device(self, device: str, seen: Seen, engines: Mapping[str, Needs]) -> None:
        """Keep what was seen. An engine that holds memory becomes resident, and is remembered to need as much."""
        ...

    async def evict(self, device: str, engine: str, lease_s: float) -> Eviction | None:
        """Claim the eviction of a residency that works on nothing. None: it works, is leaving already, or is not there."""
        ...

    async def take_evictions(self, devices: Sequence[str], lease_s: float) -> list[Eviction]:
        """Claim those whose claim has lapsed, and those that are `unknown`, to look at them again."""
        ...

    async def end_eviction(self, eviction: Eviction, reason: str = "", *, stays: bool = False) -> bool:
        """Its memory was seen free; or with a reason, it was not, and it is `unknown`. False: somebody else has claimed it.

        Args:
            eviction: The claim.
            reason: Why the memory was not seen free.
            stays: It cannot leave: it goes on as before and is asked no more.
        """
        ...
