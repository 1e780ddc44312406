"""`aldgate serve` and other commands, each in a process of its own, as a person at a shell has them."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

import aldgate
from tests.cli.loopback_gate import Result
from tests.databases import environment_of

SOURCE = str(Path(aldgate.__file__).parents[1])
COMMAND = [sys.executable, "-m", "aldgate.cli.main"]
PATIENCE_S = 30.0


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """An environment without settings; no look at what happens to run on this machine unless the test wants one."""
    usual = {"PATH": os.environ.get("PATH", ""), "HOME": str(home), "PYTHONPATH": SOURCE, "ALDGATE_DISCOVERY_LOCAL": "false"}
    return {name: value for name, value in {**usual, **more}.items() if value}


def aldgate_in(home: Path, *arguments: str, stdin: str = "", **environment: str) -> Result:
    """Run a command in the directory `home` to its end."""
    run = subprocess.run(
        [*COMMAND, *arguments],
        cwd=home,
        env=surroundings(home, **environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return Result(run.returncode, run.stdout, run.stderr)


class Serving:
    """A gate, from its banner to its end.

    Args:
        home: Working directory and HOME.
        arguments: Of `aldgate serve`.
        environment: Added to the `surroundings`.

    Attributes:
        banner: What it printed once it answered. Its standard output is a pipe, so this proves that it was flushed.
    """

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        self._home = home
        self._environment = {**environment_of(home), **environment}
        self._log = home / "serve.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "serve", *arguments],
                cwd=home,
                env=surroundings(home, **self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.banner = self._read_banner()

    def _read_banner(self) -> str:
        assert self._process.stdout is not None
        watchdog = threading.Timer(PATIENCE_S, self._process.kill)  # a gate that never speaks ends the read below
        watchdog.start()
        lines: list[str] = []
        try:
            for line in self._process.stdout:
                lines.append(line)
                if line.startswith("  curl "):
                    return "".join(lines)
        finally:
            watchdog.cancel()
        self._process.wait()
        raise AssertionError(f"no banner but {''.join(lines)!r}; it logged:\n{self.log}")

    @property
    def log(self) -> str:
        """What it wrote to standard error so far."""
        return self._log.read_text()

    @property
    def urls(self) -> list[str]:
        return re.findall(r"^  listening on   (\S+)$", self.banner, re.MULTILINE)

    @property
    def models(self) -> list[str]:
        return re.findall(r"^  models         (.*)$", self.banner, re.MULTILINE)[0].split(", ")

    @property
    def admin_key(self) -> str | None:
        """The admin key, if it was printed."""
        found = re.findall(r"^  admin key      (\S+)$", self.banner, re.MULTILINE)
        return found[0] if found else None

    @property
    def curl(self) -> str:
        """The line to paste."""
        return self.banner.splitlines()[-1].strip()

    def paste(self, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the banner's line in a shell."""
        return subprocess.run(
            ["bash", "-c", self.curl + " --silent --show-error --fail-with-body"],
            env=surroundings(self._home, **environment),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def aldgate(self, *arguments: str, key: str | None = None, **environment: str) -> Result:
        """Run a command against this gate: with `key`, or as its administrator."""
        named = {"ALDGATE_ADMIN_KEY": self.admin_key or ""} if key is None else {"ALDGATE_API_KEY": key}
        return aldgate_in(self._home, *arguments, **{"ALDGATE_URL": self.urls[0], **named, **environment})

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code. Nothing was printed after the banner."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        rest, _ = self._process.communicate(timeout=PATIENCE_S)
        assert not rest.strip(), rest
        return self._process.returncode

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            assert self.stop() == 0, self.log
        else:
            self._process.kill()
            self._process.communicate()
