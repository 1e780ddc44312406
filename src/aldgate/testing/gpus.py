"""GPUs that are not there: a reader for tests, whose processes come, go and hold memory as told."""

from aldgate.devices.reading import Gpu, GpuProcess, GpusUnavailable


class FakeGpus:
    """One GPU or several of one size.

    Args:
        total_mb: Memory of each, MiB.
        count: How many.

    Attributes:
        is_sick: Every look fails.
        is_shy: It tells of processes, but not what each holds, as in some containers.
        looks: How often it was looked at.
    """

    def __init__(self, total_mb: int = 24_576, count: int = 1) -> None:
        self.is_sick = False
        self.is_shy = False
        self.looks = 0
        self._total_mb = total_mb
        self._held: list[dict[int, GpuProcess]] = [{} for _ in range(count)]

    def hold(self, pid: int, memory_mb: int, name: str = "python", gpu: int = 0) -> None:
        """A process holds so much now; 0: nothing any more."""
        self._held[gpu].pop(pid, None)
        if memory_mb:
            self._held[gpu][pid] = GpuProcess(pid, name, memory_mb)

    def read(self) -> tuple[Gpu, ...]:
        """See `Gpus`."""
        self.looks += 1
        if self.is_sick:
            raise GpusUnavailable("the driver hangs")
        return tuple(self._gpu(index) for index in range(len(self._held)))

    def _gpu(self, index: int) -> Gpu:
        held = tuple(self._held[index].values())
        told = tuple(GpuProcess(each.pid, each.name) for each in held) if self.is_shy else held
        used = sum(each.memory_mb or 0 for each in held)
        return Gpu(index=index, uuid=f"GPU-fake-{index}", name="Fake", total_mb=self._total_mb, used_mb=used, processes=told)
