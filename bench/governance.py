"""What governance costs: policies, limits and budgets of every level; and how many keys there may be."""

import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from bench.contestants import LIMITS, Running, administer, aldgate, gate_command, launched, nginx, upstream
from bench.processes import cores, free_port, running, wait_for
from bench.report import Line
from bench.rows import CHAT_CALLS, Plan, Row, cpu_us

KEYS, CLIENTS = 100_000, 10_000
POLICY = {"denied_models": ["secret-*"], "networks": ["127.0.0.0/8"], "endpoints": ["/v1/*"], "max_output_tokens": 100_000}
LEVELS = {
    "organisations": {"limits": {"rpm": 10**9, "tpm": 10**12}, "budgets": ["1000000.00/month"], "models": ["*"]},
    "teams": {"limits": {"tpm": 10**12}, "budgets": ["1000000.00/day"], "providers": ["lab"]},
    "clients": {"max_input_tokens": 10**9},
}
"""With the three limits of the key below six in all, and three budgets with its own."""
OWN = {"rpm": 10**9, "tpd": 10**12, "concurrency": 10_000, "budget": "1000000.00/total"}


@contextmanager
def governed(lab: Running) -> Iterator[Running]:
    """The gate, and a key below a client, a team and an organisation that all have their say."""
    admin = secrets.token_hex(24)
    with launched(lab, None, admin) as (process, port):
        wait_for(process, f"http://127.0.0.1:{port}/health")
        above: str | None = None
        for kind, policy in LEVELS.items():
            wanted = {"name": "bench", "policy": POLICY | policy, **({"parent": above} if above else {})}
            above = administer(port, admin, kind, wanted)["id"]
        key = administer(port, admin, "keys", {"name": "bench", "owner": above, **OWN, "policy": POLICY})["key"]
        yield Running("aldgate", process, port, key)


async def governance(plan: Plan) -> list[Line]:
    """CPU per chat call with policies at four levels, six limits and three budgets, beside nginx."""
    costs: list[float] = []
    floor: list[float] = []
    with upstream(0) as lab, nginx(lab) as limit, governed(lab) as gate:
        for _ in range(plan.repeat):
            floor.append((await cpu_us(limit, limit.chat(), plan.calls(CHAT_CALLS["nginx"])))[0])
            costs.append((await cpu_us(gate, gate.chat(), plan.calls(CHAT_CALLS["aldgate"])))[0])
    over = median(cost / least for cost, least in zip(costs, floor, strict=True))
    return [
        Line(row="governance", label="all levels: CPU per call", value=median(costs), unit="µs", raw=costs),
        Line(row="governance", label="all levels over nginx", value=over, unit="x", bar=9, goal=8),
    ]


async def many(plan: Plan) -> list[Line]:
    """Start and CPU per call with 100,000 keys and 10,000 clients in the database, over those with one."""
    few: list[float] = []
    crowded: list[float] = []
    with upstream(0) as lab, tempfile.TemporaryDirectory() as home:
        admin = secrets.token_hex(24)
        with aldgate(lab) as one, _crowded(lab, home, admin) as (gate, start_s):
            for _ in range(plan.repeat):
                few.append((await cpu_us(one, one.chat(), plan.calls(CHAT_CALLS["aldgate"])))[0])
                crowded.append((await cpu_us(gate, gate.chat(), plan.calls(CHAT_CALLS["aldgate"])))[0])
    ratio = median(cost / less for cost, less in zip(crowded, few, strict=True))
    return [
        Line(row="many", label=f"{KEYS:,} keys: start", value=start_s, unit="s", bar=2),
        Line(row="many", label=f"{KEYS:,} keys: CPU per call", value=ratio, unit="x", bar=1.1, raw=crowded),
    ]


@contextmanager
def _crowded(lab: Running, home: str, admin: str) -> Iterator[tuple[Running, float]]:
    command = [*gate_command(), "serve", "--data", home]
    file = Path(home, "aldgate.toml")
    file.write_text(f'[providers.lab]\nkind = "openai"\nbase_url = "http://127.0.0.1:{lab.port}/v1"\nmodels = ["gpt-4.1"]\n')
    env = {"ALDGATE_ADMIN_KEY": admin, "ALDGATE_DISCOVERY_LOCAL": "false"}

    def start() -> tuple[list[str], int]:
        port = free_port()
        return [*command, "--config", str(file), "--port", str(port)], port

    words, port = start()
    with running(words, core=cores()[0], env=env) as process:
        wait_for(process, f"http://127.0.0.1:{port}/health")
        key = administer(port, admin, "keys", {"name": "bench", **LIMITS})["key"]
    _fill(Path(home, "aldgate.db"))
    words, port = start()
    began = time.perf_counter()
    with running(words, core=cores()[0], env=env) as process:
        wait_for(process, f"http://127.0.0.1:{port}/health")
        yield Running("aldgate", process, port, key), time.perf_counter() - began


def _fill(file: Path) -> None:
    """Rows as the gate writes them; through its API they would take minutes."""
    with closing(sqlite3.connect(file)) as database, database:
        clients = ((f"client-{n}", "client", f"client {n}", "{}", 0.0) for n in range(CLIENTS))
        database.executemany("INSERT INTO accounts (id, kind, name, policy, created_at) VALUES (?, ?, ?, ?, ?)", clients)
        keys = ((f"key-{n}", f"key {n}", "agk-", '{"limits":{"rpm":60}}', 0.0, f"client-{n % CLIENTS}") for n in range(KEYS))
        database.executemany("INSERT INTO keys (id, name, prefix, policy, created_at, owner) VALUES (?, ?, ?, ?, ?, ?)", keys)
        digests = ((secrets.token_bytes(32), f"key-{n}") for n in range(KEYS))
        database.executemany("INSERT INTO credentials (digest, key_id) VALUES (?, ?)", digests)


ROWS: dict[str, Row] = {"governance": governance, "many": many}
