"""The ASGI entry: one dict look-up for the paths that matter, a short prefix table, and FastAPI for the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

from aldgate.core.errors import MethodNotAllowed, NotFound
from aldgate.surfaces.http.asgi import Handler, Receive, Scope, Send, send_whole
from aldgate.surfaces.http.faults import refuse, render_for_path
from aldgate.surfaces.http.origins import Origins


class Front:
    """Routes requests by method and raw path.

    Args:
        exact: (method, path) -> handler.
        prefixes: (method, prefix) -> handler, tried in order.
        rest: Takes what is in neither table; None refuses it.
        new_id: Makes the request ids of refusals.
        sockets: Path -> handler of WebSockets; a path that ends in a slash is for all that begin so.
        origins: Judges requests that come from a page.
    """

    def __init__(
        self,
        exact: Mapping[tuple[str, str], Handler],
        prefixes: Sequence[tuple[str, str, Handler]] = (),
        rest: Handler | None = None,
        new_id: Callable[[], str] = str,
        sockets: Mapping[str, Handler] = MappingProxyType({}),
        origins: Origins = Origins(),
    ) -> None:
        self._exact = dict(exact)
        self._prefixes = tuple(prefixes)
        self._rest = rest
        self._new_id = new_id
        self._sockets = {path: handler for path, handler in sockets.items() if path[-1] != "/"}
        self._prefixed = tuple((path, handler) for path, handler in sockets.items() if path[-1] == "/")
        self._origins = origins

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """ASGI. Hands over without a frame of its own: what is awaited is the handler."""
        if scope["type"] == "http":
            if b"origin" in scope["aldgate.headers"] and (answer := self._origins.judge(scope)) is not None:
                return answer(scope, receive, send)
            handler = self._exact.get((scope["method"], scope["path"])) or self._look(scope)
        else:
            self._origins.judge_socket(scope)
            handler = self._sockets.get(scope["path"]) or self._socket_under(scope["path"])
        return handler(scope, receive, send)

    def _look(self, scope: Scope) -> Handler:
        method, path = scope["method"], scope["path"]
        for other, prefix, handler in self._prefixes:
            if method == other and _is_under(path, prefix):
                return handler
        if any(other != "HEAD" for other in self._allowed(path)):  # who asks only whether `/` is there finds nothing else at it
            return self._method_not_allowed
        return self._rest or self._not_found

    def _socket_under(self, path: str) -> Handler:
        return next((handler for begin, handler in self._prefixed if _is_under(path, begin)), self._no_socket)

    def _allowed(self, path: str) -> list[str]:
        """The methods that `path` answers to, by the tables."""
        exact = {method for method, other in self._exact if other == path}
        return sorted(exact.union(method for method, prefix, _ in self._prefixes if _is_under(path, prefix)))

    async def _method_not_allowed(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        refusal = MethodNotAllowed(f"`{path}` does not answer to {scope['method']}.")
        status, headers, body = render_for_path(path, refusal, self._new_id())
        allow = (b"allow", ", ".join(self._allowed(path)).encode())  # RFC 9110, 15.5.6
        await send_whole(send, status, [*headers, allow], body)

    async def _not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        await send_whole(send, *render_for_path(path, NotFound(f"There is nothing at `{path[:200]}`."), self._new_id()))

    async def _no_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await refuse(send, scope["path"], NotFound(f"There is no WebSocket at `{scope['path'][:200]}`."), self._new_id())


def _is_under(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and len(path) > len(prefix)
