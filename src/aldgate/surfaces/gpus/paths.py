"""What GPUs hold, and having engines give it back: what is asked, and who may ask."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from aldgate.core.errors import Conflict, InvalidRequest, NotFound
from aldgate.core.principals import Principal
from aldgate.jobs.placing import Placing
from aldgate.surfaces.admin.keys import require_admin
from aldgate.surfaces.http.requests import Act, body_of


class StopGpu(msgspec.Struct, forbid_unknown_fields=True):
    """What is to leave its device.

    Attributes:
        model: An engine's name, or `ENGINE/MODEL` for one of the models that it holds.
    """

    model: str


class FreeGpu(msgspec.Struct, forbid_unknown_fields=True):
    """Whose engines are to leave.

    Attributes:
        device: A device's name; empty: all devices.
    """

    device: str = ""


def gpu_paths(placing: Placing) -> tuple[tuple[str, str, Act], ...]:
    """Methods, paths and what is behind them."""
    gpus = Gpus(placing)
    return (
        ("GET", "/gpu/status", gpus.status),
        ("POST", "/admin/gpu/stop", gpus.stop),
        ("POST", "/admin/gpu/free", gpus.free),
    )


class Gpus:
    """What the paths do. Only administrators may: processes have names that say what others do."""

    def __init__(self, placing: Placing) -> None:
        self._placing = placing

    async def status(self, who: Principal, request: Request) -> dict[str, Any]:
        """GET /gpu/status: devices, who is resident, processes. The figures of the first GPU stand beside the sums."""
        require_admin(who)
        found = await self._placing.status()
        gpus = found["gpus"]
        first = {name: gpus[0][name] for name in ("name", "total_mb", "used_mb", "free_mb", "utilization")} if gpus else {}
        return {
            "gpu": {**found, **first} if gpus else None,
            "loaded_models": [each["engine"] for gpu in gpus for each in gpu["residencies"]],
            "gpu_processes": [_words(each) for gpu in gpus for each in gpu["processes"]],
            "engines": self._placing.engines(),
        }

    async def stop(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/gpu/stop: an engine, or one of its models, gives its memory back."""
        require_admin(who)
        name = _decoded(await body_of(request), StopGpu).model
        engine, _, model = name.partition("/")
        if engine not in self._placing.engines():
            known = ", ".join(self._placing.engines()) or "none"
            raise NotFound(f"No engine on a device is called `{engine}`; there are {known}.", param="model")
        if model:
            await self._placing.unload(engine, model)
            return {"stopped": [name]}
        if not await self._placing.stop(engine):
            raise Conflict(f"`{engine}` works, is not loaded, or did not give its memory back; `/gpu/status` tells which.")
        return {"stopped": [name]}

    async def free(self, who: Principal, request: Request) -> dict[str, Any]:
        """POST /admin/gpu/free: whoever is idle on a device, or on all, gives its memory back."""
        require_admin(who)
        device = _decoded(await body_of(request), FreeGpu).device
        if device and device not in [each["device"] for each in (await self._placing.status())["gpus"]]:
            raise NotFound(f"No device is called `{device}`; `/gpu/status` tells which there are.", param="device")
        stopped = await self._placing.stop_all(device)
        return {
            "stopped": [name for name, is_free in stopped.items() if is_free],
            "left": [name for name, is_free in stopped.items() if not is_free],
        }


def _words(process: dict[str, Any]) -> dict[str, str]:
    memory = process["memory_mb"]
    return {"pid": str(process["pid"]), "name": process["name"], "memory": "" if memory is None else f"{memory} MiB"}


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The body is not what this takes: {error}.") from None
