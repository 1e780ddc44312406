"""Devices, and the engines that work on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from aldgate.config.errors import ConfigError
from aldgate.config.settings import Settings
from aldgate.core.placement import Needs
from aldgate.devices.gpus import MachineGpus
from aldgate.engines.group import environment_for
from aldgate.engines.http import EngineHttp
from aldgate.engines.process import EngineProcess
from aldgate.engines.section import EngineSection
from aldgate.engines.started import Started
from aldgate.gate.jobs import Ended
from aldgate.jobs.devices import Devices, Post
from aldgate.jobs.evictions import Evictor
from aldgate.jobs.placing import Placing
from aldgate.making import Engine
from aldgate.storage import Store

HEALTH_TIMEOUT_S = 5.0


def with_processes(settings: Settings, engines: Mapping[str, Engine], works_for: Collection[str]) -> dict[str, Engine]:
    """The engines, those with a process of their own together with it; it is kept here by who works for it."""
    return {name: _started(settings, name, engine, is_kept=name in works_for) for name, engine in engines.items()}


def check_devices(settings: Settings) -> None:
    """See that the devices that engines name are there.

    Raises:
        ConfigError: One is neither declared nor `gpu0`, `gpu1` and so on.
    """
    for name, table in settings.engines.items():
        device = str(table.get("device", ""))
        if device and device not in settings.devices and not device.removeprefix("gpu").isdecimal():
            known = ", ".join(settings.devices) or "none"
            hint = f"declare it as [devices.{device}]; declared are {known}"
            raise ConfigError(f"[engines.{name}]: there is no device `{device}`", hint=hint)


def placing_of(
    settings: Settings, store: Store, engines: Mapping[str, Engine], wake: Callable[[], None], ended: Ended
) -> Placing:
    """Who says which job may work on which device.

    Args:
        settings: All of them.
        store: Where residencies are kept.
        engines: By name, as `with_processes` returns them.
        wake: Told that something may begin that could not before.
        ended: Told of jobs that are refused for want of a device.

    Raises:
        ConfigError: An engine's device is neither declared nor `gpu0`, `gpu1` and so on.
    """
    check_devices(settings)
    devices = Devices(settings.devices, MachineGpus())
    posts: dict[str, Post] = {}
    for name, engine in engines.items():
        section = _section(settings.engines.get(name, {}))
        if section.device:
            needs = Needs(memory_mb=section.memory_mb, exclusive=section.exclusive, places=section.places, idle_s=section.idle_s)
            posts[name] = Post(engine, section.device, needs, section.base_url)
    kept = [each.process for each in engines.values() if isinstance(each, Started) and each.is_kept]
    return Placing(store, devices, posts, Evictor(store, devices, posts), wake, ended, kept)


def _started(settings: Settings, name: str, engine: Engine, *, is_kept: bool) -> Engine:
    section = _section(settings.engines.get(name, {}))
    if section.process is None:
        return engine
    ask: Callable[[], Awaitable[object]] = engine.state
    if section.process.health:
        http = EngineHttp(name, section.base_url, ca_bundle=section.ca_bundle, timeout_s=HEALTH_TIMEOUT_S)
        ask = partial(_answers, http, section.process.health)
    folder = Path(settings.data).absolute() / "engines"
    environment = environment_for(settings.environment, section.process.env)
    return Started(engine, EngineProcess(name, section.process, folder, environment, ask), is_kept=is_kept)


async def _answers(http: EngineHttp, path: str) -> None:
    try:
        async with http.request("GET", path, expect=range(100, 500)):
            return
    finally:
        await http.aclose()


def _section(table: Mapping[str, Any]) -> EngineSection:
    """What every engine's table may have, of one that may have more."""
    known = {name: value for name, value in table.items() if name in EngineSection.__struct_fields__}
    return msgspec.convert(known, EngineSection)
