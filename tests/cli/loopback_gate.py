"""A gate as commands see it: a real HTTP server on the loopback interface with answers set by the test."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "canary-admin-key-k9Xw2Lq7Zt4Rv8Nc1Bd5"


@dataclass
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Request:
    method: str
    target: str
    authorization: str | None
    body: Any


class LoopbackGate:
    """Answers by method and target; keeps what it was asked. Port 0 is any free one."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = json.loads(data) if data else None
                gate.requests.append(Request(self.command, self.path, self.headers.get("Authorization"), body))
                reply = gate._next(self.command, self.path)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def reply(self, method: str, target: str, body: Any, *, status: int = 200, **headers: str) -> None:
        """Answer `target` with `body`; the last of several answers is repeated."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._replies.setdefault((method, target), []).append(Reply(status, data, named))

    def _next(self, method: str, target: str) -> Reply:
        replies = self._replies.get((method, target), [Reply(404, b'{"detail": "no such path"}')])
        return replies.pop(0) if len(replies) > 1 else replies[0]

    def __enter__(self) -> "LoopbackGate":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Aldgate = Callable[..., Result]
