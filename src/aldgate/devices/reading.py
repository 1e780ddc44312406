"""GPUs as they are seen at one moment, and who can look."""

from typing import Protocol

import msgspec


class GpuProcess(msgspec.Struct, frozen=True):
    """A process that holds memory of a GPU.

    Attributes:
        pid: By the host's count; within a container it may name nobody.
        memory_mb: MiB; None: the driver does not say, as in some containers.
    """

    pid: int
    name: str = ""
    memory_mb: int | None = None


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU. Memory in MiB.

    Attributes:
        used_mb: Everything that is not free, the driver's own part included.
        utilization: Percent of the last moment in which it worked; None: not told.
    """

    index: int
    uuid: str
    name: str
    total_mb: int
    used_mb: int
    utilization: int | None = None
    processes: tuple[GpuProcess, ...] = ()


class GpusUnavailable(Exception):
    """The driver did not answer."""


class Gpus(Protocol):
    """Who can see this machine's GPUs."""

    def read(self) -> tuple[Gpu, ...]:
        """Look. It blocks, for milliseconds where the driver is well; to be called in a thread.

        Raises:
            GpusUnavailable: The driver is sick or gone.
        """
        ...
