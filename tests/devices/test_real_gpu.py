"""A real GPU: what the library and the command say of it agrees, and memory that a process takes is seen to come and go.

Left out where there is none. Memory is taken through the driver's own library (https://docs.nvidia.com/cuda/cuda-driver-api/),
so that nothing needs to be installed.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from aldgate.devices.nvml import Nvml
from aldgate.devices.processes import started_at, with_descendants
from aldgate.devices.smi import NvidiaSmi

pytestmark = pytest.mark.gpu

TAKEN_MB = 2_048
HOLDER = f"""
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context, memory = ctypes.c_void_p(), ctypes.c_ulonglong()
assert cuda.cuInit(0) == 0
assert cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0) == 0
assert cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t({TAKEN_MB} * 2**20)) == 0
print("held", flush=True)
sys.stdin.readline()
"""


def seen(what: Callable[[], bool], within_s: float = 20.0) -> bool:
    until = time.monotonic() + within_s
    while not what():
        if time.monotonic() > until:
            return False
        os.sched_yield()
    return True


def test_the_library_says_what_there_is():
    gpus = Nvml().read()
    assert gpus
    for gpu in gpus:
        assert gpu.name and gpu.uuid.startswith(("GPU-", "MIG-"))
        assert 0 < gpu.total_mb and 0 <= gpu.used_mb <= gpu.total_mb
        assert gpu.utilization is None or 0 <= gpu.utilization <= 100


@pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="nvidia-smi is not here")
def test_the_command_agrees():
    by_library, by_command = Nvml().read(), NvidiaSmi().read()
    assert [(each.uuid, each.name) for each in by_library] == [(each.uuid, each.name) for each in by_command]
    for one, other in zip(by_library, by_command, strict=True):
        assert abs(one.total_mb - other.total_mb) <= 1
        assert abs(one.used_mb - other.used_mb) <= 1_024


def test_memory_that_a_process_takes_is_seen_and_seen_free_again():
    nvml = Nvml()
    before = nvml.read()[0].used_mb
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"held\n"
        assert nvml.read()[0].used_mb >= before + TAKEN_MB
        assert started_at(holder.pid) is not None
        mine = with_descendants([os.getpid()])
        told = {each.pid: each.memory_mb for each in nvml.read()[0].processes}
        if told.keys() & mine:  # in a container the host's numbers may mean nobody
            assert told[holder.pid] is None or told[holder.pid] >= TAKEN_MB
    finally:
        holder.communicate(b"\n")
    assert seen(lambda: nvml.read()[0].used_mb <= before + 256)
