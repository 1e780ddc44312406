"""How this machine's GPUs are seen: by NVIDIA's library, else by its command, else not at all."""

import shutil

from aldgate.devices.nvml import Nvml
from aldgate.devices.reading import Gpu, Gpus, GpusUnavailable
from aldgate.devices.smi import NvidiaSmi


def find_gpus() -> Gpus | None:
    """Whoever can see them. None: there is no NVIDIA driver here, which is the ordinary case on many machines."""
    try:
        return Nvml()
    except GpusUnavailable:
        return NvidiaSmi() if shutil.which("nvidia-smi") else None


class MachineGpus:
    """This machine's GPUs, looked for at the first look: to open the driver takes up to a second."""

    def __init__(self) -> None:
        self._found: Gpus | None = None
        self._has_looked = False

    def read(self) -> tuple[Gpu, ...]:
        """See `Gpus`; none where there is no driver."""
        if not self._has_looked:
            self._found, self._has_looked = find_gpus(), True
        return () if self._found is None else self._found.read()
