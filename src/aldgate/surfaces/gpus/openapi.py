"""The paths of GPUs, as the OpenAPI document tells of them."""

from __future__ import annotations

from typing import Any

import msgspec

from aldgate.surfaces.gpus.paths import FreeGpu, StopGpu
from aldgate.surfaces.http.openapi import CHANGE_ERRORS, CONFLICT_ERRORS, Path


class GpuStatus(msgspec.Struct):
    """What devices hold. `gpu` is null where there is none; memory in MiB.

    Attributes:
        gpu: `gpus`, each with its residencies and processes, `aggregate`, and the first one's figures.
        loaded_models: Engines that are resident.
        gpu_processes: Processes of all devices; `memory` is empty where the driver does not tell.
        engines: Engines that have a device.
    """

    gpu: dict[str, Any] | None
    loaded_models: list[str]
    gpu_processes: list[dict[str, str]]
    engines: list[str]


class Stopped(msgspec.Struct):
    """Who has left; `left`: who works, or did not leave."""

    stopped: list[str]
    left: list[str] = []


PATHS = (
    Path("get", "/gpu/status", "What GPUs hold, and whose it is", None, GpuStatus, errors=(401, 403, 503), tag="admin"),
    Path("post", "/admin/gpu/stop", "Have an engine leave its GPU", StopGpu, Stopped, errors=CONFLICT_ERRORS, tag="admin"),
    Path("post", "/admin/gpu/free", "Have idle engines leave a GPU", FreeGpu, Stopped, errors=CHANGE_ERRORS, tag="admin"),
)
