"""What a reading says of one device: how much its engines hold, and what others do."""

from collections.abc import Mapping

from aldgate.devices.processes import started_at
from aldgate.devices.reading import Gpu, GpuProcess
from aldgate.residing import Seen


def seen_of(gpu: Gpu, engines: Mapping[str, frozenset[int]], resident_mb: int) -> Seen:
    """A GPU's memory by whose it is.

    Args:
        gpu: As it was read.
        engines: The processes of each engine.
        resident_mb: What is counted for residencies; taken for theirs where the driver does not say whose memory is whose.
    """
    if not tells_whose(gpu):
        return Seen(total_mb=gpu.total_mb, foreign_mb=max(0, gpu.used_mb - resident_mb))
    held = {name: sum(each.memory_mb or 0 for each in gpu.processes if each.pid in pids) for name, pids in engines.items()}
    ours = frozenset[int]().union(*engines.values())
    foreign = tuple(words_of(each) for each in gpu.processes if each.pid not in ours)
    # What no process is said to hold, such as the driver's own part, is nobody's to free either.
    return Seen(
        total_mb=gpu.total_mb,
        foreign_mb=max(0, gpu.used_mb - sum(held.values())),
        foreign=foreign,
        engines={name: memory for name, memory in held.items() if memory},
    )


def tells_whose(gpu: Gpu) -> bool:
    """Whether processes can be told apart: each says what it holds, and is one that can be seen from here.

    In a container the driver counts by the host's numbers, or keeps what each holds to itself.
    """
    return all(each.memory_mb is not None and started_at(each.pid) is not None for each in gpu.processes)


def words_of(process: GpuProcess) -> str:
    """A process for people."""
    memory = "" if process.memory_mb is None else f", {process.memory_mb} MiB"
    return f"{process.name.rpartition('/')[2] or 'a process'} ({process.pid}){memory}"
