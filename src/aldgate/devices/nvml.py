"""GPUs through NVIDIA's management library, which comes with the driver: no package, no process per look.

Signatures and structures: https://docs.nvidia.com/deploy/nvml-api/ (`nvmlMemory_t`, `nvmlProcessInfo_t`, `nvmlUtilization_t`).
`CUDA_VISIBLE_DEVICES` changes none of its indices.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_ulonglong, c_void_p
from typing import Any

from aldgate.devices.reading import Gpu, GpuProcess, GpusUnavailable

LIBRARY = "libnvidia-ml.so.1"
NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, INSUFFICIENT_SIZE = 3, 4, 6, 7
NOT_TOLD = 0xFFFF_FFFF_FFFF_FFFF
SPARE = 8
"""Processes that may begin between asking how many there are and asking for them."""
MIB = 2**20


class Memory(ctypes.Structure):
    """`nvmlMemory_t`, bytes."""

    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class Utilization(ctypes.Structure):
    """`nvmlUtilization_t`, percent."""

    _fields_ = (("gpu", c_uint), ("memory", c_uint))


class ProcessInfo(ctypes.Structure):
    """`nvmlProcessInfo_t` of the functions that end in `_v3`."""

    _fields_ = (("pid", c_uint), ("memory", c_ulonglong), ("instance", c_uint), ("compute_instance", c_uint))


SIGNATURES: dict[str, tuple[Any, ...]] = {
    "nvmlInit_v2": (),
    "nvmlDeviceGetCount_v2": (POINTER(c_uint),),
    "nvmlDeviceGetHandleByIndex_v2": (c_uint, POINTER(c_void_p)),
    "nvmlDeviceGetName": (c_void_p, c_char_p, c_uint),
    "nvmlDeviceGetUUID": (c_void_p, c_char_p, c_uint),
    "nvmlDeviceGetMemoryInfo": (c_void_p, POINTER(Memory)),
    "nvmlDeviceGetUtilizationRates": (c_void_p, POINTER(Utilization)),
    "nvmlDeviceGetComputeRunningProcesses_v3": (c_void_p, POINTER(c_uint), c_void_p),
    "nvmlDeviceGetGraphicsRunningProcesses_v3": (c_void_p, POINTER(c_uint), c_void_p),
    "nvmlSystemGetProcessName": (c_uint, c_char_p, c_uint),
}


class Nvml:
    """NVIDIA's library, opened.

    Args:
        library: For tests: what stands for it.

    Raises:
        GpusUnavailable: There is no such library, or no driver behind it.
    """

    def __init__(self, library: Any = None) -> None:
        try:
            self._library: Any = ctypes.CDLL(LIBRARY) if library is None else library
            for name, arguments in SIGNATURES.items():
                function = getattr(self._library, name)
                function.argtypes, function.restype = arguments, c_int
        except (OSError, AttributeError) as error:
            raise GpusUnavailable(f"{LIBRARY} cannot be used: {error}") from error
        self._call("nvmlInit_v2")

    def read(self) -> tuple[Gpu, ...]:
        """See `Gpus`."""
        count = c_uint()
        self._call("nvmlDeviceGetCount_v2", byref(count))
        return tuple(self._gpu(index) for index in range(count.value))

    def _gpu(self, index: int) -> Gpu:
        handle, memory, rates = c_void_p(), Memory(), Utilization()
        self._call("nvmlDeviceGetHandleByIndex_v2", index, byref(handle))
        self._call("nvmlDeviceGetMemoryInfo", handle, byref(memory))
        told = self._call("nvmlDeviceGetUtilizationRates", handle, byref(rates), but=(NOT_SUPPORTED, NO_PERMISSION))
        return Gpu(
            index=index,
            uuid=self._text("nvmlDeviceGetUUID", handle),
            name=self._text("nvmlDeviceGetName", handle),
            total_mb=memory.total // MIB,
            used_mb=memory.used // MIB,
            utilization=rates.gpu if told == 0 else None,
            processes=self._processes(handle),
        )

    def _processes(self, handle: c_void_p) -> tuple[GpuProcess, ...]:
        found: dict[int, GpuProcess] = {}
        for kind in ("Compute", "Graphics"):
            for info in self._running(f"nvmlDeviceGet{kind}RunningProcesses_v3", handle):
                memory = None if info.memory == NOT_TOLD else info.memory // MIB
                found.setdefault(info.pid, GpuProcess(info.pid, self._process_name(info.pid), memory))
        return tuple(found.values())

    def _running(self, name: str, handle: c_void_p) -> list[ProcessInfo]:
        size = SPARE
        while True:
            count, infos = c_uint(size), (ProcessInfo * size)()
            told = self._call(name, handle, byref(count), infos, but=(INSUFFICIENT_SIZE, NOT_SUPPORTED, NO_PERMISSION))
            if told != INSUFFICIENT_SIZE:
                return list(infos[: count.value]) if told == 0 else []
            size = count.value + SPARE

    def _process_name(self, pid: int) -> str:
        name = ctypes.create_string_buffer(1024)
        told = self._call("nvmlSystemGetProcessName", pid, name, len(name), but=(NOT_FOUND, NO_PERMISSION, NOT_SUPPORTED))
        return name.value.decode(errors="replace") if told == 0 else ""

    def _text(self, name: str, handle: c_void_p) -> str:
        text = ctypes.create_string_buffer(96)
        self._call(name, handle, text, len(text))
        return text.value.decode(errors="replace")

    def _call(self, name: str, *arguments: Any, but: tuple[int, ...] = ()) -> int:
        told: int = getattr(self._library, name)(*arguments)
        if told and told not in but:
            raise GpusUnavailable(f"{name} failed with {told}")
        return told
