"""Having an engine give its memory back, and seeing that it did: outside any transaction, under a lease."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from aldgate.core.errors import GatewayError, NotSupported, UpstreamError, UpstreamUnreachable
from aldgate.devices.reading import Gpu
from aldgate.devices.sight import tells_whose
from aldgate.engines.started import Started
from aldgate.jobs.devices import Devices, Post, pids_of
from aldgate.residing import Eviction
from aldgate.storage import Store

log = logging.getLogger("aldgate.devices")

KEPT_MB = 1_024
"""What an engine may keep after it unloaded, as CUDA's own context does: a few hundred MiB."""
BACK = 0.8
"""Share of a residency's memory that must be free again where only the device's sum is known."""
PAUSE_S = 0.25


class Evictor:
    """Carries out evictions.

    Args:
        patience_s: How long memory may take to come back; less than the lease.
    """

    def __init__(self, store: Store, devices: Devices, posts: Mapping[str, Post], patience_s: float = 30.0) -> None:
        self._store = store
        self._devices = devices
        self._posts = posts
        self._patience_s = patience_s

    async def evict(self, eviction: Eviction) -> bool:
        """Have the engine unload, and see that its memory is free; else stop its process, if it is ours; else it is unknown.

        Returns whether it was seen free.
        """
        post = self._posts[eviction.engine]
        before = (await self._devices.read_or_none()).get(eviction.device)
        unloaded = await self._unload(post)
        if unloaded is None and not isinstance(post.engine, Started):
            await self._store.end_eviction(eviction, "it cannot give its memory back", stays=True)
            return False
        is_free = unloaded is not None and await self._comes_back(eviction, post, before, is_told=unloaded)
        if not is_free and isinstance(post.engine, Started):
            await post.engine.process.stop()
            is_free = await self._comes_back(eviction, post, before, is_told=True)
        reason = "" if is_free else "its memory was not seen to come back"
        if reason:
            log.warning("the engine `%s` did not leave `%s`: %s", eviction.engine, eviction.device, reason)
        await self._store.end_eviction(eviction, reason)
        return is_free

    async def _unload(self, post: Post) -> bool | None:
        """Whether it says that it has; None: it cannot."""
        try:
            async with asyncio.timeout(self._patience_s):
                await post.engine.unload()
        except NotSupported:
            return True if await _is_away(post) else None
        except UpstreamUnreachable:
            return True  # what is not there holds nothing; the device is looked at all the same
        except (UpstreamError, TimeoutError) as error:
            log.warning("the engine `%s` did not unload", post.engine.name, exc_info=error)
            return False
        return True

    async def _comes_back(self, eviction: Eviction, post: Post, before: Gpu | None, *, is_told: bool) -> bool:
        until = time.monotonic() + self._patience_s
        residencies = await self._store.list_residencies() if before is not None else []
        others_mb = sum(
            each.memory_mb for each in residencies if each.device == eviction.device and each.engine != eviction.engine
        )
        while True:
            gpu = (await self._devices.read_or_none()).get(eviction.device) if before is not None else None
            if gpu is not None and before is not None:
                held = _held(gpu, pids_of(post))
                is_free = _is_little(held, eviction) if held is not None else _is_back(gpu, before, eviction, others_mb)
            else:
                is_free = await self._says_free(post, is_told=is_told)
            if is_free or time.monotonic() >= until:
                return is_free
            await asyncio.sleep(PAUSE_S)

    async def _says_free(self, post: Post, *, is_told: bool) -> bool:
        """What the engine says itself, where its device cannot be seen; what it does not say is believed of its unloading."""
        try:
            state = await post.engine.state()
        except UpstreamUnreachable:
            return True
        except GatewayError:
            return False
        if state.models:
            return not any(each.is_loaded for each in state.models)
        return is_told


async def _is_away(post: Post) -> bool:
    try:
        await post.engine.state()
    except UpstreamUnreachable:
        return True
    except GatewayError:
        return False
    return False


def _held(gpu: Gpu, pids: frozenset[int] | None) -> int | None:
    """What these processes hold; None: nobody can say. Somebody else's processes count as foreign in any case."""
    if pids is None or not tells_whose(gpu):
        return None
    return sum(each.memory_mb or 0 for each in gpu.processes if each.pid in pids)


def _is_little(held: int, eviction: Eviction) -> bool:
    return held < max(KEPT_MB, eviction.memory_mb // 10) and held <= eviction.memory_mb // 2


def _is_back(gpu: Gpu, before: Gpu, eviction: Eviction, others_mb: int) -> bool:
    return gpu.used_mb <= max(others_mb + KEPT_MB, before.used_mb - BACK * eviction.memory_mb)


async def run_all(evictor: Evictor, evictions: list[Eviction]) -> bool:
    """Carry out several at once; whether any memory came back."""
    return any(await asyncio.gather(*(evictor.evict(each) for each in evictions)))
