"""Whoever lends AWS credentials, on the same server: metadata services, STS and the portal of IAM Identity Center.

Each answers only what is asked exactly as AWS wants it asked (see `providers.bedrock.metadata`, `.sts` and `.sso` for the pages).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

from aldgate.testing.upstream import wire
from aldgate.testing.upstream.plays import Play, Step
from aldgate.testing.upstream.replies import Asked, encode
from aldgate.testing.upstream.requests import Recorded

ROLE = "gate-role"
SESSION_TOKEN = "metadata-session=="
LOGIN = "sso-login"
_ROLES = "/latest/meta-data/iam/security-credentials/"
_BY_TOKEN = frozenset({"AssumeRoleWithWebIdentity"})
_XML = (("Content-Type", "text/xml"),)


def lends(*, expiration: str = "2099-01-01T00:00:00Z", milliseconds: int = 4_070_908_800_000, proof: str = "") -> Step:
    """A step that lends `ASIALENT` until then, over any of these wires.

    Args:
        expiration: As metadata services and STS tell it.
        milliseconds: As the portal tells it.
        proof: What a container must send as `Authorization`.
    """
    return Step("aws_lends", lambda asked: _play(asked.request, expiration, milliseconds, proof))


def _play(seen: Recorded, expiration: str, milliseconds: int, proof: str) -> Play:
    path = seen.path.partition("?")[0]
    answers: dict[str, Callable[[], bytes]] = {
        "/latest/api/token": lambda: _session(seen),
        _ROLES: lambda: _in_session(seen, ROLE.encode()),
        _ROLES + ROLE: lambda: _in_session(seen, _document(expiration)),
        "/": lambda: _assumed(seen, expiration),
        "/federation/credentials": lambda: _portal(seen, milliseconds),
    }
    answer = answers.get(path)
    if answer is not None:
        yield answer()
    elif (seen.header("authorization") or "") != proof:
        yield wire.whole(b'{"code":"AccessDenied"}', status=403)
    else:
        yield wire.whole(_document(expiration))


def _document(expiration: str) -> bytes:
    lent = {"AccessKeyId": "ASIALENT", "SecretAccessKey": "lent/secret+", "Token": "lent-token==", "Expiration": expiration}
    return encode({"Code": "Success", "Type": "AWS-HMAC", **lent})


def _session(seen: Recorded) -> bytes:
    """The second version of the metadata service refuses what a forwarded request would look like."""
    seconds = seen.header("x-aws-ec2-metadata-token-ttl-seconds") or ""
    is_good = seen.method == "PUT" and seconds.isdigit() and seen.header("x-forwarded-for") is None
    return wire.whole(SESSION_TOKEN.encode() if is_good else b"", status=200 if is_good else 400)


def _in_session(seen: Recorded, body: bytes) -> bytes:
    is_good = seen.method == "GET" and seen.header("x-aws-ec2-metadata-token") == SESSION_TOKEN
    return wire.whole(body, headers=(("Content-Type", "text/plain"),)) if is_good else wire.whole(b"", status=401)


def _assumed(seen: Recorded, expiration: str) -> bytes:
    asked = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
    action = asked.get("Action", "")
    needed = {"Action", "Version", "RoleArn", "RoleSessionName", *(["WebIdentityToken"] if action in _BY_TOKEN else [])}
    is_whole = (
        seen.method == "POST"
        and needed <= asked.keys() <= needed | {"ExternalId", "DurationSeconds"}
        and (asked["Version"], action in _BY_TOKEN or "/sts/aws4_request" in (seen.header("authorization") or ""))
        == ("2011-06-15", True)
    )
    if not is_whole or asked.get("WebIdentityToken") == "expired":
        code = "ExpiredTokenException" if is_whole else "InvalidParameterValue"
        error = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>No.</Message></Error></ErrorResponse>"
        return wire.whole(error.encode(), status=400, headers=_XML)
    lent = (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">\n'
        f"<{action}Result><Credentials>\n<AccessKeyId>ASIALENT</AccessKeyId>\n"
        "<SecretAccessKey>lent/secret+</SecretAccessKey>\n<SessionToken>lent-token==</SessionToken>\n"
        f"<Expiration>{expiration}</Expiration>\n</Credentials>\n<AssumedRoleUser><AssumedRoleId>AROA:aldgate</AssumedRoleId>"
        f"</AssumedRoleUser></{action}Result></{action}Response>"
    )
    return wire.whole(lent.encode(), headers=_XML)


def _portal(seen: Recorded, milliseconds: int) -> bytes:
    asked = parse_qs(seen.path.partition("?")[2])
    if seen.header("x-amz-sso_bearer_token") != LOGIN or set(asked) != {"account_id", "role_name"}:
        return wire.whole(b'{"message":"Session token not found or invalid","__type":"x"}', status=401)
    lent = {"accessKeyId": "ASIALENT", "secretAccessKey": "lent/secret+", "sessionToken": "lent-token=="}
    return wire.whole(encode({"roleCredentials": {**lent, "expiration": milliseconds}}))


def expired(asked: Asked) -> Play:
    """Bedrock's refusal of credentials that have ended."""
    headers = (wire.JSON, ("x-amzn-ErrorType", "ExpiredTokenException:http://internal.amazon.com/"))
    yield wire.whole(b'{"message":"The security token included in the request is expired"}', status=403, headers=headers)
