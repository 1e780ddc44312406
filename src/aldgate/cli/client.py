"""How commands talk to a running gate: JSON and server-sent events over the standard library's HTTP client."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode, urlsplit

from aldgate.cli.errors import CliError
from aldgate.config.environment import merged_environment
from aldgate.config.secret import is_reference, resolve_reference

if TYPE_CHECKING:
    from http.client import HTTPResponse

DEFAULT_URL = "http://127.0.0.1:8000"
TIMEOUT_S = 60.0
STREAM_TIMEOUT_S = 600.0

_HINTS = {
    401: "set ALDGATE_API_KEY (or ALDGATE_ADMIN_KEY for `aldgate keys`) to a key that is good",
    402: "raise the key's budget, or wait for the next period",
    403: "this key may not do that; `aldgate keys list` shows what each may",
    404: "check the name or id; `aldgate models list` and `aldgate keys list` show what there is",
    503: "the gate is busy or stopping; try again shortly",
}


class Client:
    """A gate at `url`, called with one key."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self._key = key

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> dict[str, Any]:
        """Send a request and return the object it is answered with.

        Raises:
            CliError: No gate answered, or it refused.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        with self._exchange(method, target, body, TIMEOUT_S) as reply:
            return _object(reply.read(), self.url)

    def fetch(self, path: str, *, accept: str, query: Sequence[tuple[str, str]] = ()) -> Iterator[bytes]:
        """Ask for something that is not JSON, and yield it piece by piece.

        Raises:
            CliError: No gate answered, it refused, or the answer broke off.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        with self._exchange("GET", target, None, STREAM_TIMEOUT_S, accept) as reply:
            while piece := reply.read1(65_536):
                yield piece

    def send(self, path: str, data: bytes, *, kind: str, query: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
        """Send bytes of a media type and return the object they are answered with.

        Raises:
            CliError: No gate answered, or it refused.
        """
        with self._exchange("POST", f"{path}?{urlencode(query)}", data, STREAM_TIMEOUT_S, kind=kind) as reply:
            return _object(reply.read(), self.url)

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Send a request and yield the data of each event of the reply, up to `[DONE]`.

        Raises:
            CliError: No gate answered, it refused, or the stream broke off.
        """
        with self._exchange("POST", path, body, STREAM_TIMEOUT_S) as reply:
            while line := reply.readline():
                if not line.startswith(b"data:"):
                    continue
                data = line[5:].strip()
                if data == b"[DONE]":
                    return
                event = _object(data, self.url)
                if "error" in event:
                    raise CliError(_reason(event, "the reply failed"), hint="what came before the error may be incomplete")
                yield event
        raise CliError("the reply broke off before its end", hint="try again; the gate's log says why it ended")

    @contextmanager
    def _exchange(
        self,
        method: str,
        target: str,
        body: Mapping[str, Any] | bytes | None,
        timeout_s: float,
        accept: str = "application/json, text/event-stream",
        kind: str = "application/json",
    ) -> "Generator[HTTPResponse]":
        # 60 ms that `--help` need not pay.
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        address = urlsplit(self.url)
        connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
        headers = {"Authorization": f"Bearer {self._key}", "Accept": accept}
        if body is not None:
            headers["Content-Type"] = kind
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = connect(address.hostname or "", address.port, timeout=timeout_s)
        try:
            connection.request(method, address.path + target, data, headers)
            with connection.getresponse() as reply:
                if not 200 <= reply.status < 300:
                    raise _refusal(reply.status, reply.read(), reply.headers.get("Retry-After"))
                yield reply
        except TimeoutError:
            raise CliError(f"the gate at {self.url} did not answer in time", hint="try again, or look at its log") from None
        except ConnectionRefusedError:
            raise CliError(f"no gate answers at {self.url}", hint="start one with `aldgate serve`, or give its --url") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            hint = "check --url or ALDGATE_URL, and that `aldgate serve` runs there"
            raise CliError(f"no gate answers at {self.url}: {reason}", hint=hint) from None
        finally:
            connection.close()


def connect(url: str | None, *, admin: bool = False) -> Client:
    """The gate that this command is to talk to.

    Args:
        url: From `--url`; else `ALDGATE_URL`.
        admin: Prefer `ALDGATE_ADMIN_KEY` to `ALDGATE_API_KEY`; otherwise it is the other way round.

    Raises:
        CliError: There is no key, or the URL is not one.
        ConfigError: `.env` is malformed, or a key's reference leads nowhere.
    """
    environment = merged_environment(Path.cwd())
    names = ["ALDGATE_API_KEY", "ALDGATE_ADMIN_KEY"]
    name = next((name for name in (reversed(names) if admin else names) if environment.get(name)), None)
    if name is None:
        hint = "set ALDGATE_API_KEY or ALDGATE_ADMIN_KEY in the environment or in `.env`"
        raise CliError("there is no key to call the gate with", hint=hint)
    key = environment[name]
    key = resolve_reference(key, environment) if is_reference(key) else key
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise CliError(f"{name} holds a space or a character that no header can carry", hint="copy the key again")
    return Client(_checked(url or environment.get("ALDGATE_URL") or DEFAULT_URL), key)


def _checked(url: str) -> str:
    hint = f"write it like {DEFAULT_URL}; the key goes into ALDGATE_API_KEY"
    try:
        address = urlsplit(url)
        is_good = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
    except ValueError:
        is_good = False
    if not is_good or "@" in url or "?" in url or "#" in url:
        raise CliError("the gate's URL is not an http or https address", hint=hint)
    return url


def _object(data: bytes, url: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise CliError(f"what answers at {url} is not a gate", hint="check --url or ALDGATE_URL")
    return cast(dict[str, Any], value)


def _refusal(status: int, data: bytes, retry_after: str | None) -> CliError:
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    message = _reason(body, f"the gate answered {status}")
    if retry_after is not None and retry_after.isdigit():
        return CliError(message, hint=f"try again in {retry_after} s", status=status)
    otherwise = "the gate's log tells more" if status >= 500 else "`--help` shows how the command is used"
    return CliError(message, hint=_HINTS.get(status, otherwise), status=status)


def _reason(body: Any, otherwise: str) -> str:
    """The message of an error body: `{"error": {"message"}}` or `{"detail"}`."""
    if not isinstance(body, dict):
        return otherwise
    fields = cast(dict[str, Any], body)
    error = fields.get("error")
    message = cast(dict[str, Any], error).get("message") if isinstance(error, dict) else error or fields.get("detail")
    return message if isinstance(message, str) and message else otherwise
