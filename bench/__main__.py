"""`python -m bench`: measure, print one table, write bench/results.json."""

import argparse
import os
import resource
import sys
from pathlib import Path

import uvloop

from bench import report
from bench.contestants import gate_command, version_of
from bench.governance import ROWS as GOVERNANCE
from bench.jobs import ROWS as JOBS
from bench.load import LoadFailed
from bench.processes import NotAvailable, cores, pin_self
from bench.routing import ROWS as ROUTING
from bench.rows import ROWS as OTHERS
from bench.rows import Plan
from bench.valkey import ROWS as VALKEY
from bench.watching import ROWS as WATCHING

ROWS = OTHERS | ROUTING | GOVERNANCE | VALKEY | JOBS | WATCHING
RESULTS = Path(__file__).with_name("results.json")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", metavar="ROW,ROW", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls; for trying, not for quoting")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, of which the median counts (default 3)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    unknown = set(chosen.only.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return chosen


async def measure(names: list[str], plan: Plan) -> list[report.Line]:
    lines: list[report.Line] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            lines += await ROWS[name](plan)
        except* (NotAvailable, LoadFailed, OSError) as errors:  # OSError: it died, and /proc knows it no more
            why = "; ".join(str(error) for error in errors.exceptions)
            lines.append(report.Line(row=name, label="not measured", value=None, unit="", note=why))
    return lines


def raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    chosen = options()
    names = [name for name in ROWS if name in chosen.only.split(",")]
    raise_file_limit()
    pin_self()
    under_test, rest = cores()
    where = f"gateway on core {under_test}, load and upstream on core {rest}"
    if under_test == rest:
        where = "ONE CORE for gateway, load and upstream: CPU figures hold, rates and latencies do not"
    plan = Plan(scale=0.1 if chosen.quick else 1.0, repeat=chosen.repeat)
    lines = uvloop.run(measure(names, plan))
    facts = {
        "command": ["python", "-m", "bench", *sys.argv[1:]],
        "machine": report.machine(),
        "where": where,
        "nginx": version_of(["nginx", "-v"]),
        "gate": [os.path.basename(part) for part in gate_command()],
    }
    report.write(chosen.output, facts, lines)
    print(f"{facts['machine']['cpu']}, {facts['machine']['cores']} cores, Python {facts['machine']['python']}; {where}")
    print(report.table(lines))
    return 1 if any(line.verdict == "not run" for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
