"""The devices that engines work on: declared or found, seen where they are on this machine."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from aldgate.config.devices import DeviceEntry
from aldgate.core.placement import Device, Needs
from aldgate.devices.processes import listening_on, with_descendants
from aldgate.devices.reading import Gpu, Gpus, GpusUnavailable
from aldgate.engines.started import Started
from aldgate.making import Engine

log = logging.getLogger("aldgate.devices")

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Devices:
    """What devices there are.

    Args:
        entries: Those that are declared.
        gpus: Who sees this machine's; None: it has none.
        host: What this machine calls itself.
    """

    def __init__(self, entries: Mapping[str, DeviceEntry], gpus: Gpus | None, host: str = "") -> None:
        self._entries = dict(entries)
        self._gpus = gpus
        self._host = host or socket.gethostname()

    def entry(self, name: str) -> DeviceEntry:
        """How it is declared; one that is not has every default."""
        return self._entries.get(name, DeviceEntry())

    def names(self) -> list[str]:
        """Those that are declared."""
        return sorted(self._entries)

    def device(self, name: str) -> Device:
        """As a decision needs it; without a declared size, as it was seen."""
        entry = self.entry(name)
        return Device(name=name, total_mb=entry.vram_mb, reserve_mb=entry.reserve_mb, starvation_s=entry.starvation_s)

    def is_here(self, name: str) -> bool:
        """Whether it is in this machine."""
        return self.entry(name).host in ("", self._host) or self.entry(name).host in LOOPBACK

    async def read(self) -> dict[str, Gpu]:
        """This machine's GPUs by the names of devices; those that are not declared are `gpu0`, `gpu1` and so on.

        Raises:
            GpusUnavailable: The driver is sick or gone.
        """
        if self._gpus is None:
            return {}
        found: dict[str, Gpu] = {}
        for gpu in await asyncio.to_thread(self._gpus.read):
            found[self._name_of(gpu)] = gpu
        return found

    async def read_or_none(self) -> dict[str, Gpu]:
        """The same; nothing while the driver is sick, which is logged."""
        try:
            return await self.read()
        except GpusUnavailable as error:
            log.warning("the GPUs cannot be seen: %s", error)
            return {}

    def _name_of(self, gpu: Gpu) -> str:
        for name, entry in self._entries.items():
            index = 0 if entry.index is None and not entry.vram_mb else entry.index
            if self.is_here(name) and (entry.uuid == gpu.uuid if entry.uuid else index == gpu.index):
                return name
        return f"gpu{gpu.index}"


class Post(msgspec.Struct, frozen=True):
    """An engine and where it works.

    Attributes:
        device: A device's name.
        needs: What it needs of it.
        base_url: Where it listens.
    """

    engine: Engine
    device: str
    needs: Needs = Needs()
    base_url: str = ""


def is_in_reach(post: Post) -> bool:
    """Whether the address of an engine is the same engine's from every machine, and its process nobody's here."""
    host = urlsplit(post.base_url).hostname
    return host is not None and host not in LOOPBACK and not isinstance(post.engine, Started)


def pids_of(post: Post) -> frozenset[int] | None:
    """The processes of an engine on this machine: its own process with all that it started, or whoever listens at its address.

    None: it is on another machine, or nobody can say.
    """
    if isinstance(post.engine, Started) and (pids := post.engine.process.pids()):
        return pids
    address = urlsplit(post.base_url)
    if address.port is None or address.hostname not in LOOPBACK:
        return frozenset() if isinstance(post.engine, Started) else None
    return with_descendants(listening_on(address.port))
