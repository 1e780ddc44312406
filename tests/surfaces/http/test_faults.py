import json

import pytest

from aldgate.core import errors
from aldgate.core.errors import GatewayError
from aldgate.surfaces.http.faults import render_for_path

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/admin/keys", ""])
def test_every_error_has_a_status_headers_and_a_body(kind: type[GatewayError], path: str) -> None:
    error = kind('what was "bad"')
    status, headers, body = render_for_path(path, error)
    fields = dict(headers)
    assert status == kind.status and len(fields) == len(headers)
    assert fields[b"content-type"] == b"application/json" and int(fields[b"content-length"]) == len(body)
    assert fields[b"x-should-retry"] in (b"true", b"false")
    assert (b"www-authenticate" in fields) == (status == 401)
    assert b"retry-after" not in fields
    shown = json.loads(body)
    if path.startswith("/admin"):
        assert shown == {"detail": 'what was "bad"', "code": kind.code}
    else:
        assert shown["error"]["message"] == 'what was "bad"' and shown["error"]["code"] == kind.code


@pytest.mark.parametrize(("wait_s", "told"), [(7, b"7"), (1, b"1"), (0, b"1")])
def test_a_wait_is_told_in_whole_seconds_and_never_none(wait_s: int, told: bytes) -> None:
    _, headers, _ = render_for_path("/v1/models", errors.RateLimited("x", retry_after_s=wait_s))
    assert dict(headers)[b"retry-after"] == told
