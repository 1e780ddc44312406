"""This machine's GPUs, however they are seen."""

from aldgate.devices.gpus import MachineGpus, find_gpus
from aldgate.devices.reading import GpuProcess
from aldgate.devices.sight import seen_of, words_of
from aldgate.testing.gpus import FakeGpus


def test_a_machine_with_or_without_a_driver_can_be_looked_at():
    assert (find_gpus() is None) == (MachineGpus().read() == ())


def test_memory_by_whose_it_is():
    gpus = FakeGpus(total_mb=1_000)
    gpus.hold(1, 300, "/sbin/init")
    (gpu,) = gpus.read()
    mine = seen_of(gpu, {"painter": frozenset({1})}, 0)
    assert (mine.foreign_mb, mine.foreign, mine.engines) == (0, (), {"painter": 300})
    others = seen_of(gpu, {"painter": frozenset()}, 0)
    assert (others.foreign_mb, others.foreign, others.engines) == (300, ("init (1), 300 MiB",), {})


def test_a_process_that_cannot_be_seen_from_here_is_not_judged():
    gpus = FakeGpus(total_mb=1_000)
    gpus.hold(2**22 + 1, 300)
    (gpu,) = gpus.read()
    assert seen_of(gpu, {}, 250).foreign_mb == 50
    assert words_of(GpuProcess(7)) == "a process (7)"
