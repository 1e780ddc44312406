import os
import subprocess
import sys

import pytest

from aldgate.core.errors import UpstreamError
from aldgate.engines.library.identity import identify, is_alive, kill


async def test_a_process_is_ended_by_what_it_is_and_not_by_its_number() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        known = identify(process.pid)
        host, boot, pid, started = known.split("/")
        assert is_alive(known)
        for other in (f"{host}/{boot}/{pid}/{int(started) + 1}", f"{host}/another-start/{pid}/{started}", "nonsense", ""):
            assert not is_alive(other)
            await kill(other)
        assert process.poll() is None
        with pytest.raises(UpstreamError, match="another machine"):
            await kill(f"elsewhere/{boot}/{pid}/{started}")
        await kill(known)
        assert not is_alive(known)
    finally:
        process.kill()
        process.communicate()
    await kill(known)


def test_a_process_that_is_not_there_has_no_identity() -> None:
    assert is_alive(identify(os.getpid()))
    with pytest.raises(ProcessLookupError):
        identify(2**22 + 1)
