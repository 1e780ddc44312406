"""GPUs through `nvidia-smi`, where its library cannot be opened: a process per look, and the same facts."""

import subprocess
from xml.etree import ElementTree

from aldgate.devices.reading import Gpu, GpuProcess, GpusUnavailable

TIMEOUT_S = 10.0
"""A sick driver hangs."""


class NvidiaSmi:
    """The command.

    Args:
        command: The program, and what stands before `-q -x`.
    """

    def __init__(self, command: tuple[str, ...] = ("nvidia-smi",)) -> None:
        self._command = command

    def read(self) -> tuple[Gpu, ...]:
        """See `Gpus`."""
        try:
            ran = subprocess.run([*self._command, "-q", "-x"], capture_output=True, timeout=TIMEOUT_S, check=True)
            return gpus_of(ran.stdout)
        except (OSError, subprocess.SubprocessError, ElementTree.ParseError, ValueError) as error:
            raise GpusUnavailable(f"nvidia-smi failed: {type(error).__name__}") from error


def gpus_of(xml: bytes) -> tuple[Gpu, ...]:
    """What `nvidia-smi -q -x` printed.

    Raises:
        ElementTree.ParseError: It is no XML.
        ValueError: A memory is no number: such a machine shares its memory with its processor.
    """
    return tuple(_gpu(index, each) for index, each in enumerate(ElementTree.fromstring(xml).iter("gpu")))


def _gpu(index: int, gpu: ElementTree.Element) -> Gpu:
    busy = _number(gpu.findtext("utilization/gpu_util", ""))
    return Gpu(
        index=index,
        uuid=gpu.findtext("uuid", "").strip(),
        name=gpu.findtext("product_name", "").strip(),
        total_mb=_memory(gpu.findtext("fb_memory_usage/total", "")),
        used_mb=_memory(gpu.findtext("fb_memory_usage/used", "")) + (_number(gpu.findtext("fb_memory_usage/reserved", "")) or 0),
        utilization=busy,
        processes=tuple(_process(each) for each in gpu.iterfind("processes/process_info")),
    )


def _process(process: ElementTree.Element) -> GpuProcess:
    pid = int(process.findtext("pid", ""))
    return GpuProcess(pid, process.findtext("process_name", "").strip(), _number(process.findtext("used_memory", "")))


def _memory(text: str) -> int:
    found = _number(text)
    if found is None:
        raise ValueError(text)
    return found


def _number(text: str) -> int | None:
    """The number before a unit; None for `N/A` and the like."""
    number = text.split(" ", 1)[0]
    return int(number) if number.isdecimal() else None
