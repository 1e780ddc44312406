"""`nvidia-smi`: its XML, and everything that it may do instead."""

import sys

import pytest

from aldgate.devices.reading import GpuProcess, GpusUnavailable
from aldgate.devices.smi import NvidiaSmi, gpus_of

XML = """<?xml version="1.0" ?>
<nvidia_smi_log><driver_version>580.1</driver_version><attached_gpus>1</attached_gpus>
<gpu id="00000000:01:00.0"><product_name>NVIDIA RTX</product_name><uuid>GPU-1</uuid>
<fb_memory_usage><total>24576 MiB</total><reserved>400 MiB</reserved><used>1000 MiB</used><free>23176 MiB</free></fb_memory_usage>
<utilization><gpu_util>12 %</gpu_util></utilization>
<processes><process_info><pid>7</pid><type>C</type><process_name>/usr/bin/ollama</process_name><used_memory>800 MiB</used_memory>
</process_info><process_info><pid>8</pid><process_name>x</process_name><used_memory>N/A</used_memory></process_info></processes>
</gpu></nvidia_smi_log>"""


def says(text: str) -> NvidiaSmi:
    return NvidiaSmi((sys.executable, "-c", f"print({text!r})"))


def test_what_it_prints():
    (gpu,) = says(XML).read()
    assert (gpu.index, gpu.uuid, gpu.name, gpu.total_mb, gpu.used_mb, gpu.utilization) == (
        0,
        "GPU-1",
        "NVIDIA RTX",
        24576,
        1400,
        12,
    )
    assert gpu.processes == (GpuProcess(7, "/usr/bin/ollama", 800), GpuProcess(8, "x", None))


@pytest.mark.parametrize(
    "command",
    [
        ("/no/such/program",),
        (sys.executable, "-c", "raise SystemExit(9)"),
        (sys.executable, "-c", "print('NVIDIA-SMI has failed')"),
        (sys.executable, "-c", f"print({XML.replace('24576 MiB', 'N/A')!r})"),
    ],
)
def test_whatever_goes_wrong_is_one_error(command: tuple[str, ...]):
    with pytest.raises(GpusUnavailable):
        NvidiaSmi(command).read()


def test_a_machine_without_gpus_has_none():
    assert gpus_of(b"<nvidia_smi_log/>") == ()
