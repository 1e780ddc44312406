"""`python -m bench.profile`: where the gate's time goes under the bench's load.

With py-spy installed it is sampled, at hardly any cost; without, cProfile counts calls and makes all of them slower, so its
shares are a guide and its seconds are not.
"""

import argparse
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import uvloop

from bench.contestants import ECHO_MODEL, MODEL, PACE_MS, Running, aldgate, upstream
from bench.load import drive
from bench.processes import pin_self


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.profile", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("chat", "stream", "echo"), default="chat")
    parser.add_argument("--calls", type=int, default=10_000, help="a stream counts as a hundred")
    parser.add_argument("--top", type=int, default=40, help="functions to show (cProfile)")
    parser.add_argument("--output", type=Path, help="py-spy: keep the speedscope file here")
    return parser.parse_args()


def load(gate: Running, chosen: argparse.Namespace) -> None:
    """The same calls as the row of that name makes."""
    is_stream = chosen.what == "stream"
    target = gate.chat(ECHO_MODEL if chosen.what == "echo" else MODEL, **({"stream": True} if is_stream else {}))
    uvloop.run(drive(target, max(16, chosen.calls // 100) if is_stream else chosen.calls, 16 if is_stream else 32))


def sampled(lab: Running, chosen: argparse.Namespace) -> None:
    output = chosen.output or Path("profile.speedscope.json")
    with aldgate(lab) as gate:
        command = ["py-spy", "record", "--native", "--format", "speedscope", "--output", str(output)]
        with subprocess.Popen([*command, "--pid", str(gate.process.popen.pid)]) as spy:
            load(gate, chosen)
            spy.send_signal(signal.SIGINT)
    print(f"{output}: open it at https://www.speedscope.app")


def counted(lab: Running, chosen: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as home:
        stats = Path(home) / "stats"
        command = [sys.executable, "-m", "cProfile", "-o", str(stats), "-m", "aldgate.cli.main"]
        with aldgate(lab, gate=command) as gate:
            load(gate, chosen)
            # An interrupt unwinds the profiled program, so that cProfile gets to write; a termination would not.
            gate.process.popen.send_signal(signal.SIGINT)
            gate.process.popen.wait(60)
        pstats.Stats(str(stats)).sort_stats("tottime").print_stats(chosen.top)


def main() -> None:
    chosen = options()
    pin_self()
    with upstream(PACE_MS if chosen.what == "stream" else 0) as lab:
        (sampled if shutil.which("py-spy") else counted)(lab, chosen)


if __name__ == "__main__":
    main()
