"""Who is measured: the bare upstream, nginx, the naive proxy and the gate. Each is a context that yields a running one."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Target, post
from bench.processes import NotAvailable, Process, cores, free_port, running, wait_for

MODEL, SLOW_MODEL, ECHO_MODEL, CLAUDE = "gpt-4.1", "gpt-4.1-slow", "builtin/echo", "claude-sonnet-4-5"
REQUEST_BYTES, REPLY_BYTES, CHUNKS = 1000, 800, 100
PACE_MS, SLOW_PACE_MS = 1.0, 300.0
LIMITS = {"rpm": 10**9, "tpm": 10**12, "tpd": 10**12, "concurrency": 10_000, "budget": "1000000.00/month"}


@dataclass(frozen=True)
class Running:
    """A contestant that answers on `port`, with a key it accepts."""

    name: str
    process: Process
    port: int
    key: str

    def chat(self, model: str = MODEL, **fields: object) -> Target:
        """The chat call everyone is measured with; `fields` go into its body."""
        body: dict[str, object] = {"model": model, **fields, "messages": [{"role": "user", "content": ""}]}
        pad = max(0, REQUEST_BYTES - len(json.dumps(body)))
        body["messages"] = [{"role": "user", "content": ("How much wood would a woodchuck chuck? " * 30)[:pad]}]
        is_stream = bool(fields.get("stream"))
        return post(self.port, "/v1/chat/completions", json.dumps(body).encode(), self.key, is_stream=is_stream)


@contextmanager
def upstream(pace_ms: float, *, refuses: int = 0) -> Iterator[Running]:
    """The fake provider, on the load generator's core. With `refuses` it answers everything with that status."""
    port = free_port()
    command = [sys.executable, "-m", "aldgate.testing.upstream", "--port", str(port), "--chunks", str(CHUNKS)]
    command += ["--reply-bytes", str(REPLY_BYTES), "--pace-ms", str(pace_ms)]
    command += ["--fault", f"status_{refuses}"] if refuses else []
    with running(command, core=cores()[1]) as process:
        wait_for(process, f"http://127.0.0.1:{port}/v1/models", status=refuses or 200)
        yield Running("upstream", process, port, "lab")


@contextmanager
def nginx(lab: Running) -> Iterator[Running]:
    """Nginx with one header compared: the practical limit."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise NotAvailable("nginx is not installed (scripts/services.sh installs it on Debian)")
    port, key = free_port(), secrets.token_hex(24)
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "nginx.conf"
        config.write_text(_nginx_config(home, port, key, lab.port))
        with running([binary, "-p", home, "-e", f"{home}/error.log", "-c", str(config)], core=cores()[0]) as process:
            wait_for(process, f"http://127.0.0.1:{port}/health")
            yield Running("nginx", process, port, key)


def _nginx_config(home: str, port: int, key: str, lab_port: int) -> str:
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return f"""
{user} worker_processes 1; daemon off; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 8192; }}
http {{
  {temporary} access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;
  upstream lab {{ server 127.0.0.1:{lab_port}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /health {{ return 200; }}
    location / {{
      if ($http_authorization != "Bearer {key}") {{ return 401; }}
      proxy_pass http://lab; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer lab";
    }}
  }}
}}
"""


@contextmanager
def naive(lab: Running) -> Iterator[Running]:
    """The proxy as most people write it."""
    port, key = free_port(), secrets.token_hex(24)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "bench.naive:app",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "warning",
    ]
    env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{lab.port}/v1", "BENCH_KEY": key}
    with running(command, core=cores()[0], env=env) as process:
        wait_for(process, f"http://127.0.0.1:{port}/health")
        yield Running("naive", process, port, key)


@contextmanager
def aldgate(lab: Running, slow: Running | None = None, gate: Sequence[str] | None = None, config: str = "") -> Iterator[Running]:
    """The gate with everything on: an authenticated key with four limits and a budget, the ledger, metrics; and more `config`."""
    admin = secrets.token_hex(24)
    with launched(lab, slow, admin, gate, config) as (process, port):
        wait_for(process, f"http://127.0.0.1:{port}/health")
        yield Running("aldgate", process, port, _make_key(port, admin))


@contextmanager
def launched(
    lab: Running, slow: Running | None, admin: str, gate: Sequence[str] | None = None, more: str = ""
) -> Iterator[tuple[Process, int]]:
    """The gate's process just started, not yet serving, and its port. `gate` is run in place of the installed command."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        config = Path(home) / "aldgate.toml"
        config.write_text(_gate_config(lab, slow) + more)
        command = [*(gate or gate_command()), "serve", "--config", str(config), "--data", f"{home}/data", "--port", str(port)]
        env = {"ALDGATE_ADMIN_KEY": admin, "LAB_KEY": "lab"}
        with running(command, core=cores()[0], env=env) as process:
            yield process, port


def gate_command() -> list[str]:
    """The installed `aldgate`, or the module where it is not installed beside this interpreter."""
    script = Path(sys.executable).with_name("aldgate")
    return [str(script)] if script.exists() else [sys.executable, "-m", "aldgate.cli.main"]


def _gate_config(lab: Running, slow: Running | None) -> str:
    text = _provider("lab", lab.port, MODEL) + _claude(lab.port)
    return text + (_provider("slow", slow.port, SLOW_MODEL) if slow else "")


def _provider(name: str, port: int, model: str) -> str:
    return (
        f'[providers.{name}]\nkind = "openai"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        f'api_key = "env:LAB_KEY"\nmodels = ["{model}"]\n\n'
    )


def _claude(port: int) -> str:
    return (
        f'[providers.claude]\nkind = "anthropic"\nbase_url = "http://127.0.0.1:{port}"\n'
        f'api_key = "env:LAB_KEY"\nmodels = ["{CLAUDE}"]\n\n'
    )


def _make_key(port: int, admin: str) -> str:
    return administer(port, admin, "keys", {"name": "bench", **LIMITS})["key"]


def administer(port: int, admin: str, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Make a key or an account through the gate's API, and return its answer."""
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    body = json.dumps(wanted).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/admin/{kind}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise NotAvailable(f"POST /admin/{kind}: {error.code} {error.read()[:200]!r}") from error
    except (OSError, ValueError) as error:
        raise NotAvailable(f"POST /admin/{kind}: {error!r}") from error


def cold_start_s(lab: Running, config: str = "") -> float:
    """Seconds from the gate's launch, with a fresh data directory, to its first 200 on /health."""
    started = time.perf_counter()
    with launched(lab, None, secrets.token_hex(24), more=config) as (process, port):
        wait_for(process, f"http://127.0.0.1:{port}/health")
        return time.perf_counter() - started


def version_of(command: list[str]) -> str:
    """The first line a program prints about itself, or why not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError as error:
        return str(error)
    return (done.stdout + done.stderr).strip().partition("\n")[0]
