"""Devices that engines work on: a GPU of this machine, or one of another, by its figures."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Megabytes = Annotated[int, Meta(ge=0, le=100_000_000)]


class DeviceEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One device, under `[devices.NAME]`. GPUs of this machine that no table names are `gpu0`, `gpu1` and so on."""

    host: str = ""
    """The machine it is in, by the name that machine gives itself; empty: this one. Only there its memory can be seen."""
    index: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    """Which GPU of its machine, from 0, as NVIDIA's tools count them."""
    uuid: str = ""
    """The same by its own name, `GPU-...`, which outlives moving cards about."""
    vram_mb: Megabytes = 0
    """Its memory, MiB; 0: as the driver says. Needed where it cannot be seen."""
    reserve_mb: Megabytes = 512
    """Memory that engines are not given, MiB: for displays and whatever else comes."""
    rate_microusd_per_s: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    """What a second of work on it costs, in millionths of a dollar."""
    starvation_s: Annotated[float, Meta(ge=0, le=604_800)] = 300.0
    """A job that has waited so long for it has the next turn; meanwhile jobs of what is loaded go first."""
    on_foreign: Literal["wait", "refuse"] = "wait"
    """While other programs hold the memory that a job needs: let it wait, or refuse it with `vram_conflict`."""
