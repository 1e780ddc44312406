"""NVIDIA's library: what it is asked, by its own signatures, and what it may answer."""

import ctypes

import pytest

from aldgate.devices.nvml import INSUFFICIENT_SIZE, NOT_TOLD, SIGNATURES, Nvml, ProcessInfo
from aldgate.devices.reading import GpuProcess, GpusUnavailable

MIB = 2**20


class FakeLibrary:
    """Stands for the library: C functions of the real signatures, made of Python ones."""

    def __init__(self, processes: list[tuple[int, int]]) -> None:
        self.processes = processes
        self.faults: dict[str, int] = {}
        for name, arguments in SIGNATURES.items():
            setattr(self, name, ctypes.CFUNCTYPE(ctypes.c_int, *arguments)(self._guarded(name)))

    def _guarded(self, name: str):
        act = getattr(self, "_" + name.removeprefix("nvml").partition("_")[0])
        return lambda *arguments: self.faults.get(name) or act(*arguments) or 0

    def _Init(self):
        return 0

    def _DeviceGetCount(self, count):
        count[0] = 1

    def _DeviceGetHandleByIndex(self, index, handle):
        handle[0] = 4711 + index

    def _DeviceGetName(self, handle, text, size):
        return 0

    _DeviceGetUUID = _DeviceGetName

    def _DeviceGetMemoryInfo(self, handle, memory):
        memory[0].total, memory[0].free, memory[0].used = 80 * MIB, 50 * MIB, 30 * MIB

    def _DeviceGetUtilizationRates(self, handle, rates):
        rates[0].gpu = 37

    def _DeviceGetComputeRunningProcesses(self, handle, count, infos):
        room, count[0] = count[0], len(self.processes)
        if room < len(self.processes):
            return INSUFFICIENT_SIZE
        array = ctypes.cast(infos, ctypes.POINTER(ProcessInfo))
        for at, (pid, memory) in enumerate(self.processes):
            array[at] = ProcessInfo(pid, memory, 0, 0)

    def _DeviceGetGraphicsRunningProcesses(self, handle, count, infos):
        count[0] = 0

    def _SystemGetProcessName(self, pid, text, size):
        return 6


def test_a_gpu_and_its_processes():
    library = FakeLibrary([(7, 12 * MIB), (8, NOT_TOLD)])
    (gpu,) = Nvml(library).read()
    assert (gpu.total_mb, gpu.used_mb, gpu.utilization) == (80, 30, 37)
    assert gpu.processes == (GpuProcess(7, "", 12), GpuProcess(8, "", None))


def test_more_processes_than_there_was_room_for():
    (gpu,) = Nvml(FakeLibrary([(pid, MIB) for pid in range(1, 40)])).read()
    assert len(gpu.processes) == 39


def test_what_a_container_may_not_ask_is_left_out():
    library = FakeLibrary([(7, MIB)])
    library.faults = {"nvmlDeviceGetUtilizationRates": 3, "nvmlDeviceGetComputeRunningProcesses_v3": 4}
    (gpu,) = Nvml(library).read()
    assert (gpu.utilization, gpu.processes) == (None, ())


@pytest.mark.parametrize("name", ["nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetMemoryInfo"])
def test_a_sick_driver_is_one_error(name: str):
    library = FakeLibrary([])
    library.faults = {name: 15}
    with pytest.raises(GpusUnavailable, match=name):
        Nvml(library).read()


def test_something_else_by_that_name_is_no_library():
    with pytest.raises(GpusUnavailable):
        Nvml(object())
