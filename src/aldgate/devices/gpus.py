"""How this machine's GPUs are seen: by NVIDIA's library, else by its command, else not at all."""

import shutil

from aldgate.devices.nvml import Nvml
from aldgate.devices.reading import Gpus, GpusUnavailable
from aldgate.devices.smi import NvidiaSmi


def find_gpus() -> Gpus | None:
    """Whoever can see them. None: there is no NVIDIA driver here, which is the ordinary case on many machines."""
    try:
        return Nvml()
    except GpusUnavailable:
        return NvidiaSmi() if shutil.which("nvidia-smi") else None
