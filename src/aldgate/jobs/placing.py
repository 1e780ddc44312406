"""Jobs and devices: what the worker asks for instead of the store's own claim, and what is done beside it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aldgate.core.errors import GatewayError, VramConflict
from aldgate.core.jobs import Claim
from aldgate.core.leases import LeaseLost
from aldgate.core.placement import Needs, Wait
from aldgate.devices.sight import seen_of
from aldgate.engines.process import EngineProcess
from aldgate.gate.jobs import Ended, failed, ledger_row
from aldgate.jobs.devices import Devices, Post, is_in_reach, pids_of
from aldgate.jobs.evictions import Evictor, run_all
from aldgate.jobs.job_shop import nobody_minds
from aldgate.queueing import Choose
from aldgate.residing import Eviction, KeptResidency
from aldgate.storage import Store

log = logging.getLogger("aldgate.devices")

LOOK_S = 2.0
LEASE_S = 120.0
"""Of an eviction: longer than unloading, looking and stopping may take together."""


class Placing:
    """Claims jobs as devices have room for their engines.

    Args:
        posts: By engine, where it works; engines that are left out have no device.
        wake: Told that something may begin that could not before.
        ended: Told of jobs that are refused.
        processes: Engines' processes to look after, whether on a device or not.
    """

    def __init__(
        self,
        store: Store,
        devices: Devices,
        posts: Mapping[str, Post],
        evictor: Evictor,
        wake: Callable[[], None] = lambda: None,
        ended: Ended = nobody_minds,
        processes: Sequence[EngineProcess] = (),
    ) -> None:
        self._store = store
        self._posts = posts
        self._processes = processes
        self._evictor = evictor
        self._wake = wake
        self._ended = ended
        self._to_do: list[Eviction] = []
        self._asked = asyncio.Event()
        self._has_looked = False
        self.devices = devices

    async def claim_jobs(self, engines: Collection[str], choose: Choose, lease_s: float) -> list[Claim]:
        """As `JobStore.claim_jobs`, with `choose` for engines that have no device. Who must leave for others does so beside."""
        if not self._has_looked:
            await self._note()
        claims = await self._store.claim_jobs([each for each in engines if each not in self._posts], choose, lease_s)
        for device, needs in self._by_device(engines).items():
            claims += await self._place(device, needs, lease_s)
        return claims

    async def run(self) -> None:
        """Look at devices, have engines leave, tend their processes, until cancelled."""
        while True:
            try:
                await self.look()
            except (GatewayError, OSError) as error:
                log.warning("devices cannot be looked after", exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._asked.wait()
            self._asked.clear()

    async def look(self) -> None:
        """Once."""
        await self._note()
        todo, self._to_do = self._to_do, []
        todo += [each for each in await self._store.take_evictions(self._in_reach(), LEASE_S) if each.engine in self._posts]
        if todo and await run_all(self._evictor, todo):
            await self._note()
            self._wake()
        for process in self._processes:
            await process.tend()

    def has_work(self) -> bool:
        """Whether there are devices or processes to look after."""
        return bool(self._posts or self._processes)

    async def stop(self, engine: str) -> bool:
        """Have an engine give its memory back now. False: it works, is leaving, is not resident, or did not.

        Raises:
            KeyError: It is on no device.
        """
        eviction = await self._store.evict(self._posts[engine].device, engine, LEASE_S)
        return eviction is not None and await self._evictor.evict(eviction)

    async def unload(self, engine: str, model: str) -> None:
        """Have an engine unload one of its models. What that gives back is seen at the next look.

        Raises:
            KeyError: It is on no device.
            NotSupported: It cannot.
            UpstreamError: It did not.
        """
        await self._posts[engine].engine.unload(model)

    def engines(self) -> list[str]:
        """Those that work on devices."""
        return sorted(self._posts)

    async def stop_all(self, device: str = "") -> dict[str, bool]:
        """The same as `stop` for all that are resident on a device, or on all, by engine."""
        residencies = await self._store.list_residencies()
        resident = [each.engine for each in residencies if each.engine in self._posts and device in ("", each.device)]
        return {engine: await self.stop(engine) for engine in dict.fromkeys(resident)}

    async def status(self) -> dict[str, Any]:
        """Devices with what they hold and who waits; no engine is asked, so nothing is loaded by it."""
        seen = await self.devices.read_or_none()
        kept = {each.name: each for each in await self._store.list_devices()}
        residencies = await self._store.list_residencies()
        names = sorted({*self.devices.names(), *seen, *kept})
        rows: list[dict[str, Any]] = []
        for index, name in enumerate(names):
            entry, gpu, known = self.devices.entry(name), seen.get(name), kept.get(name)
            total = (gpu.total_mb if gpu else 0) or entry.vram_mb or (known.total_mb if known else 0)
            mine = [each for each in residencies if each.device == name]
            used = gpu.used_mb if gpu else sum(each.memory_mb for each in mine) + (known.foreign_mb if known else 0)
            rows.append(
                {
                    "index": gpu.index if gpu else index,
                    "id": gpu.uuid if gpu else name,
                    "device": name,
                    "host": entry.host,
                    "name": gpu.name if gpu else name,
                    "total_mb": total,
                    "used_mb": used,
                    "free_mb": max(0, total - used),
                    "utilization": gpu.utilization if gpu else None,
                    "reserve_mb": entry.reserve_mb,
                    "foreign_mb": known.foreign_mb if known else 0,
                    "foreign": list(known.foreign) if known else [],
                    "residencies": [_shown(each) for each in mine],
                    "processes": [{"pid": each.pid, "name": each.name, "memory_mb": each.memory_mb} for each in _told(gpu)],
                }
            )
        return {"gpus": rows, "aggregate": _sum(rows)}

    async def _place(self, device: str, needs: Mapping[str, Needs], lease_s: float) -> tuple[Claim, ...]:
        placed = await self._store.place_jobs(self.devices.device(device), needs, lease_s)
        if placed.evictions:
            self._to_do += placed.evictions
            self._asked.set()
        for job, wait in placed.waits.items():
            if wait.why == "too large" or wait.why == "foreign" and self.devices.entry(device).on_foreign == "refuse":
                await self._refuse(job, wait)
        return placed.claims

    async def _refuse(self, job_id: str, wait: Wait) -> None:
        job = await self._store.find_job(job_id)
        if job is None or job.state != "queued":
            return
        end = failed(VramConflict(f"The job cannot run now: {wait.reason}."), None)
        row = ledger_row(job, end, time.time())
        with contextlib.suppress(LeaseLost):  # somebody has begun or ended it meanwhile
            self._ended(await self._store.finish_job(job.lease, end, row), row)

    async def _note(self) -> None:
        """Keep what this machine's devices hold, where engines work on them."""
        seen = await self.devices.read_or_none() if self._posts else {}
        self._has_looked = True
        if not seen:
            return
        residencies = await self._store.list_residencies()
        for device in self._mine():
            if device in seen:
                posts = {name: post for name, post in self._posts.items() if post.device == device}
                pids = await asyncio.to_thread(_pids, posts)
                resident_mb = sum(each.memory_mb for each in residencies if each.device == device)
                noted = seen_of(seen[device], pids, resident_mb)
                await self._store.note_device(device, noted, {name: post.needs for name, post in posts.items()})

    def _mine(self) -> list[str]:
        return sorted({post.device for post in self._posts.values() if self.devices.is_here(post.device)})

    def _in_reach(self) -> list[str]:
        """Devices here, and those elsewhere whose engines can be told to leave from here."""
        elsewhere = {post.device for post in self._posts.values() if is_in_reach(post)}
        return sorted({*self._mine(), *elsewhere})

    def _by_device(self, engines: Collection[str]) -> dict[str, dict[str, Needs]]:
        found: dict[str, dict[str, Needs]] = {}
        for engine in engines:
            if engine in self._posts:
                post = self._posts[engine]
                found.setdefault(post.device, {})[engine] = post.needs
        return found


def _pids(posts: Mapping[str, Post]) -> dict[str, frozenset[int]]:
    return {name: pids_of(post) or frozenset() for name, post in posts.items()}


def _told(gpu: Any) -> tuple[Any, ...]:
    return gpu.processes if gpu else ()


def _shown(residency: KeptResidency) -> dict[str, Any]:
    names = "engine", "state", "memory_mb", "exclusive", "places", "running", "since", "used_at", "reason"
    shown = {name: getattr(residency, name) for name in names}
    if residency.state == "loading" and not residency.running:  # its first job is over, so it has loaded
        shown["state"] = "ready"
    return shown


def _sum(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    if not rows:
        return None
    busy = [row["utilization"] for row in rows if row["utilization"] is not None]
    sums = {name: sum(row[name] for row in rows) for name in ("total_mb", "used_mb", "free_mb")}
    return {**sums, "utilization": max(busy, default=None)}
