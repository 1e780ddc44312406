"""A real Valkey or Redis server, in a directory of its own."""

import contextlib
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from aldgate.limiter.valkey.resp import Reader, Reply, command


def binary() -> str | None:
    """The server's program, if it is installed."""
    return shutil.which("valkey-server") or shutil.which("redis-server")


class Server:
    """On a unix socket, and on what else the options say. Keeps nothing on disk unless asked to.

    Args:
        home: Its directory.
        options: More of its command line.
    """

    def __init__(self, home: Path, *options: str) -> None:
        self._home = home
        self._options = options
        self._popen: subprocess.Popen[str] | None = None
        self.path = str(home / "socket")
        self.url = f"unix://{self.path}"

    def start(self) -> None:
        """Run it, until it is stopped, with what it kept."""
        words = [binary() or "", "--port", "0", "--unixsocket", self.path, "--dir", str(self._home), "--save", "", *self._options]
        self._popen = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            if "eady to accept connections" in line:
                return
        self.stop()
        raise RuntimeError("it did not start")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        popen, self._popen = self._popen, None
        if popen is not None:
            popen.send_signal(signal.SIGCONT)
            popen.send_signal(how)
            popen.communicate()

    def signal(self, which: signal.Signals) -> None:
        """SIGSTOP and SIGCONT."""
        assert self._popen is not None
        self._popen.send_signal(which)

    def ask(self, *words: str | bytes) -> Reply:
        """Send one command over a connection of its own."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.path)
            line.sendall(command(*(word.encode() if isinstance(word, str) else word for word in words)))
            reader = Reader()
            while True:
                replies = reader.feed(line.recv(65_536))
                if replies:
                    return replies[0]


@contextlib.contextmanager
def running(home: Path, *options: str) -> Iterator[Server]:
    server = Server(home, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
